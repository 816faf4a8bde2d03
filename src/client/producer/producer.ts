import { MillraceError } from "../../base/errors.ts";
import { LogService } from "../../protocol/methods.ts";
import { Compression, InitProducerRequest, InitProducerResponse } from "../../protocol/public.ts";
import { partitionOf } from "../../records/murmur2.ts";
import { RECORD_SET_BYTES_MAX } from "../../records/record-set.ts";
import { recordBytesOf } from "../../records/record-set-builder.ts";
import { backoffMs } from "../backoff.ts";
import type { ClientCore } from "../core.ts";
import { Fifo } from "../fifo.ts";
import type { Identity } from "./batch.ts";
import { BufferPool } from "./buffer-pool.ts";
import { type BatchOwner, LeaderStream } from "./leader-stream.ts";
import { type ProducerOptions, type ProducerSettings, producerSettings } from "./options.ts";
import { PartitionQueue, type QueueHost } from "./partition-queue.ts";
import { asBytes, asHeaders, checkRecord, type ProducerRecord, type RecordAck } from "./record.ts";
import { StickyPartition } from "./sticky-partition.ts";

interface Send {
  readonly record: ProducerRecord;
  readonly deadline: number;
  readonly resolve: (ack: RecordAck) => void;
  readonly reject: (error: MillraceError) => void;
}

/** What the producer knows of one topic. */
interface ProducerTopic {
  readonly name: string;
  /** Undefined until metadata is there. */
  partitions: PartitionQueue[] | undefined;
  sticky: StickyPartition | undefined;
  /** Ends hearing how many partitions it has. */
  unwatch: () => void;
  /** Sends that wait for metadata, in order. */
  readonly waiting: Fifo<Send>;
}

/** Counts since the producer was made. */
export interface ProducerStats {
  readonly acknowledged: number;
  readonly failed: number;
  /** Batches sent again. */
  readonly retries: number;
  /** Bytes of records that wait for their acknowledgement. */
  readonly bufferedBytes: number;
}

/**
 * Sends records and keeps their order per partition. A promise for each: it resolves once the record is acknowledged, rejects with
 * a `DeliveryFailed` that says whether it may have been written. Under pressure `send` waits for room inside the promise it
 * returned; whoever does not await each promise should await `ready()`.
 */
export class Producer {
  readonly #core: ClientCore;
  readonly #settings: ProducerSettings;
  readonly #host: QueueHost;
  readonly #topics = new Map<string, ProducerTopic>();
  readonly #streams = new Map<string, LeaderStream>();
  #queues: PartitionQueue[] = [];
  #pumped: PartitionQueue[] = [];
  #scheduled = false;
  #bufferedBytes = 0;
  /** Sends that wait for room in the buffer. */
  readonly #waiting = new Fifo<Send>();
  #waitingForMetadata = 0;
  #readies: (() => void)[] = [];
  #identity: Identity | undefined;
  #askingIdentity = false;
  #unanswered = 0;
  #acknowledged = 0;
  #failed = 0;
  #ticking = false;
  #flushing = 0;
  #closed = false;
  readonly #gone: () => void;

  /** @param gone called once it is closed */
  constructor(core: ClientCore, options: ProducerOptions, gone: () => void = () => undefined) {
    this.#core = core;
    this.#gone = gone;
    this.#settings = producerSettings(options);
    if (this.#settings.compression !== Compression.none && core.ports.deflate === undefined) {
      throw new MillraceError("INVALID_REQUEST", "Cannot compress: this client was made without a Deflate port", { field: "compression" });
    }
    this.#host = this.#hostOf();
  }

