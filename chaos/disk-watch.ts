import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Stall } from "./disk-watch-worker.ts";

/**
 * What the machine's disk does by itself while something is measured: a thread writes 4 KiB and calls `fdatasync`, again and again, in a
 * file of its own beside the brokers' data. On a shared disk such a call stands still for hundreds of milliseconds with nobody else
 * writing; a broker that must sync before it acknowledges stands still as long, whatever it does. Times are `performance.now()`.
 *
 * A gap is given with that time and without it. The thread's own file shares the journal of the file system with the brokers, so a stall may be of their
 * making: `alone` says what the disk did before they ran.
 */
export class DiskWatch {
  readonly #worker: Worker;
  readonly #folder: string;
  readonly #stalls: Stall[] = [];

  private constructor(worker: Worker, folder: string) {
    this.#worker = worker;
    this.#folder = folder;
    worker.on("message", (stall: Stall) => {
      this.#stalls.push({ from: stall.from - performance.timeOrigin, until: stall.until - performance.timeOrigin });
    });
  }

  static async start(): Promise<DiskWatch> {
    const folder = await mkdtemp(join(tmpdir(), "millrace-disk-watch-"));
    const worker = new Worker(new URL("./disk-watch-worker.js", import.meta.url), { workerData: join(folder, "probe") });
    const watch = new DiskWatch(worker, folder);
    await once(worker, "online");
    return watch;
  }

  /** Milliseconds between two times in which the call did not return. */
  stalledWithin(from: number, until: number): number {
    let sum = 0;
    for (const stall of this.#stalls) sum += Math.max(0, Math.min(stall.until, until) - Math.max(stall.from, from));
    return sum;
  }

  /** How often and for how long it stood still between two times. */
  text(from: number, until: number): string {
    const waits = this.#stalls.filter((stall) => stall.until > from && stall.from < until).map((stall) => stall.until - stall.from);
    if (waits.length === 0) return "no fdatasync of 4 KiB took 50 ms";
    return `${waits.length} fdatasyncs of 4 KiB took 50 ms or more, the longest ${Math.max(...waits).toFixed(0)} ms`;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
