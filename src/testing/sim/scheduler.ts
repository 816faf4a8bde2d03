import { invariant } from "../../base/invariant.ts";
import { SimRandom } from "./random.ts";
import { Trace } from "./trace.ts";

/** Something that will happen, unless it is cancelled. */
export interface SimEvent {
  readonly at: number;
  cancel(): void;
}

/** Whose code an event runs. Nothing of one that is dead happens any more. */
export interface EventOwner {
  readonly name: string;
  readonly alive: boolean;
  /** Nothing happens to it now; what is due is kept by `hold` until it goes on. */
  readonly paused: boolean;
  hold(event: HeldEvent): void;
  turn(): void;
}

/** An event whose time has come; `run` may still be cancelled. */
export interface HeldEvent {
  readonly label: string;
  readonly run: () => void;
}

function nothing(): void {}

class QueuedEvent implements SimEvent {
  readonly at: number;
  readonly tiebreak: number;
  readonly label: string;
  readonly owner: EventOwner | undefined;
  run: () => void;

  constructor(at: number, tiebreak: number, label: string, run: () => void, owner: EventOwner | undefined) {
    this.at = at;
    this.tiebreak = tiebreak;
    this.label = label;
    this.owner = owner;
    this.run = run;
  }

  get cancelled(): boolean {
    return this.run === nothing;
  }

  /** It stays in the queue until its time comes; what it would have run is let go of now. */
  cancel(): void {
    this.run = nothing;
  }
}

/** So many events of one instant mean that somebody calls itself without end: virtual time would never go on. */
const EVENTS_PER_INSTANT_MAX = 20_000;

/** Events run in one pass of the real event loop: whatever else this process does waits no longer than that. */
const TURNS_PER_PASS = 64;

/**
 * The only thing that moves: one queue of events in virtual time. Events of one instant run in a seeded order. After each, real
 * microtasks are let run dry, so a promise settles in the same place of every run of a seed.
 */
export class Scheduler {
  readonly random: SimRandom;
  readonly trace: Trace;
  #now = 0;
  #ran = 0;
  #atThisInstant = 0;
  readonly #heap: QueuedEvent[] = [];
  /** Those of `soon`, oldest first; the ones before `#nextSoon` have had their turn. */
  readonly #soon: QueuedEvent[] = [];
  #nextSoon = 0;
  readonly #afterEach: (() => void)[] = [];
  #failure: Error | undefined;

  constructor(seed: number, trace: Trace = new Trace()) {
    this.random = new SimRandom(seed, "scheduler");
    this.trace = trace;
  }

  /** Virtual milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  /** Events run so far. */
  get ran(): number {
    return this.#ran;
  }

  /** Called after each event and the microtasks that followed from it. A throw ends the run. */
  afterEach(check: () => void): void {
    this.#afterEach.push(check);
  }

  /** Ends the run with this error once the present event is over: for bugs found where nobody can throw. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  after(delayMs: number, label: string, run: () => void, owner?: EventOwner): SimEvent {
    invariant(delayMs >= 0 && Number.isFinite(delayMs), () => `cannot schedule "${label}" in ${delayMs} ms`);
    const event = new QueuedEvent(this.#now + delayMs, this.random.uint32(), label, run, owner);
    this.#heap.push(event);
    siftUp(this.#heap);
    return event;
  }

  /** At this instant, after all that is queued for it. */
  soon(label: string, run: () => void, owner?: EventOwner): SimEvent {
    // A third of all events: they need no place in the heap, since none of them is later than what it holds for this instant.
    const event = new QueuedEvent(this.#now, 0, label, run, owner);
    this.#soon.push(event);
    return event;
  }

  /**
   * Runs until virtual time `until`, or until `done` says so, or until nothing is left to happen.
   * @returns whether `done` was reached
   */
  run(until: number, done: () => boolean = () => false): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let first = true;
      let over = false;
      // Between two callbacks of one pass of the real event loop microtasks, and what they start, run dry. No promise of its own per event:
      // there are many; and many turns for each pass, which asks the operating system each time.
      const turn = (last: boolean): void => {
        if (over) return;
        try {
          // What was started before the first event may still be on its way to a port.
          if (first) first = false;
          else this.#judge();
          const reached = done();
          over = reached || !this.#step(until);
          if (over) resolve(reached);
          else if (last) pass();
        } catch (error) {
          over = true;
          reject(error);
        }
      };
      const one = (): void => turn(false);
      const last = (): void => turn(true);
      const pass = (): void => {
        for (let i = 1; i < TURNS_PER_PASS; i++) setImmediate(one);
        setImmediate(last);
      };
      setImmediate(last);
    });
  }

  /** Runs the next event. @returns false: none is left up to `until`, where time stands now */
  #step(until: number): boolean {
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return false;
      }
      this.#take(next);
      const { owner } = next;
      if (next.cancelled || owner?.alive === false) continue;
      if (owner?.paused === true) {
        this.#now = next.at;
        owner.hold(next);
        continue;
      }
      this.#atThisInstant = next.at > this.#now ? 1 : this.#atThisInstant + 1;
      if (this.#atThisInstant > EVENTS_PER_INSTANT_MAX)
        throw new Error(`time stands still at ${next.at} ms: "${next.label}" comes again and again`);
      this.#now = next.at;
      this.#ran++;
      this.trace.note(this.#now, next.label, owner?.name);
      owner?.turn();
      next.run();
      return true;
    }
  }

  /** What has its turn next: what `soon` was asked for comes after all that the heap holds for its instant. */
  #next(): QueuedEvent | undefined {
    const timed = this.#heap[0];
    const soon = this.#soon[this.#nextSoon];
    return soon === undefined || (timed !== undefined && timed.at <= soon.at) ? timed : soon;
  }

  #take(next: QueuedEvent): void {
    if (next === this.#heap[0]) return pop(this.#heap);
    this.#nextSoon++;
    if (this.#nextSoon < this.#soon.length) return;
    this.#soon.length = 0;
    this.#nextSoon = 0;
  }

  /** After an event and the microtasks that followed from it. */
  #judge(): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const check of this.#afterEach) check();
  }
}

function before(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.tiebreak < b.tiebreak);
}

function siftUp(heap: QueuedEvent[]): void {
  let at = heap.length - 1;
  const event = heap[at] as QueuedEvent;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as QueuedEvent;
    if (!before(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: QueuedEvent[]): void {
  const last = heap.pop() as QueuedEvent;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as QueuedEvent, heap[child] as QueuedEvent)) child++;
    const below = heap[child] as QueuedEvent;
    if (!before(below, last)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = last;
}
