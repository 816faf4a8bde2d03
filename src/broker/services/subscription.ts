import { MillraceError } from "../../base/errors.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { ServerStream } from "../../base/ports/rpc-server.ts";
import {
  type FetchedBatch,
  type FetchResponse,
  type SubscribeRequest,
  SubscribeResponse,
  type SubscribeStart,
} from "../../protocol/public.ts";
import { cutRecordSet } from "../../records/record-set.ts";
import { RecordPace } from "./record-pace.ts";
import type { ReplyRoom } from "./reply-room.ts";

/** The topic of a stream, for as long as it lives: another one that gets its name is another one. */
export interface SubscribedTopic {
  readonly topic: string;
  readonly topicId: string;
}

/** What one fetch of a subscription asks; answered by whoever leads the partition. */
export interface SubscriptionFetch extends SubscribedTopic {
  readonly partition: number;
  readonly offset: number;
  /** Of the record before `offset`; undefined: not known. */
  readonly lastTerm: number | undefined;
  readonly maxBytes: number;
  readonly accept: SubscribeRequest["accept"];
}

export interface SubscribedRange {
  readonly from: number;
  readonly until: number | undefined;
  /** Of the record before `from`, or of the leader that told where that is; undefined: nobody said. */
  readonly lastTerm: number | undefined;
}

export interface SubscriptionBackend {
  /** @param topicId what the name must stand for; empty: anything @throws {MillraceError} */
  topicOf(topic: string, topicId: string): Promise<{ readonly topicId: string }>;
  /** The topic that has this name now, whatever this broker has heard. @throws {MillraceError} UNKNOWN_TOPIC; no controller answers */
  latestOf(topic: string): Promise<{ readonly topicId: string }>;
  /** Waits for records; `done` exactly once unless cancelled. */
  read(request: SubscriptionFetch, done: (outcome: FetchResponse | MillraceError) => void): () => void;
  /** Turns the ends of one partition into offsets. @throws {MillraceError} */
  positions(topic: SubscribedTopic, start: SubscribeStart): Promise<SubscribedRange>;
}

/** Bytes of one message of a subscription; a stub that did not raise its limit takes 4 MiB. */
const CHUNK_BYTES = 1024 * 1024;
/** Fetches of one stream that are under way and will bring records at once; those that wait for records to come cost nothing. */
const BACKLOG_READS_MAX = 4;
/** High watermark of a partition that has not been read, or could not be: how long its fetch takes is anybody's guess. */
const UNKNOWN = -1;
/** After a refusal that says "again", milliseconds. */
const RETRY_MS = 50;
/** First fetch of a subscription with a rate; later ones follow from the size of its records. */
const PACED_BYTES = 64 * 1024;
const PACED_BYTES_MIN = 4 * 1024;

/** A stream whose reader takes nothing for so long gives way when all readers together leave too much, milliseconds. */
const STALLED_MS = 10_000;
/** While there is no room for anybody's answers, it is looked for so often, milliseconds. */
const ROOM_MS = 50;

export interface SubscriptionLimits {
  /** Most that may wait for one reader; a request may ask for less. */
  readonly creditBytesMax: number;
  /** What all readers together may leave. */
  readonly room: ReplyRoom;
}

interface Pump {
  readonly partition: number;
  /** Where it began: an end below it ends it at once, and does not move its reader back. */
  readonly begun: number;
  offset: number;
  /** Of the record before `offset`, as this stream, or its reader before, got it; or of the leader that said there is nothing behind it. */
  lastTerm: number | undefined;
  readonly until: number | undefined;
  /** As last told: below it there are records to be had at once. */
  highWatermark: number;
  cancel: (() => void) | undefined;
  done: boolean;
}

/**
 * One `Subscribe` stream: each partition is fetched in turn from its leader, wherever that is, and passed on. Fetches that bring
 * records at once begin only while the stream has room, a few at a time and in turn; what arrives when it is full is fetched again
 * later. So a slow reader holds a few chunks here, however many partitions it names.
 */
