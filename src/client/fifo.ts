/** A queue that takes and gives in constant time; its users bound it. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  /** Items ever taken in and given out. */
  #taken = 0;
  #given = 0;
  readonly #drains: { readonly upTo: number; readonly run: () => void }[] = [];

  get length(): number {
    return this.#items.length - this.#head;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#taken++;
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.#head === this.#items.length) return undefined;
    this.#items[this.#head++] = undefined;
    // Moves the rest down once half is empty: each item is moved at most once on average.
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#given++;
    while (this.#drains.length > 0 && (this.#drains[0] as { upTo: number }).upTo <= this.#given) this.#drains.shift()?.run();
    return item;
  }

  /** Resolves once everything that is in it now was given out. */
  drained(): Promise<void> {
    if (this.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drains.push({ upTo: this.#taken, run: resolve }));
  }
}
