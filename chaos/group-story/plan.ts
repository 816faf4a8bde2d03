import type { Draws } from "../draws.ts";

/** When what happens in a run, milliseconds after all workers have begun. */
export interface Plan {
  readonly stopAt: number;
  readonly continueAt: number;
  readonly killAt: number;
  readonly addAt: number;
  readonly brokerAt: number;
}

export interface PlanBounds {
  /** So long nobody is idle without faults. */
  readonly workMs: number;
  readonly stoppedMs: number;
  /** Between two of them at least, so that each is felt by itself. */
  readonly apartMs: number;
}

const ATTEMPTS = 10_000;

/**
 * Moments all over the run. A broker is killed while nobody is stopped: a new coordinator gives everybody their whole session time again
 * (docs/groups.md), and whoever is stopped would be a member still when it goes on.
 */
export function drawPlan(draws: Draws, { workMs, stoppedMs, apartMs }: PlanBounds): Plan {
  const between = (from: number, until: number): number => Math.round(from + draws.next() * (until - from));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stopAt = between(0.06 * workMs, 0.35 * workMs);
    const plan: Plan = {
      stopAt,
      continueAt: stopAt + stoppedMs,
      killAt: between(0.06 * workMs, 0.6 * workMs),
      addAt: between(0.1 * workMs, 0.7 * workMs),
      brokerAt: between(0.06 * workMs, 0.95 * workMs),
    };
    const moments = Object.values(plan).sort((a, b) => a - b);
    const apart = moments.every((moment, i) => i === 0 || moment - (moments[i - 1] as number) >= apartMs);
    if (apart && (plan.brokerAt < plan.stopAt || plan.brokerAt > plan.continueAt)) return plan;
  }
  throw new Error(`no plan for ${workMs} ms of work, ${stoppedMs} ms stopped, ${apartMs} ms apart`);
}