export class Subscription {
  readonly #stream: ServerStream;
  readonly #backend: SubscriptionBackend;
  readonly #clock: Clock;
  readonly #request: SubscribeRequest;
  /** Its id is known from `#open` on. */
  #topic: SubscribedTopic;
  /** The topic is settled: it was asked for by id, the metadata has confirmed it, or its leader has answered. */
  #settled: boolean;
  /** The controller is being asked what has the name. */
  #asking = false;
  /** At their ends already, and told so when the topic is settled, or nobody can say. */
  readonly #ended = new Set<Pump>();
  /** Of `#open`. */
  #attempt = 0;
  /** Of the topic that an earlier one named, and what was said of it. */
  #deleted: { readonly topicId: string; readonly error: MillraceError } | undefined;
  readonly #pumps: Pump[] = [];
  /** Waiting for room or for their turn, first come first. */
  readonly #stalled = new Set<Pump>();
  /** With `max_rate`. */
  readonly #pace: RecordPace | undefined;
  #paceTimer: Timer | undefined;
  readonly #room: ReplyRoom;
  /** Armed while the stream is full. */
  #stalledTimer: Timer | undefined;
  /** Of one fetch. */
  #chunkBytes: number;
  #reading = 0;
  #full = false;
  #over = false;
  #gone: () => void = () => {};

  constructor(stream: ServerStream, request: SubscribeRequest, backend: SubscriptionBackend, clock: Clock, limits: SubscriptionLimits) {
    this.#stream = stream;
    this.#request = request;
    this.#topic = { topic: request.topic, topicId: request.topicId };
    this.#settled = request.topicId !== "";
    this.#backend = backend;
    this.#clock = clock;
    this.#room = limits.room;
    const credit = request.creditBytes > 0 ? Math.min(request.creditBytes, limits.creditBytesMax) : limits.creditBytesMax;
    stream.unsentBytesMax = credit;
    this.#pace = request.maxRate > 0 ? new RecordPace(request.maxRate, clock) : undefined;
    this.#chunkBytes = Math.min(CHUNK_BYTES, credit, this.#pace === undefined ? CHUNK_BYTES : PACED_BYTES);
  }

  /** Begins; it may be over before this returns. @param gone called once, when the stream is over for whatever reason */
  start(gone: () => void): void {
    this.#gone = gone;
    this.#stream.call.onCancel(() => this.#stop());
    void this.#open();
  }

  drained(): void {
    this.#full = false;
    this.#stalledTimer?.cancel();
    this.#stalledTimer = undefined;
    this.#takeTurns();
  }

