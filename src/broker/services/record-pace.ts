import type { Clock } from "../../base/ports/clock.ts";

/** Records go out in portions of so much time, milliseconds: often enough to look steady, seldom enough to cost little. */
const PORTION_MS = 100;
/** Records of one portion, at most. */
const PORTION_MAX = 1_000_000;
/** A timer cannot hold a wait of years; who waits that long looks again now and then. */
const WAIT_MS_MAX = 60_000;

/**
 * Spreads records over time (`SubscribeRequest.max_rate`). What was sent is paid for by waiting before the next is sent, so a batch that
 * cannot be cut makes a longer pause, never a higher rate; time in which nothing was sent is not saved up.
 */
export class RecordPace {
  readonly #clock: Clock;
  readonly #recordMs: number;
  /** Records to send in one go: at least one. */
  readonly portion: number;
  /** Monotonic: when the next may go. */
  #dueAt = 0;

  /** @param perSecond above 0 */
  constructor(perSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#recordMs = 1_000 / perSecond;
    this.portion = Math.max(1, Math.min(PORTION_MAX, Math.floor((perSecond * PORTION_MS) / 1_000)));
  }

  /** Milliseconds until records may go; 0: now. */
  get waitMs(): number {
    return Math.min(WAIT_MS_MAX, Math.max(0, this.#dueAt - this.#clock.monotonic()));
  }

  sent(records: number): void {
    this.#dueAt = Math.max(this.#dueAt, this.#clock.monotonic()) + records * this.#recordMs;
  }
}
