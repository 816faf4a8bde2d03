/** Between two decisions: long enough for what the last one did to be seen in the waits. */
export const DECIDE_MS = 250;
/**
 * Whatever suffers, this part of the ceiling is sent: a replica that is behind is a copy that is missing. It begins there too, and again
 * when nothing was sent for a while: nobody knows yet what there is to give, and a broker that has just started has enough to do.
 */
export const FLOOR_SHARE = 1 / 16;
const STEP_SHARE = 1 / 16;
const BACK_OFF = 0.75;
const IDLE_MS = 5_000;

/**
 * How fast catch-ups may be sent now: up step by step while nobody suffers, down by a part of itself while somebody does, as senders on a
 * shared network find theirs (additive increase, multiplicative decrease: Chiu and Jain, 1989). Decides when asked, never by a timer.
 */
export class CatchUpRate {
  readonly ceiling: number;
  readonly floor: number;
  #rate: number;
  #decidedAt = -Infinity;
  /** Somebody said so since the last decision. */
  #told = false;

  /** @param ceiling bytes per second; 0: no limit, and then nothing is decided */
  constructor(ceiling: number) {
    this.ceiling = ceiling;
    this.floor = ceiling * FLOOR_SHARE;
    this.#rate = this.floor;
  }

  /** Bytes per second; 0: no limit. */
  get bytesPerSecond(): number {
    return this.#rate;
  }

  /** A follower's word with its answer. */
  tell(suffers: boolean): void {
    this.#told ||= suffers;
  }

  /**
   * Something is to be sent at `now`, monotonic milliseconds.
   *
   * @param idleMs since the last piece was paid for
   * @param suffers what this broker does for its clients
   * @returns bytes per second; 0: no limit
   */
  ask(now: number, idleMs: number, suffers: boolean): number {
    if (idleMs > IDLE_MS) {
      this.#rate = this.floor;
      this.#decidedAt = now;
      this.#told = false;
    }
    this.#told ||= suffers;
    if (now - this.#decidedAt < DECIDE_MS) return this.#rate;
    const wanted = this.#told ? this.#rate * BACK_OFF : this.#rate + this.ceiling * STEP_SHARE;
    this.#rate = Math.min(this.ceiling, Math.max(this.floor, wanted));
    this.#decidedAt = now;
    this.#told = false;
    return this.#rate;
  }
}
