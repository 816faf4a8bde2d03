import { invariant } from "../../base/invariant.ts";
import { SimRandom } from "./random.ts";
import { Trace } from "./trace.ts";

/** Something that will happen. `cancelled` events are skipped when their time comes. */
export interface SimEvent {
  readonly at: number;
  readonly label: string;
  cancelled: boolean;
}

interface QueuedEvent extends SimEvent {
  readonly tiebreak: number;
  readonly run: () => void;
}

/** So many events of one instant mean that somebody calls itself without end: virtual time would never go on. */
const EVENTS_PER_INSTANT_MAX = 20_000;

/** Sorts after every drawn tiebreak: "after everything already queued". */
const LAST = 2 ** 32;

/**
 * The only thing that moves: one queue of events in virtual time. Events of one instant run in a seeded order. After each, real
 * microtasks are let run dry, so a promise settles in the same place of every run of a seed.
 */
export class Scheduler {
  readonly random: SimRandom;
  readonly trace: Trace;
  #now = 0;
  #ran = 0;
  #sequence = 0;
  #atThisInstant = 0;
  readonly #heap: QueuedEvent[] = [];
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

  after(delayMs: number, label: string, run: () => void): SimEvent {
    invariant(delayMs >= 0 && Number.isFinite(delayMs), () => `cannot schedule "${label}" in ${delayMs} ms`);
    return this.#push(this.#now + delayMs, this.random.uint32(), label, run);
  }

  /** At this instant, after all that is queued for it. */
  soon(label: string, run: () => void): SimEvent {
    return this.#push(this.#now, LAST + this.#sequence++, label, run);
  }

  #push(at: number, tiebreak: number, label: string, run: () => void): SimEvent {
    const event: QueuedEvent = { at, tiebreak, label, run, cancelled: false };
    this.#heap.push(event);
    siftUp(this.#heap);
    return event;
  }

  /**
   * Runs until virtual time `until`, or until `done` says so, or until nothing is left to happen.
   * @returns whether `done` was reached
   */
  async run(until: number, done: () => boolean = () => false): Promise<boolean> {
    // What was started before the first event may still be on its way to a port.
    await settle();
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return false;
      }
      pop(this.#heap);
      if (next.cancelled) continue;
      this.#atThisInstant = next.at > this.#now ? 1 : this.#atThisInstant + 1;
      if (this.#atThisInstant > EVENTS_PER_INSTANT_MAX)
        throw new Error(`time stands still at ${next.at} ms: "${next.label}" comes again and again`);
      this.#now = next.at;
      this.#ran++;
      this.trace.note(this.#now, next.label);
      next.run();
      await settle();
      if (this.#failure !== undefined) throw this.#failure;
      for (const check of this.#afterEach) check();
    }
    return true;
  }
}

/** Microtasks and what they start run dry before the next turn of the real event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
