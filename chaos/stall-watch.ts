import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** Something of the machine that took long by itself: before and after, milliseconds since 1970 with fractions. */
export interface Stall {
  readonly from: number;
  readonly until: number;
}

/** A thread that does one small thing again and again, and tells when it took long. Times are `performance.now()`. */
export class StallWatch {
  readonly #worker: Worker;
  readonly #stalls: Stall[] = [];

  constructor(script: URL, workerData?: string) {
    this.#worker = new Worker(script, { workerData });
    this.#worker.on("message", (stall: Stall) => {
      this.#stalls.push({ from: stall.from - performance.timeOrigin, until: stall.until - performance.timeOrigin });
    });
  }

  async online(): Promise<void> {
    await once(this.#worker, "online");
  }

  /** Milliseconds between two times in which it did not return. */
  stalledWithin(from: number, until: number): number {
    let sum = 0;
    for (const stall of this.#stalls) sum += Math.max(0, Math.min(stall.until, until) - Math.max(stall.from, from));
    return sum;
  }

  /** How long those lasted that overlap the window, milliseconds. */
  waits(from: number, until: number): readonly number[] {
    return this.#stalls.filter((stall) => stall.until > from && stall.from < until).map((stall) => stall.until - stall.from);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
