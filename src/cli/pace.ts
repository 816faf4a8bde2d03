/** Lets through so many turns per second, by the clock: lateness is made up for, up to a second's worth. */
export class Pace {
  readonly #perMs: number;
  #from = performance.now();
  #turns = 0;

  constructor(perSecond: number) {
    this.#perMs = perSecond / 1000;
  }

  /** @returns a promise when the turn is not due yet */
  turn(): Promise<void> | undefined {
    const now = performance.now();
    const due = this.#from + this.#turns / this.#perMs;
    this.#turns++;
    if (due <= now) {
      if (now - due > 1000) {
        this.#from = now;
        this.#turns = 1;
      }
      return undefined;
    }
    return new Promise((resolve) => setTimeout(resolve, due - now));
  }
}
