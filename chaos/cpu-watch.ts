import { StallWatch } from "./stall-watch.ts";

/**
 * What the machine does by itself while something is measured: a thread sleeps for 5 ms, again and again, and tells when it was woken
 * late. Whoever waits for a timer beside it waits as long, whatever it does.
 */
export class CpuWatch extends StallWatch {
  static async start(): Promise<CpuWatch> {
    const watch = new CpuWatch(new URL("./cpu-watch-worker.js", import.meta.url));
    await watch.online();
    return watch;
  }

  /** How often and for how long it stood still between two times. */
  text(from: number, until: number): string {
    const waits = this.waits(from, until);
    if (waits.length === 0) return "no sleep of 5 ms took 20 ms longer";
    return `${waits.length} sleeps of 5 ms took 20 ms longer or more, the longest ${Math.max(...waits).toFixed(0)} ms`;
  }
}
