import { MillraceError } from "../../base/errors.ts";
import type { ConsumedBatch } from "../consumer/consumed-batch.ts";
import { Consumer, type PartitionName } from "../consumer/consumer.ts";
import type { ConsumerOptions } from "../consumer/options.ts";
import type { ClientCore } from "../core.ts";
import { nameOf, type Tenure } from "./tenure.ts";

/** A partition that holds no more than this keeps its place in its stream: to leave it costs its neighbours more. */
const SHARE_BYTES_MIN = 64 * 1024;
/** When so much of what was full is left, reading goes on: soon, because partitions are not worked off equally fast, and the first is empty soon. */
const GO_ON_AT = 0.75;

export interface FetchingHost {
  arrived(tenure: Tenure, batch: ConsumedBatch): void;
  /** Nothing more comes of it. */
  refused(tenure: Tenure, error: MillraceError): void;
  /** Nothing more comes at all. */
  failed(error: MillraceError): void;
  /** A handler is free, and a partition it could work on has nothing waiting. */
  isStarved(): boolean;
}

/**
 * Fetches the partitions in hand, each from where it is, with bounded memory: while so much waits for handlers that there is no room, the
 * brokers are held. That costs nothing but holds all partitions; so where it would keep a handler from work, those that have more than their
 * share waiting are left out instead until they are through with it. Their streams are opened anew for that, those of the others too:
 * it is done for many at once, and not again before they have worked off a good part.
 */
export class Fetching {
  readonly #host: FetchingHost;
  readonly #consumer: Consumer;
  /** Of what waits for handlers; the consumer has as much for what comes in. */
  readonly #bytesMax: number;
  readonly #tenures = new Map<string, Tenure>();
  /** What waits for handlers, of each that is fetched. */
  readonly #waiting = new Map<Tenure, number>();
  readonly #leftOut = new Set<Tenure>();
  #bytes = 0;

  constructor(core: ClientCore, options: Required<ConsumerOptions>, host: FetchingHost) {
    this.#host = host;
    this.#bytesMax = Math.max(1, Math.floor(options.bufferBytesMax / 2));
    const { inflatedBytesMax } = options;
    const refused = (names: readonly PartitionName[], error: MillraceError): boolean => this.#refused(names, error);
    this.#consumer = new Consumer(core, { bufferBytesMax: this.#bytesMax, inflatedBytesMax }, undefined, refused);
    this.#run().catch((error: unknown) =>
      host.failed(error instanceof MillraceError ? error : new MillraceError("INTERNAL", String(error))),
    );
  }

  /** @param term of the record before `offset`; undefined: not known */
  begin(tenure: Tenure, offset: number, term: number | undefined): void {
    const former = this.#tenures.get(nameOf(tenure));
    if (former !== undefined) this.#forget(former);
    this.#tenures.set(nameOf(tenure), tenure);
    this.#waiting.set(tenure, 0);
    const { topic, topicId, partition } = tenure;
    this.#consumer.assign([{ topic, topicId, partition, from: { offset, term } }]);
    this.balance();
  }

  halt(tenure: Tenure): void {
    if (this.#tenures.get(nameOf(tenure)) !== tenure) return;
    this.#forget(tenure);
    this.#consumer.unassign([tenure]);
    this.balance();
  }

  /** @param bytes of it that wait for handlers */
  fill(tenure: Tenure, bytes: number): void {
    const before = this.#waiting.get(tenure);
    if (before !== undefined) {
      this.#waiting.set(tenure, bytes);
      this.#bytes += bytes - before;
    }
    this.balance();
  }

  /** To be called when a handler, or a partition, came or went. */
  balance(): void {
    if (this.#bytes <= this.#bytesMax * GO_ON_AT) {
      this.#consumer.hold(false);
      this.#takeIn(this.#bytesMax);
      return;
    }
    const share = Math.max(Math.min(SHARE_BYTES_MIN, this.#bytesMax / 4), this.#bytesMax / 2 / this.#tenures.size);
    const isFull = this.#bytes >= this.#bytesMax;
    if (!isFull && !this.#consumer.isHeld) return this.#takeInLow(share);
    const isStarved = this.#host.isStarved();
    if (isStarved) {
      this.#leaveOut(share);
      this.#consumer.hold(false);
    } else if (isFull) this.#consumer.hold(true);
    if (!isFull || isStarved) this.#takeInLow(share);
  }

  close(): void {
    this.#consumer.close();
  }

  /** Those that have more than `bytes` waiting. */
  #leaveOut(bytes: number): void {
    const tenures = [...this.#waiting].flatMap(([tenure, waiting]) => (waiting > bytes && !this.#leftOut.has(tenure) ? [tenure] : []));
    if (tenures.length === 0) return;
    for (const tenure of tenures) this.#leftOut.add(tenure);
    this.#consumer.pause(tenures);
  }

  /** When one is nearly through, all that are through with half of their share: each time costs the same. */
  #takeInLow(share: number): void {
    for (const tenure of this.#leftOut) if ((this.#waiting.get(tenure) ?? 0) <= share / 4) return this.#takeIn(share / 2);
  }

  /** Those left out that have no more than `bytes` waiting. */
  #takeIn(bytes: number): void {
    if (this.#leftOut.size === 0) return;
    const tenures = [...this.#leftOut].filter((tenure) => (this.#waiting.get(tenure) ?? 0) <= bytes);
    for (const tenure of tenures) this.#leftOut.delete(tenure);
    this.#consumer.resume(tenures);
  }

  #forget(tenure: Tenure): void {
    this.#tenures.delete(nameOf(tenure));
    this.#bytes -= this.#waiting.get(tenure) ?? 0;
    this.#waiting.delete(tenure);
    this.#leftOut.delete(tenure);
  }

  async #run(): Promise<void> {
    for await (const batch of this.#consumer.batches()) {
      const tenure = this.#tenures.get(nameOf(batch));
      if (tenure !== undefined) this.#host.arrived(tenure, batch);
    }
  }

  #refused(names: readonly PartitionName[], error: MillraceError): boolean {
    const tenures = names.flatMap((name) => this.#tenures.get(nameOf(name)) ?? []);
    for (const tenure of tenures) this.#forget(tenure);
    for (const tenure of tenures) this.#host.refused(tenure, error);
    this.balance();
    return true;
  }
}
