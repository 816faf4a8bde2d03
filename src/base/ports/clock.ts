/** A timer that has been armed. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time, and the only way to be called later. Simulated time implements it too, so no code on floors 0–2 may know any other clock. */
export interface Clock {
  /** Milliseconds, with fractions, from an unknown start; never goes back. Deadlines and timeouts use this one. */
  monotonic(): number;
  /** Milliseconds since 1970 UTC, whole; may jump. Only for what people see and for record time. */
  wall(): number;
  /** Calls `fire` once, at least `delayMs` (≥ 0) from now. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `run` after the current piece of work and everything already queued: used to coalesce the sends of one turn. */
  soon(run: () => void): void;
}