  get stats(): ProducerStats {
    let retries = 0;
    for (const queue of this.#queues) retries += queue.retries;
    return { acknowledged: this.#acknowledged, failed: this.#failed, retries, bufferedBytes: this.#bufferedBytes };
  }

  /** @throws {DeliveryFailed} through the promise, or {MillraceError} for a record no broker could take */
  send(record: ProducerRecord): Promise<RecordAck> {
    return new Promise((resolve, reject) => this.#take(record, resolve, reject));
  }

  /** No room, or a topic is still being looked up: the next `send` may wait. */
  get isFull(): boolean {
    return !this.#roomy || this.#waiting.length + this.#waitingForMetadata > 0;
  }

  /** Resolves once there is room, so that the next `send` enters the buffer at once. */
  ready(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#readies.push(resolve));
  }

  /** Resolves once every record sent before has been acknowledged or has failed. Never rejects. */
  async flush(): Promise<void> {
    this.#flushing++;
    try {
      for (const queue of this.#queues) this.#schedule(queue);
      // Sends that wait for room or metadata become batches first.
      await Promise.all(this.#waitings().map((waiting) => waiting.drained()));
      await Promise.all(this.#queues.flatMap((queue) => queue.batches()).map((batch) => batch.settled()));
    } finally {
      this.#flushing--;
    }
  }

  /** Flushes for at most `timeoutMs` (default 30 s), then fails what is left. Later sends are refused. */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const timer = this.#core.ports.clock.after(options.timeoutMs ?? 30_000, () => this.#abandon());
    await this.flush();
    timer.cancel();
    this.#abandon();
    for (const stream of this.#streams.values()) stream.close();
    for (const topic of this.#topics.values()) topic.unwatch();
    this.#topics.clear();
    this.#gone();
  }

  get #roomy(): boolean {
    return this.#bufferedBytes < this.#settings.bufferBytesMax;
  }

  #take(record: ProducerRecord, resolve: (ack: RecordAck) => void, reject: (error: MillraceError) => void): void {
    if (this.#closed) throw new MillraceError("CLIENT_CLOSED", "Cannot send: the producer is closed");
    checkRecord(record);
    const topic = this.#topics.get(record.topic) ?? this.#addTopic(record.topic);
    if (topic.partitions !== undefined && topic.waiting.length === 0 && this.#roomy && this.#waiting.length === 0) {
      this.#admit(topic, topic.partitions, record, resolve, reject);
      return;
    }
    const known = topic.partitions !== undefined && topic.waiting.length === 0;
    if (this.#waiting.length + this.#waitingForMetadata >= this.#settings.waitingMax) {
      throw new MillraceError(
        "PENDING_FULL",
        "Cannot send: too many sends wait already; await them, or ready()",
        { limit: "waitingMax" },
        10,
      );
    }
    const send: Send = { record, deadline: this.#core.ports.clock.monotonic() + this.#settings.deliveryTimeoutMs, resolve, reject };
    if (known) this.#waiting.push(send);
    else {
      this.#waitingForMetadata++;
      topic.waiting.push(send);
    }
    this.#tick();
  }

  #admit(
    topic: ProducerTopic,
    partitions: readonly PartitionQueue[],
    record: ProducerRecord,
    resolve: (ack: RecordAck) => void,
    reject: (error: MillraceError) => void,
  ): void {
    const key = record.key ?? undefined;
    const value = record.value ?? undefined;
    const headers = asHeaders(record.headers);
    const bytes = recordBytesOf(key, value, headers, record.timestampMs);
    if (bytes > RECORD_SET_BYTES_MAX) {
      throw new MillraceError("RECORD_SET_TOO_LARGE", `Cannot send a record of ${bytes} bytes: at most ${RECORD_SET_BYTES_MAX}`, {
        limit: "max.message.bytes",
        max_bytes: String(RECORD_SET_BYTES_MAX),
      });
    }
    const partition =
      record.partition ??
      (key === undefined ? this.#stickyOf(topic, partitions.length).choose(bytes) : partitionOf(asBytes(key), partitions.length));
    const queue = partitions[partition];
    if (queue === undefined) {
      // It may have been added a moment ago.
      this.#core.metadata.refresh(topic.name);
      throw new MillraceError(
        "UNKNOWN_PARTITION",
        `Cannot send to ${topic.name}/${partition}: the topic has ${partitions.length} partitions`,
        { partitions: String(partitions.length) },
      );
    }
    queue.append(key, value, headers, record.timestampMs, bytes, resolve, reject);
    this.#bufferedBytes += bytes;
    this.#unanswered++;
    if (!this.#ticking) this.#tick();
  }

  #stickyOf(topic: ProducerTopic, partitions: number): StickyPartition {
    topic.sticky ??= new StickyPartition(partitions, this.#settings.batchBytesMax, this.#core.ports.random);
    return topic.sticky;
  }

  #addTopic(name: string): ProducerTopic {
    const topic: ProducerTopic = { name, partitions: undefined, sticky: undefined, unwatch: () => undefined, waiting: new Fifo() };
    this.#topics.set(name, topic);
    this.#core.metadata.load(name, this.#settings.deliveryTimeoutMs).then(
      (count) => {
        // The producer was closed, and everything that waited has failed.
        if (this.#topics.get(name) !== topic) return;
        topic.partitions = [];
        this.#grow(topic, count);
        topic.unwatch = this.#core.metadata.watch(name, (partitions) => this.#grow(topic, partitions));
        this.#admitFrom(topic.waiting, () => this.#waitingForMetadata--);
        this.#tellReady();
      },
      (error: unknown) => {
        // The next send asks anew.
        this.#topics.delete(name);
        const said = error instanceof MillraceError ? error : new MillraceError("INTERNAL", `Cannot load ${name}: ${String(error)}`);
        for (let send = topic.waiting.shift(); send !== undefined; send = topic.waiting.shift()) {
          this.#waitingForMetadata--;
          this.#failed++;
          send.reject(said);
        }
        this.#tellReady();
      },
    );
    return topic;
  }

  /** From now on keys are spread over so many partitions, as Kafka's producers do once they hear of them. */
  #grow(topic: ProducerTopic, count: number): void {
    const before = topic.partitions ?? [];
    if (count <= before.length) return;
    const added = Array.from({ length: count - before.length }, (_, i) => new PartitionQueue(topic.name, before.length + i, this.#host));
    topic.partitions = [...before, ...added];
    topic.sticky?.grow(count);
    this.#queues = [...this.#queues, ...added];
  }

  /** Lets waiting sends in, oldest first, as long as there is room. Metadata's own are bounded by count, so they all go in. */
  #admitFrom(waiting: Fifo<Send>, left: () => void): void {
    for (let send = waiting.peek(); send !== undefined && (waiting !== this.#waiting || this.#roomy); send = waiting.peek()) {
      waiting.shift();
      left();
      const topic = this.#topics.get(send.record.topic);
      try {
        if (topic?.partitions === undefined) throw new MillraceError("UNKNOWN_TOPIC", `Cannot send: ${send.record.topic} is gone`);
        this.#admit(topic, topic.partitions, send.record, send.resolve, send.reject);
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        this.#failed++;
        send.reject(error);
      }
    }
  }

  #waitings(): readonly Fifo<Send>[] {
    return [this.#waiting, ...[...this.#topics.values()].map((topic) => topic.waiting)];
  }

  #schedule(queue: PartitionQueue): void {
    if (queue.scheduled) return;
    queue.scheduled = true;
    this.#pumped.push(queue);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#core.ports.clock.soon(() => this.#round());
  }

  /** One turn's sends: every queue that has something, then one message per broker. */
  #round(): void {
    this.#scheduled = false;
    const queues = this.#pumped;
    this.#pumped = [];
    for (const queue of queues) {
      queue.scheduled = false;
      queue.pump();
    }
    for (const stream of this.#streams.values()) stream.flush();
  }

  #hostOf(): QueueHost {
    const core = this.#core;
    const { clock, random, telemetry, deflate } = core.ports;
    const settings = this.#settings;
    const producer = this;
    return {
      settings,
      clock,
      random,
      telemetry,
      buffers: new BufferPool(),
      compress: settings.compression === Compression.none ? undefined : (plain) => (deflate as NonNullable<typeof deflate>).gzip(plain),
      get flushing() {
        return producer.#flushing > 0;
      },
      schedule: (queue) => this.#schedule(queue),
      stream: (address) => this.#stream(address),
      route: (topic, partition, current) => core.route(topic, partition, current),
      topicId: (topic) => core.metadata.topicId(topic),
      loadAnew: (topic) => core.metadata.loadAnew(topic, Math.min(10_000, settings.deliveryTimeoutMs)),
      leaderSeen: (topic, partition, address, term) => core.metadata.hint(topic, partition, { address, term }),
      leaderMissed: (topic, partition, address) => {
        if (address !== undefined) core.metadata.leaderFailed(topic, partition, address);
        core.metadata.refresh(topic);
      },
      identity: (stale) => this.#identityOtherThan(stale),
      released: (bytes, records, failed) => this.#released(bytes, records, failed),
      batchBytesMax: (topic) => Math.min(settings.batchBytesMax, core.metadata.recordSetBytesMax(topic) ?? settings.batchBytesMax),
    };
  }

  #stream(address: string): LeaderStream {
    let stream = this.#streams.get(address);
    if (stream === undefined || stream.closed) {
      stream = new LeaderStream(address, this.#core.brokers, (waiting: readonly BatchOwner[]) => {
        for (const queue of waiting) if (queue instanceof PartitionQueue) this.#schedule(queue);
      });
      this.#streams.set(address, stream);
    }
    return stream;
  }

  #identityOtherThan(stale: Identity | undefined): Identity | undefined {
    if (this.#identity !== undefined && this.#identity !== stale) return this.#identity;
    if (!this.#askingIdentity) {
      this.#askingIdentity = true;
      void this.#askIdentity(1);
    }
    return undefined;
  }

  async #askIdentity(attempt: number): Promise<void> {
    const { clock, random, telemetry } = this.#core.ports;
    const timeoutMs = Math.min(10_000, this.#settings.deliveryTimeoutMs);
    try {
      const reply = await this.#core.calls.unary(LogService.InitProducer.path, InitProducerRequest.encode({}), {
        timeoutMs,
        repeatable: true,
      });
      const { producerId, producerEpoch } = InitProducerResponse.decode(reply);
      this.#identity = { producerId, producerEpoch };
      this.#askingIdentity = false;
      for (const queue of this.#queues) if (!queue.empty) this.#schedule(queue);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      telemetry.log("warn", "producer.no_identity", { code: error.code, attempt });
      if (!error.retriable) {
        this.#askingIdentity = false;
        for (const queue of this.#queues) queue.failUnsent(error);
      } else
        clock.after(backoffMs(attempt, random, error.retryAfterMs), () =>
          this.#unanswered > 0 ? void this.#askIdentity(attempt + 1) : this.#stopAsking(),
        );
    }
  }

  #stopAsking(): void {
    this.#askingIdentity = false;
  }

  #released(bytes: number, records: number, failed: boolean): void {
    this.#bufferedBytes -= bytes;
    this.#unanswered -= records;
    if (failed) this.#failed += records;
    else this.#acknowledged += records;
    if (this.#waiting.length > 0) this.#admitFrom(this.#waiting, () => undefined);
    this.#tellReady();
  }

  #tellReady(): void {
    if (this.#readies.length === 0 || this.isFull) return;
    const readies = this.#readies;
    this.#readies = [];
    for (const run of readies) run();
  }

  /** Looks for what took too long, as long as anything waits. */
  #tick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    const everyMs = Math.max(1, Math.min(1_000, this.#settings.deliveryTimeoutMs / 4, this.#settings.requestTimeoutMs / 4));
    this.#core.ports.clock.after(everyMs, () => {
      this.#ticking = false;
      const now = this.#core.ports.clock.monotonic();
      for (const stream of this.#streams.values()) if (!stream.closed) stream.checkTimeout(now, this.#settings.requestTimeoutMs);
      for (const queue of this.#queues) queue.expire(now);
      for (const topic of this.#topics.keys()) this.#core.metadata.refreshIfOld(topic);
      this.#expireWaiting(now);
      if (this.#unanswered + this.#waiting.length + this.#waitingForMetadata > 0) this.#tick();
    });
  }

  #expireWaiting(due: number): void {
    const waiting = this.#waiting;
    for (let send = waiting.peek(); send !== undefined && send.deadline <= due; send = waiting.peek()) {
      waiting.shift();
      this.#failed++;
      send.reject(
        new MillraceError(
          "DEADLINE_PASSED",
          `No room in the producer's buffer within ${this.#settings.deliveryTimeoutMs} ms; nothing was written`,
        ),
      );
    }
  }

  #abandon(): void {
    const refuse = (waiting: Fifo<Send>): void => {
      for (let send = waiting.shift(); send !== undefined; send = waiting.shift()) {
        this.#failed++;
        send.reject(new MillraceError("CLIENT_CLOSED", "The producer was closed; nothing was written"));
      }
    };
    for (const waiting of this.#waitings()) refuse(waiting);
    this.#waitingForMetadata = 0;
    for (const queue of this.#queues) queue.abandon();
  }
}
