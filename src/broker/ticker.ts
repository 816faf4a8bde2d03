import type { Clock, Timer } from "../base/ports/clock.ts";

/** Something with a deadline; `Infinity` for none. */
export interface Ticking {
  readonly nextDeadline: number;
  tick(): void;
}

interface Member {
  readonly ticking: Ticking;
  /** When it is looked at: at its deadline, or before. */
  at: number;
  /** Its place in the heap; -1: it has no deadline, or is gone. */
  place: number;
  /** In the present scan it had its turn. */
  looked: boolean;
}

/**
 * One timer for all replicas of a broker, and a heap of their deadlines: what rests costs nothing. A deadline may move either way at
 * any time; moving it earlier must be told with `wakeAt`, moving it later costs one early look.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #fired: (lateMs: number) => void;
  readonly #around: (scan: () => void) => void;
  readonly #members = new Map<Ticking, Member>();
  readonly #heap: Member[] = [];
  #timer: Timer | undefined;
  #armedFor = Infinity;
  /** When the timer is to fire: a deadline that has passed when it is armed is not its fault. */
  #dueAt = 0;
  #scanning = false;

  /**
   * @param fired told each time the timer fires, and how late
   * @param around calls what it is given, at once: all that is due has its turn in there
   */
  constructor(clock: Clock, fired: (lateMs: number) => void = () => {}, around: (scan: () => void) => void = (scan) => scan()) {
    this.#clock = clock;
    this.#fired = fired;
    this.#around = around;
  }

  add(ticking: Ticking): void {
    this.#members.set(ticking, { ticking, at: Infinity, place: -1, looked: false });
    this.wakeAt(ticking, ticking.nextDeadline);
  }

  remove(ticking: Ticking): void {
    const member = this.#members.get(ticking);
    this.#members.delete(ticking);
    if (member !== undefined) this.#take(member);
  }

  wakeAt(ticking: Ticking, deadline: number): void {
    const member = this.#members.get(ticking);
    if (member === undefined || member.looked || deadline >= member.at) return;
    this.#put(member, deadline);
    if (!this.#scanning && deadline < this.#armedFor) this.#arm(deadline);
  }

  close(): void {
    this.#timer?.cancel();
    this.#members.clear();
    this.#heap.length = 0;
  }

  #arm(deadline: number): void {
    this.#timer?.cancel();
    this.#armedFor = deadline;
    this.#timer = undefined;
    if (deadline === Infinity) return;
    const now = this.#clock.monotonic();
    this.#dueAt = Math.max(now, deadline);
    this.#timer = this.#clock.after(this.#dueAt - now, () => this.#around(this.#scans));
  }

  readonly #scans = (): void => this.#scan();

  #scan(): void {
    this.#scanning = true;
    this.#armedFor = Infinity;
    const now = this.#clock.monotonic();
    this.#fired(now - this.#dueAt);
    // Each is ticked once, however soon it wants to be again: others come first, and this turn ends.
    const looked: Member[] = [];
    for (let next = this.#heap[0]; next !== undefined && next.at <= now; next = this.#heap[0]) {
      this.#take(next);
      next.looked = true;
      looked.push(next);
      if (next.ticking.nextDeadline <= now) next.ticking.tick();
    }
    for (const member of looked) {
      member.looked = false;
      const { nextDeadline } = member.ticking;
      if (this.#members.get(member.ticking) === member && nextDeadline !== Infinity) this.#put(member, nextDeadline);
    }
    this.#scanning = false;
    this.#arm(this.#heap[0]?.at ?? Infinity);
  }

  #put(member: Member, at: number): void {
    if (member.place < 0) {
      member.place = this.#heap.length;
      this.#heap.push(member);
    }
    member.at = at;
    this.#up(member);
    this.#down(member);
  }

  #take(member: Member): void {
    const { place } = member;
    member.at = Infinity;
    if (place < 0) return;
    member.place = -1;
    const last = this.#heap.pop() as Member;
    if (last === member) return;
    this.#set(last, place);
    this.#up(last);
    this.#down(last);
  }

  #set(member: Member, place: number): void {
    this.#heap[place] = member;
    member.place = place;
  }

  #up(member: Member): void {
    let { place } = member;
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1] as Member;
      if (parent.at <= member.at) break;
      this.#set(parent, place);
      place = (place - 1) >> 1;
    }
    this.#set(member, place);
  }

  #down(member: Member): void {
    let { place } = member;
    for (;;) {
      let child = place * 2 + 1;
      const right = this.#heap[child + 1];
      if (right !== undefined && right.at < (this.#heap[child] as Member).at) child++;
      const below = this.#heap[child];
      if (below === undefined || below.at >= member.at) break;
      this.#set(below, place);
      place = child;
    }
    this.#set(member, place);
  }
}
