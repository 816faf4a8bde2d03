import { MillraceError } from "../../base/errors.ts";

/** When to try again, milliseconds: subscriptions end when their readers do. */
const AGAIN_MS = 1_000;
/** Who subscribes to no more than this has a little room of its own: one of many partitions does not keep out those of few. */
const FEW = 16;
const FEW_SHARES = 16;

/**
 * Partitions of all open subscriptions of a broker (`subscribe.partitions.max`). Each keeps a place in its partition's queue of readers, and
 * some kilobytes of what it has asked, for as long as its stream is open.
 */
export class OpenPartitions {
  readonly #max: number;
  #open = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get open(): number {
    return this.#open;
  }

  /** @returns gives them back, once @throws {MillraceError} TOO_MANY_REQUESTS */
  take(partitions: number): () => void {
    const more = partitions <= FEW ? Math.floor(this.#max / FEW_SHARES) : 0;
    if (this.#open + partitions > this.#max + more) {
      const text = `Cannot subscribe to ${partitions} partitions: ${this.#open} are open on this broker, subscribe.partitions.max is ${this.#max}`;
      const details = { limit: "subscribe.partitions.max", limit_partitions: String(this.#max) };
      throw new MillraceError("TOO_MANY_REQUESTS", text, details, AGAIN_MS);
    }
    this.#open += partitions;
    let given = false;
    return () => {
      if (!given) this.#open -= partitions;
      given = true;
    };
  }
}
