/** Waits below this are nobody's trouble, and clocks and timers are no finer. */
const LEAST_MS = 0.5;
/** What a wait above the level raises it by, and one below lowers it by: at rest one wait in four is above. */
const RISE = 1.2;
const FALL = 1.0627; // its cube is RISE
/** Waits until the level has found its place. */
const WARM_WAITS = 32;
/** The floor is the lowest level of this and the last such stretch. */
const STRETCH_MS = 30_000;
/** A level that nobody confirmed for so long says nothing of now. */
const FRESH_MS = 1_000;
/** How far above its floor a level may be: so many times, because waits vary and the floor is their best moment, and so much more. */
const BEAR_TIMES = 3;
const BEAR_MORE_MS = 8;

/**
 * Whether waits of one kind are long now, compared with what they lately were at their shortest. The level follows about the third
 * quartile of the waits, each of which moves it by a fixed ratio, however long it was: a single stalled sync is not heard, some in a row
 * are. Waits that are always long, on a slow disk, are their own floor; the floor forgets, so a load that stays becomes the measure too.
 */
export class WaitLevel {
  #level = 0;
  #waits = 0;
  /** Lowest level of the stretch that began at `#since`, and of the one before. */
  #lowest = Infinity;
  #lowestBefore = Infinity;
  #since = 0;
  #heardAt = -Infinity;

  /** Takes a wait that ended now. Both in milliseconds, `now` monotonic. */
  add(now: number, waitedMs: number): void {
    const waited = Math.max(LEAST_MS, waitedMs);
    this.#heardAt = now;
    this.#waits++;
    if (this.#waits === 1) this.#level = waited;
    else if (waited > this.#level) this.#level *= RISE;
    else this.#level = Math.max(LEAST_MS, this.#level / FALL);
    if (this.#waits < WARM_WAITS) return;
    if (now - this.#since >= STRETCH_MS) {
      this.#lowestBefore = this.#lowest;
      this.#lowest = this.#level;
      this.#since = now;
    } else this.#lowest = Math.min(this.#lowest, this.#level);
  }

  /** Those who wait now wait for longer than they lately had to. */
  long(now: number): boolean {
    if (this.#waits < WARM_WAITS || now - this.#heardAt > FRESH_MS) return false;
    const floor = Math.min(this.#lowest, this.#lowestBefore);
    return this.#level > floor * BEAR_TIMES + BEAR_MORE_MS;
  }
}
