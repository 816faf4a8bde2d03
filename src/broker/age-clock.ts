import type { Clock } from "../base/ports/clock.ts";
import type { PeerClocks } from "./peer-clocks.ts";
import { JUMP_MS, SETTLED_MS, WallClockWatch } from "./wall-clock.ts";

/** What is known of this broker's wall clock. */
export interface ClockVerdict {
  /** Age may be judged by it. */
  readonly trusted: boolean;
  /** Milliseconds it moved by against the monotonic clock, when that was a jump. */
  readonly jumpMs: number;
  /** Milliseconds it is ahead of the median of the brokers' clocks; undefined: no other clock is known. */
  readonly aheadMs: number | undefined;
  /** Clocks that were compared, this one among them. */
  readonly clocks: number;
}

/**
 * Whether the wall clock may say how old something is (design §4, Trim): not while it has jumped, and not while it is more than a minute
 * off the median of the brokers' clocks. A jump is believed when it was kept for an hour; what the others contradict never is. A broker
 * that has others and has heard none of them waits an hour too, because a clock may have been wrong before it started.
 */
export class AgeClock {
  readonly #clock: Clock;
  readonly #peers: Pick<PeerClocks, "aheadMs" | "count" | "expected">;
  readonly #watch: WallClockWatch;
  readonly #startedAt: number;

  constructor(clock: Clock, peers: Pick<PeerClocks, "aheadMs" | "count" | "expected">) {
    this.#clock = clock;
    this.#peers = peers;
    this.#watch = new WallClockWatch(clock);
    this.#startedAt = clock.monotonic();
  }

  look(): ClockVerdict {
    const jumpMs = this.#watch.jump();
    const { aheadMs, count } = this.#peers;
    const agrees =
      aheadMs === undefined
        ? !this.#peers.expected || this.#clock.monotonic() - this.#startedAt >= SETTLED_MS
        : Math.abs(aheadMs) <= JUMP_MS;
    return { trusted: jumpMs === 0 && agrees, jumpMs, aheadMs, clocks: count };
  }
}
