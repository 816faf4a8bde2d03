import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StallWatch } from "./stall-watch.ts";

/**
 * What the machine's disk does by itself while something is measured: a thread writes 4 KiB and calls `fdatasync`, again and again, in a
 * file of its own beside the brokers' data. On a shared disk such a call stands still for hundreds of milliseconds with nobody else
 * writing; a broker that must sync before it acknowledges stands still as long, whatever it does. Times are `performance.now()`.
 *
 * A gap is given with that time and without it. The thread's own file shares the journal of the file system with the brokers, so a stall may be of their
 * making: `alone` says what the disk did before they ran.
 */
export class DiskWatch extends StallWatch {
  readonly #folder: string;

  private constructor(folder: string) {
    super(new URL("./disk-watch-worker.js", import.meta.url), join(folder, "probe"));
    this.#folder = folder;
  }

  static async start(): Promise<DiskWatch> {
    const watch = new DiskWatch(await mkdtemp(join(tmpdir(), "millrace-disk-watch-")));
    await watch.online();
    return watch;
  }

  /** How often and for how long it stood still between two times. */
  text(from: number, until: number): string {
    const waits = this.waits(from, until);
    if (waits.length === 0) return "no fdatasync of 4 KiB took 50 ms";
    return `${waits.length} fdatasyncs of 4 KiB took 50 ms or more, the longest ${Math.max(...waits).toFixed(0)} ms`;
  }

  override async stop(): Promise<void> {
    await super.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
