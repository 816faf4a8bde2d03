import type { Clock } from "../../base/ports/clock.ts";
import { WaitLevel } from "./wait-level.ts";

/**
 * Whether what this broker does for its clients suffers, by two waits it has anyway: a record's for its block of the write-ahead log to be
 * durable (the disk, and the turn in which the answer is seen), and that of a timer behind its time (the processor). When nobody writes and
 * no timer is due nobody suffers.
 */
export class Strain {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #commits = new WaitLevel();
  readonly #turns = new WaitLevel();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** Records were durable so long after the first of their block was handed over. */
  committed(waitedMs: number): void {
    this.#commits.add(this.#clock.monotonic(), waitedMs);
  }

  /** A timer fired so late. */
  fired(lateMs: number): void {
    this.#turns.add(this.#clock.monotonic(), lateMs);
  }

  get suffers(): boolean {
    const now = this.#clock.monotonic();
    return this.#commits.long(now) || this.#turns.long(now);
  }
}
