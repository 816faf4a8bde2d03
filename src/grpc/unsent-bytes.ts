/** Bytes of answers that were given to HTTP/2 and not taken by their readers yet, of one call, added up in a sum of all. */
export class UnsentBytes {
  readonly #sum: UnsentSum;
  #bytes = 0;
  #over = false;

  constructor(sum: UnsentSum) {
    this.#sum = sum;
  }

  add(bytes: number): void {
    if (this.#over) return;
    this.#bytes += bytes;
    this.#sum.bytes += bytes;
  }

  take(bytes: number): void {
    if (this.#over) return;
    this.#bytes -= bytes;
    this.#sum.bytes -= bytes;
  }

  /** The stream of the call is gone, and what waited on it. */
  close(): void {
    this.#sum.bytes -= this.#bytes;
    this.#over = true;
  }
}

export interface UnsentSum {
  bytes: number;
}
