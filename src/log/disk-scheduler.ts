/** Calls at once of each kind. The write-ahead log has a thread of its own beside these: 1 + 2 + 2 + 3 of a pool of 8 (design §4). */
export const LANES = { write: 2, sync: 2, read: 3 } as const;
export type Lane = keyof typeof LANES;

/** Lets few disk calls of each kind run at once, first come first served, so that the write-ahead log never waits for a thread. */
export class DiskScheduler {
  readonly #idle: (() => void)[] = [];
  readonly #running: Record<Lane, number> = { write: 0, sync: 0, read: 0 };
  #done = 0;
  readonly #waiting: Record<Lane, (() => void)[]> = { write: [], sync: [], read: [] };

  /** A read that nobody waits for (scrub, repair): it begins only while no more than one other read is under way. */
  async idle<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running.read > 1) await new Promise<void>((resolve) => this.#idle.push(resolve));
    return this.run("read", work);
  }

  /** Calls that have ended. */
  get done(): number {
    return this.#done;
  }
  /** No call is under way. */
  get quiet(): boolean {
    return this.#running.write + this.#running.sync + this.#running.read === 0;
  }

  async run<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    if (this.#running[lane] >= LANES[lane]) await new Promise<void>((resolve) => this.#waiting[lane].push(resolve));
    else this.#running[lane] += 1;
    try {
      return await work();
    } finally {
      this.#done += 1;
      // The place goes straight to the next in line, so a newcomer cannot slip in between.
      const next = this.#waiting[lane].shift();
      if (next === undefined) this.#running[lane] -= 1;
      else next();
      if (lane === "read" && this.#running.read <= 1) this.#idle.shift()?.();
    }
  }
}
