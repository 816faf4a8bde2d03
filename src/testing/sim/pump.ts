import type { Scheduler } from "./scheduler.ts";

/**
 * Lets virtual time run while `work` is under way, for code that awaits and knows nothing of the scheduler. Time stands still while
 * nothing is scheduled.
 *
 * @throws {Error} when nothing is left to happen and `work` has not settled, or one hour of virtual time did not do
 */
export async function pump<T>(scheduler: Scheduler, work: Promise<T>): Promise<T> {
  let over = false;
  const watched = work.finally(() => {
    over = true;
  });
  watched.catch(() => {});
  if (await scheduler.run(scheduler.now + 3_600_000, () => over)) return watched;
  throw new Error("Nothing is left to happen in this simulation, and the work has not ended");
}
