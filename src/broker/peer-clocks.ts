import type { BrokerId } from "../base/ids.ts";
import type { Clock, Timer } from "../base/ports/clock.ts";
import type { PeerLinks } from "./peers/peer-links.ts";

/** Asks another broker for its wall clock; the answer is a float64, little-endian, milliseconds since 1970. */
export const CLOCK_METHOD = "broker.clock";

/** How often the others are asked, and those that are connected and have not said anything yet. */
const ASK_MS = 10_000;
const FIRST_MS = 1_000;
/** An answer that took longer says too little; it is off by half of that at most. */
const ANSWER_MS = 1_000;
/** What a broker said is believed for so long after it is gone: clocks that go by themselves drift less than a second in that time. */
const BELIEVED_MS = 60 * 60_000;

export interface PeerClocksParts {
  readonly clock: Clock;
  readonly links: Pick<PeerLinks, "connected" | "call">;
  /** All other brokers of the cluster. */
  others(): Iterable<BrokerId>;
}

interface Sample {
  /** Its wall clock minus our monotonic one: what ours does meanwhile changes nothing. */
  readonly difference: number;
  readonly at: number;
}

/** What the other brokers' wall clocks say of this one (design §4, Trim). */
export class PeerClocks {
  readonly #parts: PeerClocksParts;
  readonly #samples = new Map<BrokerId, Sample>();
  #timer: Timer | undefined;
  #round = 0;

  constructor(parts: PeerClocksParts) {
    this.#parts = parts;
    this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** There are others that could be asked, whether or not they can be reached. */
  get expected(): boolean {
    for (const _ of this.#parts.others()) return true;
    return false;
  }

  /** Clocks known, this one among them. */
  get count(): number {
    return 1 + this.#known().length;
  }

  /**
   * Milliseconds this broker's wall clock is ahead of the median of all that are known, its own among them; below 0: behind. Of the two
   * in the middle of an even number the one further off counts: nobody can say which of two is wrong.
   *
   * @returns undefined: no other is known
   */
  get aheadMs(): number | undefined {
    const { clock } = this.#parts;
    const own = clock.wall() - clock.monotonic();
    const known = this.#known();
    if (known.length === 0) return undefined;
    const ahead = [0, ...known.map(({ difference }) => own - difference)].sort((a, b) => a - b);
    const upper = ahead[ahead.length >>> 1] as number;
    const lower = ahead[(ahead.length - 1) >>> 1] as number;
    return Math.abs(lower) > Math.abs(upper) ? lower : upper;
  }

  /** A broker was connected: it is asked at once. */
  peerBack(broker: BrokerId): void {
    this.#ask(broker);
  }

  #known(): readonly Sample[] {
    const oldest = this.#parts.clock.monotonic() - BELIEVED_MS;
    const others = new Set(this.#parts.others());
    return [...this.#samples].filter(([broker, { at }]) => at >= oldest && others.has(broker)).map(([, sample]) => sample);
  }

  #arm(): void {
    const { clock, links } = this.#parts;
    this.#timer = clock.after(FIRST_MS, () => {
      this.#round = (this.#round + 1) % (ASK_MS / FIRST_MS);
      for (const broker of this.#parts.others())
        if (this.#round === 0 || (!this.#samples.has(broker) && links.connected(broker))) this.#ask(broker);
      this.#arm();
    });
  }

  #ask(broker: BrokerId): void {
    const { clock, links } = this.#parts;
    if (!links.connected(broker)) return;
    const asked = clock.monotonic();
    links.call(broker, CLOCK_METHOD, [], ANSWER_MS, (outcome) => {
      // One of an earlier version knows no such question: it is no witness.
      if ("error" in outcome || outcome.body.byteLength !== 8) return;
      const wall = new DataView(outcome.body.buffer, outcome.body.byteOffset, 8).getFloat64(0, true);
      if (!Number.isSafeInteger(wall)) return;
      const at = clock.monotonic();
      this.#samples.set(broker, { difference: wall - (asked + at) / 2, at });
    });
  }
}
