import type { SimRandom } from "../random.ts";
import type { WireMessage } from "./wire.ts";

/** Delay of one healthy link, milliseconds. */
const DELAY_MS: readonly [number, number] = [0.05, 0.6];
/** How long after a cut is healed the first packet gets through again: TCP tries again ever more seldom. */
const RETRANSMIT_MS_MAX = 300;
/** A segment nobody acknowledged is sent again after so long (Linux' least timeout, RFC 6298 with 200 ms). */
const RETRANSMIT_MS = 200;

/** One direction between two hosts. What it does not let through waits; connections never lose single messages, they break. */
export class Link {
  readonly from: string;
  readonly to: string;
  #delayMs: readonly [number, number] = DELAY_MS;
  /** Times out of 10,000 that a segment breaks its connection instead of arriving. */
  breaksPerTenThousand = 0;
  /** Percent of the segments that are lost on the way and sent again: what a lossy network is to a program on TCP. */
  lossPercent = 0;
  /** Nothing arrives before this moment (virtual milliseconds). */
  cloggedUntil = 0;
  /** Called with each message as it leaves, whether or not it ever arrives, and the number of its connection. */
  watch: ((message: WireMessage, connection: number) => void) | undefined;
  /** May change the bytes of a message as it arrives. @returns its kind then; undefined: it is as it was sent */
  change: ((kind: number, body: Uint8Array) => number | undefined) | undefined;
  /** Called when the link is cut and when it is healed. */
  changed: (() => void) | undefined;
  #cut = false;
  #unread = false;
  readonly #random: SimRandom;
  /** What to do once the cut is healed. */
  #waiting: ((delayMs: number) => void)[] = [];
  /** What to do once the process at the end of this link reads again. */
  #unreadWaiting: (() => void)[] = [];

  constructor(from: string, to: string, random: SimRandom) {
    this.from = from;
    this.to = to;
    this.#random = random;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  cut(): void {
    this.#cut = true;
    this.changed?.();
  }

  heal(): void {
    if (!this.#cut) return;
    this.#cut = false;
    this.changed?.();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go(this.#fraction() * RETRANSMIT_MS_MAX);
  }

  /** The process at the end of this link hangs: its sockets stay open, its kernel takes what fits, and nobody reads it. */
  stopReading(): void {
    this.#unread = true;
  }

  startReading(): void {
    this.#unread = false;
    for (const go of this.#unreadWaiting.splice(0)) go();
  }

  /** @returns whether what arrives is read; if not, `again` is called once it is */
  isRead(again: () => void): boolean {
    if (this.#unread) this.#unreadWaiting.push(again);
    return !this.#unread;
  }

  /** Adds up to `extraMs` to each delay; 0: a healthy link. */
  slowTo(extraMs: number): void {
    this.#delayMs = [DELAY_MS[0], DELAY_MS[1] + extraMs];
  }

  whenHealed(go: (delayMs: number) => void): void {
    this.#waiting.push(go);
  }

  /** When something sent at `now` arrives. */
  arrival(now: number): number {
    const [least, most] = this.#delayMs;
    return Math.max(now, this.cloggedUntil) + least + (most - least) * this.#fraction() + this.#againMs();
  }

  /** How much later a segment arrives because it was lost, and lost again: each try waits twice as long as the one before. */
  #againMs(): number {
    let sum = 0;
    for (let timeout = RETRANSMIT_MS; this.lossPercent > 0 && this.#random.chance(this.lossPercent, 100); timeout *= 2) sum += timeout;
    return sum;
  }

  breaksNow(): boolean {
    return this.breaksPerTenThousand > 0 && this.#random.chance(this.breaksPerTenThousand, 10_000);
  }

  #fraction(): number {
    return this.#random.below(4096) / 4096;
  }
}
