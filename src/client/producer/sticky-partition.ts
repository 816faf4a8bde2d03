import type { Random } from "../../base/ports/random.ts";

/**
 * For records without a key: sticks to one partition for some bytes, so that batches are full, then draws another
 * (as KIP-480 and KIP-794 do).
 */
export class StickyPartition {
  #partitions: number;
  readonly #switchBytes: number;
  readonly #random: Random;
  #present: number;
  #bytes = 0;

  constructor(partitions: number, switchBytes: number, random: Random) {
    this.#partitions = partitions;
    this.#switchBytes = switchBytes;
    this.#random = random;
    this.#present = random.below(partitions);
  }

  /** The topic has more partitions now: the new ones are drawn too. */
  grow(partitions: number): void {
    this.#partitions = partitions;
  }

  choose(bytes: number): number {
    if (this.#bytes >= this.#switchBytes && this.#partitions > 1) {
      this.#bytes = 0;
      // Any of the others, evenly.
      const step = 1 + this.#random.below(this.#partitions - 1);
      this.#present = (this.#present + step) % this.#partitions;
    }
    this.#bytes += bytes;
    return this.#present;
  }
}
