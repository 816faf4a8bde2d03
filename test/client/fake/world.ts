import type { Clock, Timer } from "../../../src/base/ports/clock.ts";
import type { Random } from "../../../src/base/ports/random.ts";

/** Seeded randomness (mulberry32), so that a failing run can be had again. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  uuid(): string {
    return "00000000-0000-4000-8000-000000000000";
  }
}

/** What the fakes need of time and chance. */
export interface Surroundings {
  readonly now: number;
  readonly random: SeededRandom;
  wall(): number;
  after(delayMs: number, fire: () => void): Timer;
}

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Virtual time: nothing happens unless `run` is under way, and then as fast as it can. */
export class World implements Clock, Surroundings {
  readonly random: SeededRandom;
  now = 0;
  #order = 0;
  #due: Due[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  monotonic(): number {
    return this.now;
  }

  wall(): number {
    return 1_767_225_600_000 + Math.floor(this.now);
  }

  after(delayMs: number, fire: () => void): Timer {
    const due: Due = { at: this.now + Math.max(0, delayMs), order: this.#order++, run: fire, cancelled: false };
    let at = this.#due.length;
    while (at > 0 && isAfter(this.#due[at - 1] as Due, due)) at--;
    this.#due.splice(at, 0, due);
    return {
      cancel() {
        due.cancelled = true;
      },
    };
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  /** Runs what is due until `done`, or until virtual time `untilMs`. @returns whether `done` was reached */
  async run(untilMs: number, done: () => boolean): Promise<boolean> {
    await settle();
    while (!done()) {
      const next = this.#due[0];
      if (next === undefined || next.at > untilMs) {
        this.now = Math.max(this.now, untilMs);
        return false;
      }
      this.#due.shift();
      if (next.cancelled) continue;
      this.now = next.at;
      next.run();
      await settle();
    }
    return true;
  }

  /** Runs until `promise` settled. @throws what it rejects with, or that it did not settle within `ms` of virtual time */
  async until<T>(promise: Promise<T>, ms = 300_000): Promise<T> {
    let settled = false;
    promise.then(
      () => {
        settled = true;
      },
      () => {
        settled = true;
      },
    );
    if (!(await this.run(this.now + ms, () => settled))) throw new Error(`not settled after ${ms} ms of virtual time`);
    return promise;
  }
}

function isAfter(a: Due, b: Due): boolean {
  return a.at > b.at || (a.at === b.at && a.order > b.order);
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
