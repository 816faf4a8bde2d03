import type { Clock, Timer } from "../base/ports/clock.ts";

/** Something with a deadline; `Infinity` for none. */
export interface Ticking {
  readonly nextDeadline: number;
  tick(): void;
}

/**
 * One timer for all replicas of a broker. A deadline may move
 * either way at any time; moving it earlier must be told with `wakeAt`, moving it later costs one early wake-up.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #fired: (lateMs: number) => void;
  readonly #members = new Set<Ticking>();
  #timer: Timer | undefined;
  #armedFor = Infinity;
  /** When the timer is to fire: a deadline that has passed when it is armed is not its fault. */
  #dueAt = 0;
  #scanning = false;

  /** @param fired told each time the timer fires, and how late */
  constructor(clock: Clock, fired: (lateMs: number) => void = () => {}) {
    this.#clock = clock;
    this.#fired = fired;
  }

  add(member: Ticking): void {
    this.#members.add(member);
    this.wakeAt(member.nextDeadline);
  }

  remove(member: Ticking): void {
    this.#members.delete(member);
  }

  wakeAt(deadline: number): void {
    if (deadline >= this.#armedFor || this.#scanning) return;
    this.#arm(deadline);
  }

  close(): void {
    this.#timer?.cancel();
    this.#members.clear();
  }

  #arm(deadline: number): void {
    this.#timer?.cancel();
    this.#armedFor = deadline;
    this.#timer = undefined;
    if (deadline === Infinity) return;
    const now = this.#clock.monotonic();
    this.#dueAt = Math.max(now, deadline);
    this.#timer = this.#clock.after(this.#dueAt - now, () => this.#scan());
  }

  #scan(): void {
    this.#scanning = true;
    this.#armedFor = Infinity;
    const now = this.#clock.monotonic();
    this.#fired(now - this.#dueAt);
    // A member that is added or removed by another's tick is met or left out: either is fine, `nextDeadline` decides.
    for (const member of this.#members) if (member.nextDeadline <= now) member.tick();
    this.#scanning = false;
    let earliest = Infinity;
    for (const member of this.#members) earliest = Math.min(earliest, member.nextDeadline);
    this.#arm(earliest);
  }
}
