import type { Clock } from "../../base/ports/clock.ts";

/**
 * How fast all catch-ups of this broker together may send, as a bucket that is paid afterwards: who comes may go when what left before
 * is paid for, whatever the size of its own piece. So pieces larger than a second's worth pass too, and nothing is saved up while idle.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #rate: (now: number, idleMs: number) => number;
  #paidAt = -Infinity;

  /** @param rate bytes per second, for the piece that comes now, so long after the last one was paid for (below 0: before); 0: no limit */
  constructor(clock: Clock, rate: (now: number, idleMs: number) => number) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Resolves when a piece of so many bytes may leave. */
  async take(bytes: number): Promise<void> {
    const now = this.#clock.monotonic();
    const bytesPerSecond = this.#rate(now, now - this.#paidAt);
    if (bytesPerSecond === 0) return;
    const from = Math.max(now, this.#paidAt);
    this.#paidAt = from + (bytes / bytesPerSecond) * 1000;
    if (from > now) await new Promise<void>((resolve) => void this.#clock.after(from - now, resolve));
  }
}
