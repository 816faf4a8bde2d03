import type { Clock } from "../../base/ports/clock.ts";

/**
 * How fast all catch-ups of this broker together may send, as a bucket that is paid afterwards: who comes may go when what left before
 * is paid for, whatever the size of its own piece. So pieces larger than a second's worth pass too, and nothing is saved up while idle.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #paidAt = 0;

  /** @param bytesPerSecond 0: no limit */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when a piece of so many bytes may leave. */
  async take(bytes: number): Promise<void> {
    if (this.#bytesPerSecond === 0) return;
    const now = this.#clock.monotonic();
    const from = Math.max(now, this.#paidAt);
    this.#paidAt = from + (bytes / this.#bytesPerSecond) * 1000;
    if (from > now) await new Promise<void>((resolve) => void this.#clock.after(from - now, resolve));
  }
}
