import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { SimProcess } from "./process.ts";

/** 2026-01-01T00:00:00Z: wall time of virtual time 0, unless a machine's clock is off. */
export const WALL_START_MS = 1_767_225_600_000;

/** Timers fire up to this much late, as real ones do under load. */
const LATE_MS_MAX = 1;

/** Wall time of one machine: it may be off, and jump; it outlives processes. */
export interface WallClock {
  offsetMs: number;
}

/** Virtual time as one process sees it. */
export class SimClock implements Clock {
  readonly #process: SimProcess;
  readonly #wall: WallClock;
  /** Monotonic time starts anywhere: nobody may compare it across processes. */
  readonly #startMs: number;

  constructor(process: SimProcess, wall: WallClock = { offsetMs: 0 }) {
    this.#process = process;
    this.#wall = wall;
    this.#startMs = process.scheduler.random.below(1_000_000);
  }

  monotonic(): number {
    return this.#startMs + this.#process.scheduler.now;
  }

  wall(): number {
    return Math.floor(WALL_START_MS + this.#process.scheduler.now + this.#wall.offsetMs);
  }

  after(delayMs: number, fire: () => void): Timer {
    if (!this.#process.alive) return { cancel() {} };
    const late = (this.#process.scheduler.random.below(1024) / 1024) * LATE_MS_MAX;
    // A deadline that has just passed: as soon as possible, like a real timer.
    return this.#process.after(Math.max(0, delayMs) + late, "timer", fire);
  }

  soon(run: () => void): void {
    if (this.#process.alive) this.#process.soon("soon", run);
  }
}
