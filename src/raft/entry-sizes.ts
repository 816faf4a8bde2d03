import type { LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";

/**
 * Bytes of the newest entries: what windows and limits count. Kept as running sums, so the bytes of any range are one
 * subtraction. Entries older than the first one kept (recovered, or forgotten) count as the largest an entry may be: a range of
 * them goes one by one, slowly but never above a limit.
 */
export class EntrySizes {
  readonly #unknownBytes: number;
  /** Index of the entry whose running sum is at `#head`. */
  #first: number;
  /** Running sum just before `#first`. */
  #before = 0;
  #head = 0;
  #sums: number[] = [];

  constructor(firstIndex: number, unknownBytes: number) {
    this.#first = firstIndex;
    this.#unknownBytes = unknownBytes;
  }

  push(bytes: number): void {
    invariant(bytes >= 0, () => `an entry has ${bytes} bytes`);
    this.#sums.push((this.#sums.length > this.#head ? (this.#sums.at(-1) as number) : this.#before) + bytes);
  }

  truncateFrom(index: number): void {
    const keep = this.#head + Math.max(0, index - this.#first);
    if (keep < this.#sums.length) this.#sums.length = keep;
    if (index < this.#first) this.#first = index;
  }

  forgetBelow(index: number): void {
    const drop = Math.min(index - this.#first, this.#sums.length - this.#head);
    if (drop <= 0) return;
    this.#before = this.#sums[this.#head + drop - 1] as number;
    this.#head += drop;
    this.#first += drop;
    // Half of the array is dead: copy once per doubling, O(1) per entry.
    if (this.#head > 64 && this.#head * 2 > this.#sums.length) {
      this.#sums = this.#sums.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Bytes of `first`…`last`, both included; 0 when the range is empty. */
  between(first: number, last: number): number {
    if (last < first) return 0;
    const unknown = Math.max(0, Math.min(last + 1, this.#first) - first);
    if (last < this.#first) return unknown * this.#unknownBytes;
    return unknown * this.#unknownBytes + this.#sumAt(last) - this.#sumAt(Math.max(first, this.#first) - 1);
  }

  /** The last index such that `first`…it is at most `bytesMax`; at least `first` itself. */
  fit(first: number, last: number, bytesMax: number): LogIndex {
    let end = first;
    let bytes = this.between(first, first);
    while (end < last) {
      bytes += this.between(end + 1, end + 1);
      if (bytes > bytesMax) break;
      end += 1;
    }
    return end as LogIndex;
  }

  #sumAt(index: number): number {
    if (index < this.#first) return this.#before;
    const sum = this.#sums[this.#head + index - this.#first];
    invariant(sum !== undefined, () => `no size is kept for entry ${index}`);
    return sum;
  }
}
