import { invariant } from "../../base/invariant.ts";
import type { Random } from "../../base/ports/random.ts";

/**
 * Seeded randomness in 32-bit integer arithmetic only, so that a seed means the same on every machine and Node version.
 * The generator is sfc32 (Chris Doty-Humphrey's "small fast counting", PractRand).
 */
export class SimRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream = "") {
    this.#a = seed | 0;
    this.#b = Math.trunc(seed / 2 ** 32) | 0;
    this.#c = hashOf(stream);
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** An independent generator: what one part draws does not shift what another one gets. */
  fork(stream: string): SimRandom {
    return new SimRandom(this.uint32() * 2 ** 21 + (this.uint32() >>> 11), stream);
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  below(bound: number): number {
    invariant(Number.isSafeInteger(bound) && bound >= 1 && bound <= 2 ** 32, () => `bound must be 1 to 2^32: got ${bound}`);
    // The bias of the remainder is at most bound / 2^32: no matter here, and one draw per call keeps traces easy to follow.
    return this.uint32() % bound;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True `times` times out of `outOf`. */
  chance(times: number, outOf: number): boolean {
    return this.below(outOf) < times;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    invariant(item !== undefined, "pick needs items");
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    const order: T[] = [];
    while (left.length > 0) order.push(...left.splice(this.below(left.length), 1));
    return order;
  }

  uuid(): string {
    const hex = [0, 1, 2, 3].map(() => this.uint32().toString(16).padStart(8, "0")).join("");
    const variant = "89ab"[this.below(4)];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }
}

/** FNV-1a over UTF-16 units, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
}
