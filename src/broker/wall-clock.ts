import type { Clock } from "../base/ports/clock.ts";

/** The wall clock jumped when it moved by more than this against the monotonic one (design §4, Trim). */
export const JUMP_MS = 60_000;
/** A wall clock that has kept its new time for so long is believed: somebody has set it right, or the machine slept. */
export const SETTLED_MS = 60 * 60_000;

/**
 * Tells whether the wall clock may be trusted to say how old something is. A clock that jumps ahead makes everything look old, and
 * what retention takes away does not come back with the right time.
 */
export class WallClockWatch {
  readonly #clock: Pick<Clock, "monotonic" | "wall">;
  /** Wall minus monotonic, as it is believed to be. */
  #believed: number;
  /** The same as it was when last looked at, and since when it has been so. */
  #seen: number;
  #seenSince: number;

  constructor(clock: Pick<Clock, "monotonic" | "wall">) {
    this.#clock = clock;
    this.#believed = clock.wall() - clock.monotonic();
    this.#seen = this.#believed;
    this.#seenSince = clock.monotonic();
  }

  /** Milliseconds the clock is ahead of what is believed, when it jumped; 0 while it may be trusted. Look often: a slow drift is followed. */
  jump(): number {
    const now = this.#clock.monotonic();
    const difference = this.#clock.wall() - now;
    if (Math.abs(difference - this.#seen) > JUMP_MS) this.#seenSince = now;
    this.#seen = difference;
    const jumped = difference - this.#believed;
    if (Math.abs(jumped) <= JUMP_MS || now - this.#seenSince >= SETTLED_MS) {
      this.#believed = difference;
      return 0;
    }
    return jumped;
  }
}
