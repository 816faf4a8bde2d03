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
/** After a refusal that says "again", milliseconds. */
const RETRY_MS = 50;

interface Pump {
  readonly partition: number;
  offset: number;
  readonly until: number | undefined;
  cancel: (() => void) | undefined;
  done: boolean;
}

/**
 * One `Subscribe` stream: each partition is fetched in turn from its leader, wherever that is, and passed on. The next fetch of a
 * partition begins when the stream has room, so a slow reader holds one chunk per partition here and the rest waits in HTTP/2.
 */
export class Subscription {
  readonly #stream: ServerStream;
  readonly #backend: SubscriptionBackend;
  readonly #clock: Clock;
  readonly #request: SubscribeRequest;
  readonly #pumps: Pump[] = [];
  readonly #stalled = new Set<Pump>();
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
    const stalled = [...this.#stalled];
    this.#stalled.clear();
    for (const pump of stalled) this.#next(pump);
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
        this.#pumps.push({ partition: start.partition, offset: at.from, until: at.until, cancel: undefined, done: false });
      for (const pump of this.#pumps) this.#next(pump);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.close(error);
    }
  }

  #next(pump: Pump): void {
    if (this.#over || pump.done) return;
    if (pump.until !== undefined && pump.offset >= pump.until) return this.#finish(pump);
    if (this.#full) {
      this.#stalled.add(pump);
      return;
    }
    const { topic, accept } = this.#request;
    pump.cancel = this.#backend.read(
      { topic, partition: pump.partition, offset: pump.offset, maxBytes: CHUNK_BYTES, accept },
      (outcome) => {
        pump.cancel = undefined;
        if (this.#over) return;
        if (outcome instanceof MillraceError) this.#failed(pump, outcome);
        else this.#pass(pump, outcome);
      },
    );
  }

  #pass(pump: Pump, fetched: FetchResponse): void {
    const { until } = pump;
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
