import { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { ProduceResponse } from "../../protocol/public.ts";
import type { RecordHeader } from "../../records/log-record.ts";
import { type BytesOrText, RecordSetBuilder } from "../../records/record-set-builder.ts";
import { advanceSequence } from "../../records/sequence.ts";
import { backoffMs } from "../backoff.ts";
import { DeliveryFailed } from "../errors.ts";
import { Batch, type Identity } from "./batch.ts";
import type { BufferPool } from "./buffer-pool.ts";
import type { BatchOwner, LeaderStream } from "./leader-stream.ts";
import { BATCH_RECORDS_MAX, type ProducerSettings } from "./options.ts";
import type { RecordAck } from "./record.ts";

/** What a partition's queue needs of the producer around it. */
export interface QueueHost {
  readonly settings: ProducerSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** Calls `pump` of the queue after the present turn. */
  schedule(queue: PartitionQueue): void;
  /** The open stream to this broker; made when there is none. */
  stream(address: string): LeaderStream;
  /** Where this partition's batches go best. @param current where they go now */
  route(topic: string, partition: number, current: string | undefined): string;
  /** Of the topic that has this name, as far as it is known. */
  topicId(topic: string): string | undefined;
  /** Asks what topic has this name now. @throws {MillraceError} UNKNOWN_TOPIC: none, or that no broker answered */
  loadAnew(topic: string): Promise<unknown>;
  /** A reply or refusal named the leader. */
  leaderSeen(topic: string, partition: number, address: string, term: number): void;
  /** The broker at `address` did not answer for this partition, or said that it knows no leader. */
  leaderMissed(topic: string, partition: number, address: string | undefined): void;
  /** The identity to number batches with, other than `stale`; undefined: it is being asked for, and the queue will be scheduled. */
  identity(stale: Identity | undefined): Identity | undefined;
  /** Bytes left the buffer. */
  released(bytes: number, records: number, failed: boolean): void;
  readonly buffers: BufferPool;
  /** Off-thread compression of a closed batch; absent: batches leave as they are. */
  readonly compress: ((plain: Uint8Array) => Promise<Uint8Array>) | undefined;
  /** Largest record set of the topic. */
  batchBytesMax(topic: string): number;
  /** Somebody waits for everything to leave: no lingering. */
  readonly flushing: boolean;
}

/**
 * `flowing`: batches may be sent. `draining`: one failed, and answers to the others are awaited. `waiting`: all are answered or
 * lost, and after a pause those without an acknowledgement are sent again, in order.
 */
type Phase = "flowing" | "draining" | "waiting";

/**
 * The records of one partition on their way: an open batch that fills, closed ones, and the window of at most five that have a
 * sequence. Order is kept by never sending a later batch again before an earlier one, and never over two brokers at a time.
 */
export class PartitionQueue implements BatchOwner {
  readonly topic: string;
  readonly partition: number;
  readonly #host: QueueHost;
  #open: Batch | undefined;
  /** Full batches, oldest first; the head may still be compressing. */
  readonly #closed: Batch[] = [];
  /** Batches that were sent, in order of sequence. */
  #window: Batch[] = [];
  #outstanding = 0;
  #phase: Phase = "flowing";
  #stream: LeaderStream | undefined;
  /** The next batch goes out with a resume: the stream refuses this partition until then. */
  #resume = false;
  #failures = 0;
  #retryAfterMs = 0;
  #lostStream = false;
  /** The topic its batches named is gone: what topic has the name now is asked before any is sent again. */
  #topicGone = false;
  #identity: Identity | undefined;
  #staleIdentity: Identity | undefined;
  #nextSequence = 0;
  #lingering = false;
  #builderBytes = 4096;
  /** Set by the producer while the queue is in its list. */
  scheduled = false;
  /** Batches sent again. */
  retries = 0;

  constructor(topic: string, partition: number, host: QueueHost) {
    this.topic = topic;
    this.partition = partition;
    this.#host = host;
  }

  append(
    key: BytesOrText | undefined,
    value: BytesOrText | undefined,
    headers: readonly RecordHeader[] | undefined,
    timestampMs: number | undefined,
    bytes: number,
    resolve: (ack: RecordAck) => void,
    reject: (error: MillraceError) => void,
  ): void {
    let batch = this.#open;
    if (batch !== undefined && (batch.bytes + bytes > this.#host.batchBytesMax(this.topic) || batch.count >= BATCH_RECORDS_MAX)) {
      this.#closeOpen(batch);
      batch = undefined;
    }
    if (batch === undefined) {
      const builder = new RecordSetBuilder(this.#host.buffers.take(Math.max(this.#builderBytes, bytes)));
      batch = this.#open = new Batch(this.topic, this.partition, this.#host.clock.monotonic(), this.#host.settings, builder);
    }
    batch.add(key, value, headers, timestampMs, bytes, resolve, reject);
    if (!this.scheduled) this.#host.schedule(this);
  }

  /** Records that have no answer yet. */
  get empty(): boolean {
    return this.#open === undefined && this.#closed.length === 0 && this.#window.length === 0;
  }

  /** All batches, oldest first. */
  batches(): Batch[] {
    return [...this.#window, ...this.#closed, ...(this.#open === undefined ? [] : [this.#open])];
  }

  #closeOpen(batch: Batch): void {
    this.#open = undefined;
    this.#closed.push(batch);
    const plain = batch.plain();
    this.#builderBytes = Math.max(4096, Math.min(plain.length + 512, 4 * this.#builderBytes));
    const compress = this.#host.compress;
    if (compress === undefined) {
      batch.close(plain);
      return;
    }
    compress(plain).then(
      (body) => {
        batch.close(body);
        this.#host.schedule(this);
      },
      (error: Error) => {
        batch.failure = new MillraceError("INTERNAL", `Cannot compress a batch: ${error.message}`);
        batch.close(plain);
        this.#host.schedule(this);
      },
    );
  }

  /** Sends what may be sent. Called once per turn at most. */
  pump(): void {
    if (this.#phase !== "flowing" || (this.#window.length === this.#outstanding && this.#open === undefined && this.#closed.length === 0))
      return;
    const address = this.#host.route(this.topic, this.partition, this.#stream?.closed === false ? this.#stream.address : undefined);
    if (this.#stream === undefined || this.#stream.closed || this.#stream.address !== address) {
      // Over two brokers at a time a later batch could overtake an earlier one.
      if (this.#outstanding > 0) return;
      this.#stream = this.#host.stream(address);
      // It may be one that refuses this partition since a failure long ago.
      this.#resume = true;
    }
    const stream = this.#stream;
    const now = this.#host.clock.monotonic();
    for (const batch of this.#window) if (!batch.outstanding && !this.#sendTo(stream, batch, now)) return;
    while (this.#window.length < this.#host.settings.inflightMax) {
      const batch = this.#next(now);
      if (batch === undefined) return;
      if (!stream.accepts(batch.bytes)) {
        stream.whenRoomy(this);
        return;
      }
      this.#closed.shift();
      if (batch.failure !== undefined) {
        this.#reject(batch, batch.failure);
        continue;
      }
      this.#window.push(batch);
      if (!this.#sendTo(stream, batch, now)) return;
    }
  }

  /** The oldest closed batch, closing the open one when there is no other. */
  #next(now: number): Batch | undefined {
    if (this.#closed.length === 0 && this.#open !== undefined) {
      const due = this.#open.openedAt + this.#host.settings.lingerMs;
      if (now < due && !this.#host.flushing) {
        this.#linger(due - now);
        return undefined;
      }
      this.#closeOpen(this.#open);
    }
    const head = this.#closed[0];
    return head?.done === true ? head : undefined;
  }

  #linger(ms: number): void {
    if (this.#lingering) return;
    this.#lingering = true;
    this.#host.clock.after(ms, () => {
      this.#lingering = false;
      this.#host.schedule(this);
    });
  }

  #sendTo(stream: LeaderStream, batch: Batch, now: number): boolean {
    if (!stream.accepts(batch.bytes)) {
      stream.whenRoomy(this);
      return false;
    }
    batch.topicId ??= this.#host.topicId(this.topic);
    if (!this.#number(batch)) return false;
    if (batch.attempts > 0) this.retries++;
    batch.attempts++;
    batch.outstanding = true;
    this.#outstanding++;
    stream.send(this, batch, this.#resume, now);
    this.#resume = false;
    return true;
  }

  /** Gives the batch its sequence, once and for all unless it is certain that it was not written. */
  #number(batch: Batch): boolean {
    if (!this.#host.settings.idempotent || batch.sequence >= 0) return true;
    if (this.#identity === undefined) {
      this.#identity = this.#host.identity(this.#staleIdentity);
      if (this.#identity === undefined) return false;
      this.#nextSequence = 0;
    }
    batch.identity = this.#identity;
    batch.sequence = this.#nextSequence;
    this.#nextSequence = advanceSequence(this.#nextSequence, batch.count);
    return true;
  }

  answered(batch: Batch, response: ProduceResponse): void {
    if (!this.#returned(batch)) return;
    this.#host.leaderSeen(this.topic, this.partition, response.leaderAddress, response.term);
    this.#failures = 0;
    this.#remove(batch);
    this.#host.released(batch.bufferedBytes, batch.count, false);
    batch.resolve(response);
    // Messages hold copies, so nothing looks at the record set any more.
    if (batch.body !== undefined) this.#host.buffers.give(batch.body);
    this.#continue();
  }

  refused(batch: Batch, error: MillraceError): void {
    if (!this.#returned(batch)) return;
    this.#phase = "draining";
    this.#resume = true;
    this.#retryAfterMs = Math.max(this.#retryAfterMs, error.retryAfterMs ?? 0);
    if (!error.outcomeKnown) {
      batch.maybeWritten = true;
      batch.lastUnknown = error;
    }
    this.#learn(error);
    this.#judge(batch, error);
    this.#continue();
  }

  lost(batch: Batch, error: MillraceError, neverSent: boolean): void {
    if (!this.#returned(batch)) return;
    this.#phase = "draining";
    this.#lostStream = true;
    if (!neverSent) {
      batch.maybeWritten = true;
      batch.lastUnknown = error.outcomeKnown ? new MillraceError("CONNECTION_LOST", error.message, error.metadata) : error;
      if (!this.#host.settings.idempotent) batch.failure = batch.lastUnknown;
    }
    this.#host.leaderMissed(this.topic, this.partition, this.#stream?.address);
    this.#continue();
  }

  /** @returns false when nobody waits for this batch any more */
  #returned(batch: Batch): boolean {
    if (!batch.outstanding) return false;
    batch.outstanding = false;
    this.#outstanding--;
    return true;
  }

  #remove(batch: Batch): void {
    const at = this.#window.indexOf(batch);
    invariant(at >= 0, "an unanswered batch is in the window");
    this.#window.splice(at, 1);
  }

  #learn(error: MillraceError): void {
    const address = error.metadata["leader_address"];
    if (address !== undefined && address !== "")
      this.#host.leaderSeen(this.topic, this.partition, address, Number(error.metadata["term"] ?? 0));
    else if (error.retriable && error.code !== "PRECEDING_FAILED") {
      // A broker that stops is no place to come back to; another one finds the new leader, or waits for it.
      const left = error.code === "SHUTTING_DOWN" ? this.#stream?.address : undefined;
      this.#host.leaderMissed(this.topic, this.partition, left);
    }
  }

  /** What a refusal means for the batch; nothing: it is sent again as it is. */
  #judge(batch: Batch, error: MillraceError): void {
    switch (error.code) {
      case "PRECEDING_FAILED":
        return;
      case "ALREADY_WRITTEN":
        this.#remove(batch);
        this.#host.released(batch.bufferedBytes, batch.count, false);
        batch.resolve(undefined);
        return;
      case "UNKNOWN_TOPIC":
        // What was certainly not written may go into another topic of that name; what may be in the one that is gone goes nowhere else.
        if (batch.topicId === undefined || batch.maybeWritten) batch.failure = error;
        else {
          batch.topicId = undefined;
          this.#topicGone = true;
        }
        return;
      case "UNKNOWN_PRODUCER":
        batch.needsIdentity = true;
        return;
      case "OUT_OF_ORDER_SEQUENCE":
        // Behind a batch that failed too this is only the echo of that failure.
        if (this.#window[0] !== batch) return;
        // All before it were answered, so the log has lost some of them, or more than it was told of: no sequence of ours fits any more.
        // The batch fails, so that somebody hears of it; what follows goes on under another id (settleFailures).
        batch.failure = error;
        batch.needsIdentity = true;
        return;
      default:
        if (!error.retriable || !(error.outcomeKnown || this.#host.settings.idempotent)) batch.failure = error;
    }
  }

  #continue(): void {
    if (this.#phase === "draining" && this.#outstanding === 0) this.#recover();
    else if (!this.scheduled) this.#host.schedule(this);
  }

  /** Nothing is on its way: settles what has failed for good, then sends the rest again after a pause. */
  #recover(): void {
    this.#settleFailures();
    this.#phase = "waiting";
    this.#failures++;
    // Another broker may answer at once, or hold the batches until there is a leader; only then is it worth waiting.
    const pause = this.#lostStream && this.#failures === 1 ? 0 : backoffMs(this.#failures, this.#host.random, this.#retryAfterMs);
    this.#lostStream = false;
    this.#retryAfterMs = 0;
    this.#host.telemetry.log("debug", "producer.resend", {
      topic: this.topic,
      partition: this.partition,
      batches: this.#window.length,
      pauseMs: pause,
    });
    const goOn = (): void => {
      this.#phase = "flowing";
      this.#host.schedule(this);
    };
    if (this.#topicGone) this.#lookForTopic(() => this.#host.clock.after(pause, goOn));
    else this.#host.clock.after(pause, goOn);
  }

  #lookForTopic(then: () => void): void {
    this.#topicGone = false;
    this.#host.loadAnew(this.topic).then(then, (error: unknown) => {
      // That nobody answers is no news: it is asked again.
      if (error instanceof MillraceError && error.code === "UNKNOWN_TOPIC") {
        for (const batch of this.#window) if (batch.topicId === undefined) batch.failure ??= error;
        this.#settleFailures();
      }
      then();
    });
  }

  /**
   * Takes failed batches out of the window. Those behind them have sequences that no broker will accept any more: they get new
   * ones, under the same identity when it is certain that the failed ones were not written, else under a new one. A batch that
   * may be in the log is never sent under another identity or sequence (design §6): it fails, outcome unknown.
   */
  #settleFailures(): void {
    const from = this.#window.findIndex((batch) => batch.failure !== undefined || batch.needsIdentity);
    if (from < 0) return;
    const behind = this.#window.splice(from);
    let renew = false;
    for (const batch of behind) {
      renew ||= batch.needsIdentity || batch.maybeWritten;
      if (batch.failure !== undefined) this.#reject(batch, batch.failure);
      else if (batch.maybeWritten && this.#host.settings.idempotent) this.#reject(batch, batch.lastUnknown as MillraceError);
      else this.#window.push(batch);
    }
    if (!this.#host.settings.idempotent) return;
    if (renew) {
      // The newest one, also where the first batch has an older: the log may have what went out under it, and would take the next for that.
      this.#staleIdentity = this.#identity ?? this.#staleIdentity;
      this.#identity = undefined;
    } else this.#nextSequence = behind.find(({ identity }) => identity === this.#identity)?.sequence ?? this.#nextSequence;
    for (const batch of this.#window.slice(from)) {
      batch.needsIdentity = false;
      batch.sequence = -1;
      batch.identity = undefined;
    }
  }

  #reject(batch: Batch, error: MillraceError): void {
    const said = batch.maybeWritten && error.outcomeKnown ? (batch.lastUnknown as MillraceError) : error;
    this.#host.released(batch.bufferedBytes, batch.count, true);
    this.#host.telemetry.log("warn", "producer.batch_failed", {
      topic: this.topic,
      partition: this.partition,
      records: batch.count,
      code: said.code,
    });
    batch.reject(new DeliveryFailed(this.topic, this.partition, said));
  }

  /** Gives up batches whose time is over. @param due those with a deadline at or before it */
  expire(due: number): void {
    let expired = false;
    for (const batch of this.#window) {
      if (batch.deadline > due || batch.failure !== undefined) continue;
      expired = true;
      if (this.#returned(batch)) {
        batch.maybeWritten = true;
        batch.lastUnknown ??= this.#timedOut(batch, true);
      }
      batch.failure = this.#timedOut(batch, batch.maybeWritten);
    }
    while (this.#closed.length > 0 && (this.#closed[0] as Batch).deadline <= due) this.#expireUnsent(this.#closed.shift() as Batch);
    if (this.#open !== undefined && this.#open.deadline <= due) {
      const open = this.#open;
      this.#open = undefined;
      this.#expireUnsent(open);
    }
    if (!expired) return;
    if (this.#phase === "waiting") this.#settleFailures();
    else {
      this.#phase = "draining";
      this.#continue();
    }
  }

  #expireUnsent(batch: Batch): void {
    this.#reject(batch, this.#timedOut(batch, false));
  }

  #timedOut(batch: Batch, unknown: boolean): MillraceError {
    const ms = this.#host.settings.deliveryTimeoutMs;
    const last = batch.lastUnknown === undefined ? "" : ` (last: ${batch.lastUnknown.message})`;
    return unknown
      ? new MillraceError("REQUEST_TIMED_OUT", `No acknowledgement within ${ms} ms; it may have been written${last}`)
      : new MillraceError("DEADLINE_PASSED", `Nothing was written within ${ms} ms`);
  }

  /** No identity can be had: fails what was never sent. */
  failUnsent(error: MillraceError): void {
    const unsent = this.batches().filter((batch) => batch.attempts === 0);
    this.#window = this.#window.filter((batch) => batch.attempts > 0);
    this.#closed.length = 0;
    this.#open = undefined;
    for (const batch of unsent) this.#reject(batch, error);
  }

  /** The producer closes: fails everything that is left. */
  abandon(): void {
    for (const batch of this.batches()) {
      if (this.#returned(batch)) batch.maybeWritten = true;
      batch.lastUnknown ??= new MillraceError(
        "CONNECTION_LOST",
        "The producer was closed before the answer came; it may have been written",
      );
      this.#reject(batch, new MillraceError("CLIENT_CLOSED", "The producer was closed; nothing was written"));
    }
    this.#open = undefined;
    this.#closed.length = 0;
    this.#window.length = 0;
  }
}
