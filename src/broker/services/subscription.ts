import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { ServerStream } from "../../base/ports/rpc-server.ts";
import {
  type FetchedBatch,
  type FetchResponse,
  type SubscribeRequest,
  SubscribeResponse,
  type SubscribeStart,
} from "../../protocol/public.ts";
import { cutRecordSet } from "../../records/record-set.ts";

/** What one fetch of a subscription asks; answered by whoever leads the partition. */
export interface SubscriptionFetch {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly maxBytes: number;
  readonly accept: SubscribeRequest["accept"];
}

export interface SubscriptionBackend {
  /** Waits for records; `done` exactly once unless cancelled. */
  read(request: SubscriptionFetch, done: (outcome: FetchResponse | MillraceError) => void): () => void;
  /** Turns the ends of one partition into offsets. @throws {MillraceError} */
  positions(topic: string, start: SubscribeStart): Promise<{ readonly from: number; readonly until: number | undefined }>;
}

/** Bytes of one message of a subscription; a stub that did not raise its limit takes 4 MiB. */
const CHUNK_BYTES = 1024 * 1024;
/** Fetches of one stream that are under way and will bring records at once; those that wait for records to come cost nothing. */
const BACKLOG_READS_MAX = 4;
/** High watermark of a partition that has not been read, or could not be: how long its fetch takes is anybody's guess. */
const UNKNOWN = -1;
/** After a refusal that says "again", milliseconds. */
const RETRY_MS = 50;

interface Pump {
  readonly partition: number;
  offset: number;
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
  readonly #pumps: Pump[] = [];
  /** Waiting for room or for their turn, first come first. */
  readonly #stalled = new Set<Pump>();
  #reading = 0;
  #full = false;
  #over = false;
  #gone: () => void = () => {};

  constructor(stream: ServerStream, request: SubscribeRequest, backend: SubscriptionBackend, clock: Clock) {
    this.#stream = stream;
    this.#request = request;
    this.#backend = backend;
    this.#clock = clock;
  }

  /** Begins; it may be over before this returns. @param gone called once, when the stream is over for whatever reason */
  start(gone: () => void): void {
    this.#gone = gone;
    this.#stream.call.onCancel(() => this.#stop());
    void this.#open();
  }

  drained(): void {
    this.#full = false;
    this.#takeTurns();
  }

  #takeTurns(): void {
    for (const pump of [...this.#stalled]) {
      if (this.#full || this.#over) return;
      // Most of those behind it could not begin either; those that only wait for records lose little.
      if (this.#reading >= BACKLOG_READS_MAX) return;
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
    try {
      const { topic, partitions } = this.#request;
      if (partitions.length === 0)
        throw new MillraceError("INVALID_REQUEST", "Cannot subscribe to no partition: name at least one", { field: "partitions" });
      if (this.#request.maxRate !== 0)
        throw new MillraceError("NOT_IMPLEMENTED", "Subscribe with max_rate is not part of this version", { field: "max_rate" });
      const opened = await Promise.all(partitions.map(async (start) => ({ start, at: await this.#backend.positions(topic, start) })));
      if (this.#over) return;
      for (const { start, at } of opened)
        this.#pumps.push({
          partition: start.partition,
          offset: at.from,
          until: at.until,
          highWatermark: UNKNOWN,
          cancel: undefined,
          done: false,
        });
      for (const pump of this.#pumps) this.#next(pump);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.close(error);
    }
  }

  #next(pump: Pump): void {
    if (this.#over || pump.done) return;
    if (pump.until !== undefined && pump.offset >= pump.until) return this.#finish(pump);
    const backlog = pump.offset < pump.highWatermark;
    if (this.#full || (backlog && this.#reading >= BACKLOG_READS_MAX)) {
      this.#stalled.add(pump);
      return;
    }
    if (backlog) this.#reading += 1;
    const { topic, accept } = this.#request;
    pump.cancel = this.#backend.read(
      { topic, partition: pump.partition, offset: pump.offset, maxBytes: CHUNK_BYTES, accept },
      (outcome) => {
        pump.cancel = undefined;
        if (backlog) this.#reading -= 1;
        if (this.#over) return;
        if (outcome instanceof MillraceError) this.#failed(pump, outcome);
        else this.#pass(pump, outcome);
        if (this.#stalled.size > 0) this.#clock.soon(() => this.#takeTurns());
      },
    );
  }

  #pass(pump: Pump, fetched: FetchResponse): void {
    const { until } = pump;
    pump.highWatermark = fetched.highWatermark;
    if (this.#full && fetched.batches.length > 0) {
      this.#stalled.add(pump);
      return;
    }
    const batches = until === undefined ? fetched.batches : cutAt(fetched.batches, until);
    if (fetched.batches.length > 0) {
      pump.offset = fetched.nextOffset;
      const nextOffset = until === undefined ? fetched.nextOffset : Math.min(until, fetched.nextOffset);
      const room = this.#stream.write(
        SubscribeResponse.encode({ partition: pump.partition, batches, highWatermark: fetched.highWatermark, nextOffset }),
      );
      if (!room) this.#full = true;
    }
    // Not at once: a partition with a long backlog must let the others, and everything else, have their turn.
    this.#clock.soon(() => this.#next(pump));
  }

  #failed(pump: Pump, error: MillraceError): void {
    if (!error.retriable) return this.close(error);
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
    const nextOffset = pump.until === undefined ? pump.offset : Math.min(pump.until, pump.offset);
    this.#stream.write(SubscribeResponse.encode({ partition: pump.partition, nextOffset, done: true }));
    if (!this.#pumps.every((other) => other.done)) return;
    this.#over = true;
    this.#stream.end();
    this.#gone();
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#gone();
    for (const pump of this.#pumps) pump.cancel?.();
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
