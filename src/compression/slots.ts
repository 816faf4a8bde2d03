import { MillraceError } from "../base/errors.ts";

/** Lets so many tasks run at once, the others wait in order; a bounded number of them. */
export class Slots {
  readonly #name: string;
  readonly #running: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** @param name of the limit, for the error of a full queue */
  constructor(name: string, running: number, waitingMax: number) {
    this.#name = name;
    this.#running = running;
    this.#waitingMax = waitingMax;
  }

  /** @throws {MillraceError} TOO_MANY_REQUESTS when the queue is full: nothing was begun */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#running) this.#taken++;
    else await this.#wait();
    try {
      return await task();
    } finally {
      // The slot passes to whoever waits longest without becoming free in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken--;
      else next();
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.length === this.#waitingMax) {
      const text = `${this.#waitingMax} tasks wait already (${this.#name})`;
      throw new MillraceError("TOO_MANY_REQUESTS", text, { limit: this.#name }, 100);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