  #takeTurns(): void {
    for (const pump of [...this.#stalled]) {
      if (this.#over || !this.#mayWrite()) return;
      // Most of those behind it could not begin either; those that only wait for records lose little.
      if (this.#reading >= this.#readsMax) return;
      this.#stalled.delete(pump);
      this.#next(pump);
    }
  }

  close(error?: MillraceError): void {
    if (this.#over) return;
    this.#stop();
    this.#stream.end(error);
  }

  async #open(): Promise<void> {
    this.#attempt += 1;
    const attempt = this.#attempt;
    const over = (): boolean => this.#over || attempt !== this.#attempt;
    try {
      const { partitions, maxRate, creditBytes } = this.#request;
      if (partitions.length === 0)
        throw new MillraceError("INVALID_REQUEST", "Cannot subscribe to no partition: name at least one", { field: "partitions" });
      if (maxRate < 0)
        throw new MillraceError("INVALID_REQUEST", `Cannot subscribe at ${maxRate} records per second`, { field: "max_rate" });
      if (creditBytes < 0)
        throw new MillraceError("INVALID_REQUEST", `Cannot subscribe with a credit of ${creditBytes} bytes`, { field: "credit_bytes" });
      const { topic, topicId } = this.#request;
      const named: SubscribedTopic = { topic, topicId: (await this.#backend.topicOf(topic, topicId)).topicId };
      if (over()) return;
      if (named.topicId === this.#deleted?.topicId) throw this.#deleted.error;
      this.#topic = named;
      void this.#settle(attempt);
      const opened = await Promise.all(partitions.map(async (start) => ({ start, at: await this.#backend.positions(named, start) })));
      if (over()) return;
      for (const { start, at } of opened)
        this.#pumps.push({
          partition: start.partition,
          begun: at.from,
          offset: at.from,
          lastTerm: at.lastTerm,
          until: at.until,
          highWatermark: UNKNOWN,
          cancel: undefined,
          done: false,
        });
      for (const pump of [...this.#pumps]) this.#next(pump);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (!over()) this.#refused(error);
    }
  }

  /**
   * A name may have been given to another topic that this broker has not heard of yet, and which was there when the stream was asked for. It begins
   * by what was heard, without a wait, and the controller is asked meanwhile.
   */
  async #settle(attempt: number): Promise<void> {
    if (this.#settled) return;
    this.#asking = true;
    let latest: string | undefined;
    let told = true;
    try {
      latest = (await this.#backend.latestOf(this.#topic.topic)).topicId;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      // Without a controller the name stands for what was heard last.
      told = error.code === "UNKNOWN_TOPIC";
    }
    if (this.#over || attempt !== this.#attempt) return;
    this.#asking = false;
    if (this.#settled) return;
    if (told && latest !== this.#topic.topicId) return this.#beginAgain();
    this.#settled = told;
    this.#tellEnded();
  }

  #tellEnded(): void {
    const ended = [...this.#ended];
    this.#ended.clear();
    for (const pump of ended) this.#next(pump);
  }

  /** Nothing was read of the topic: what stands under its name now is asked for. */
  #beginAgain(): void {
    for (const pump of this.#pumps) {
      pump.done = true;
      pump.cancel?.();
    }
    this.#pumps.length = 0;
    this.#stalled.clear();
    this.#ended.clear();
    this.#topic = { topic: this.#request.topic, topicId: "" };
    void this.#open();
  }

  #refused(error: MillraceError): void {
    const { topicId } = this.#topic;
    if (this.#settled || topicId === "" || error.code !== "UNKNOWN_TOPIC") return this.close(error);
    this.#deleted = { topicId, error };
    this.#beginAgain();
  }

  #next(pump: Pump): void {
    if (this.#over || pump.done) return;
    if (pump.until !== undefined && pump.offset >= pump.until) {
      // What is done is done of the topic that has the name: no other one comes after it.
      if (!this.#settled && this.#asking) this.#ended.add(pump);
      else this.#finish(pump);
      return;
    }
    const backlog = pump.offset < pump.highWatermark;
    if (this.#full || (backlog && (this.#reading >= this.#readsMax || !this.#mayWrite()))) {
      this.#stalled.add(pump);
      return;
    }
    if (backlog) this.#reading += 1;
    const { accept } = this.#request;
    pump.cancel = this.#backend.read(
      {
        ...this.#topic,
        partition: pump.partition,
        offset: pump.offset,
        lastTerm: pump.lastTerm,
        maxBytes: this.#chunkBytes,
        accept,
      },
      (outcome) => {
        pump.cancel = undefined;
        if (backlog) this.#reading -= 1;
        // Done: the stream has begun again without it, and what became of the former topic says nothing of this one.
        if (this.#over || pump.done) return;
        if (outcome instanceof MillraceError) this.#failed(pump, outcome);
        else this.#pass(pump, outcome);
        if (this.#stalled.size > 0) this.#clock.soon(() => this.#takeTurns());
      },
    );
  }

  #pass(pump: Pump, fetched: FetchResponse): void {
    this.#settled = true;
    if (this.#ended.size > 0) this.#clock.soon(() => this.#tellEnded());
    pump.highWatermark = fetched.highWatermark;
    if (fetched.batches.length > 0) {
      if (!this.#mayWrite()) {
        this.#stalled.add(pump);
        return;
      }
      const last = this.#pace === undefined ? undefined : pump.offset + this.#pace.portion;
      const cut = Math.min(pump.until ?? Number.MAX_SAFE_INTEGER, last ?? Number.MAX_SAFE_INTEGER);
      const batches = cut >= fetched.nextOffset ? fetched.batches : cutAt(fetched.batches, cut);
      const end = batches.at(-1);
      // A compressed batch is never cut, so what is passed on may reach behind the place asked for.
      const passed = cut >= fetched.nextOffset || end === undefined ? fetched.nextOffset : end.baseOffset + end.recordCount;
      const nextOffset = Math.min(pump.until ?? Number.MAX_SAFE_INTEGER, passed);
      this.#paced(pump.offset, passed, batches);
      pump.offset = passed;
      pump.lastTerm = end?.term ?? pump.lastTerm;
      const room = this.#stream.write(
        SubscribeResponse.encode({ partition: pump.partition, batches, highWatermark: fetched.highWatermark, nextOffset }),
      );
      if (!room) this.#fill();
    }
    // Nothing comes behind its place yet: the log of this leader is the one it goes on in. 0: not said.
    else if (fetched.term > 0) pump.lastTerm ??= fetched.term;
    // Not at once: a partition with a long backlog must let the others, and everything else, have their turn.
    this.#clock.soon(() => this.#next(pump));
  }

  /** With a rate one at a time: of two that arrive together the second would be thrown away, always the one that is further off. */
  get #readsMax(): number {
    return this.#pace === undefined ? BACKLOG_READS_MAX : 1;
  }

  #fill(): void {
    this.#full = true;
    this.#stalledTimer ??= this.#clock.after(STALLED_MS, () => {
      this.#stalledTimer = undefined;
      if (this.#over || !this.#full) return;
      if (this.#room.full) this.close(this.#room.refusal());
      else this.#fill();
    });
  }

  /** The reader takes more, there is room, and the rate asked for allows it; where it is not the reader, a timer goes on. */
  #mayWrite(): boolean {
    if (this.#full) return false;
    const waitMs = Math.max(this.#pace?.waitMs ?? 0, this.#room.closedTo(this.#stream) ? ROOM_MS : 0);
    if (waitMs <= 0) return true;
    this.#paceTimer ??= this.#clock.after(waitMs, () => {
      this.#paceTimer = undefined;
      this.#takeTurns();
    });
    return false;
  }

  /** Counts what is passed on, and fetches about as much as a portion the next time. */
  #paced(from: number, to: number, batches: readonly FetchedBatch[]): void {
    if (this.#pace === undefined || to <= from) return;
    this.#pace.sent(to - from);
    const bytes = batches.reduce((sum, batch) => sum + (batch.records ?? batch.compressedRecords).byteLength, 0);
    const wanted = Math.ceil((bytes / (to - from)) * this.#pace.portion * 1.25);
    this.#chunkBytes = Math.max(PACED_BYTES_MIN, Math.min(CHUNK_BYTES, wanted));
  }

  #failed(pump: Pump, error: MillraceError): void {
    if (!error.retriable) return this.#refused(error);
    pump.highWatermark = UNKNOWN;
    // Reading again is harmless, whatever became of the call before.
    const timer = this.#clock.after(error.retryAfterMs ?? RETRY_MS, () => {
      pump.cancel = undefined;
      this.#next(pump);
    });
    pump.cancel = () => timer.cancel();
  }

  #finish(pump: Pump): void {
    pump.done = true;
    // What was said to be done is not begun again.
    this.#settled = true;
    const nextOffset = pump.until === undefined ? pump.offset : Math.max(pump.begun, Math.min(pump.until, pump.offset));
    const highWatermark = Math.max(pump.highWatermark, 0);
    this.#stream.write(SubscribeResponse.encode({ partition: pump.partition, nextOffset, highWatermark, done: true }));
    if (!this.#pumps.every((other) => other.done)) return;
    this.#over = true;
    this.#stalledTimer?.cancel();
    this.#paceTimer?.cancel();
    this.#stream.end();
    this.#gone();
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#gone();
    for (const pump of this.#pumps) pump.cancel?.();
    this.#paceTimer?.cancel();
    this.#stalledTimer?.cancel();
    this.#stalled.clear();
  }
}

/** Leaves out what lies at or behind `until`. A compressed batch that spans it stays whole: its reader leaves the rest out. */
function cutAt(batches: readonly FetchedBatch[], until: number): FetchedBatch[] {
  return batches
    .filter((batch) => batch.baseOffset < until)
    .map((batch) => {
      const keep = until - batch.baseOffset;
      if (batch.records === undefined || keep >= batch.recordCount) return batch;
      const rest = cutRecordSet(batch.records, keep);
      return { ...batch, recordCount: keep, records: batch.records.subarray(0, batch.records.byteLength - rest.byteLength) };
    });
}
