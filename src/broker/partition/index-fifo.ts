import type { LogIndex } from "../../base/ids.ts";

/** What an `IndexFifo` keeps. `gone` marks an item that was taken out in the middle; it is skipped. */
export interface Indexed {
  readonly index: LogIndex;
  gone: boolean;
}

/** Dead items that are tolerated before the array is rewritten; above it at most half of the array is dead. */
const DEAD_MIN = 16;

/**
 * Items in order of their log index; equal indexes in order of arrival. Nearly every item arrives above the last one, so `add`,
 * `takeUpTo` and `remove` are O(1) amortised; an item below the last one (a retried batch) costs one insertion.
 */
export class IndexFifo<T extends Indexed> {
  #items: (T | undefined)[] = [];
  #head = 0;
  /** Items marked `gone` that still lie in the array. */
  #dead = 0;

  /** Live items. */
  get size(): number {
    return this.#items.length - this.#head - this.#dead;
  }

  add(item: T): void {
    const last = this.#items.at(-1);
    if (this.#head === this.#items.length || last === undefined || last.index <= item.index) this.#items.push(item);
    else this.#items.splice(this.#placeAfter(item.index), 0, item);
  }

  /** Lowest live index, or undefined when empty. */
  get first(): T | undefined {
    this.#skipDead();
    return this.#items[this.#head];
  }

  /** Removes and returns the first live item when its index is at or below `upTo`. */
  takeUpTo(upTo: LogIndex): T | undefined {
    const first = this.first;
    if (first === undefined || first.index > upTo) return undefined;
    this.#advance();
    return first;
  }

  /** Removes and returns the last live item when its index is at or above `from`. */
  takeFrom(from: LogIndex): T | undefined {
    while (this.#items.length > this.#head) {
      const last = this.#items.at(-1);
      if (last !== undefined && !last.gone) {
        if (last.index < from) return undefined;
        this.#items.pop();
        return last;
      }
      this.#items.pop();
      this.#dead -= 1;
    }
    return undefined;
  }

  /** Takes out an item that is inside. It must not have been taken before. */
  remove(item: T): void {
    item.gone = true;
    this.#dead += 1;
    if (this.#dead >= DEAD_MIN && this.#dead * 2 > this.#items.length - this.#head) {
      this.#items = this.#items.filter((each, at) => at >= this.#head && each !== undefined && !each.gone);
      this.#head = 0;
      this.#dead = 0;
    }
  }

  #skipDead(): void {
    while (this.#items[this.#head]?.gone === true) {
      this.#dead -= 1;
      this.#advance();
    }
  }

  /** The places before the head are cleared at once (what they held may be large) and cut off when they are half of the array. */
  #advance(): void {
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** First place whose item has an index above `index`. */
  #placeAfter(index: LogIndex): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle];
      if (item !== undefined && item.index <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
