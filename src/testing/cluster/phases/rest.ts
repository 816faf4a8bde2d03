import type { Run } from "../run.ts";

/** From when all is healed until everything pending has ended and the whole log has been read (V1). */
export const LIVENESS_MS = 60_000;

/** V1: all is healed, so everything pending ends, every broker runs, and what was lost is replaced. @throws {Error} */
export async function comeToRest(run: Run): Promise<void> {
  const { history, cluster, activity } = run;
  await run.pass(500);
  activity.stop();
  const must = async (done: () => boolean, what: () => string) => {
    if (!(await run.until(done, LIVENESS_MS))) throw new Error(`V1: ${what()} ${LIVENESS_MS} ms after all was healed`);
  };
  await must(
    () => activity.settled,
    () => `${history.sends.open} sends have not ended`,
  );
  await must(
    () => cluster.allRunning,
    () => "not all brokers run",
  );
  await must(
    () => cluster.repaired,
    () => "not everything that was damaged is repaired",
  );
  if (cluster.disksLost + cluster.disksDamaged > 0)
    await must(
      () => cluster.whole,
      () => "not every group has all of its replicas, whole and in good standing",
    );
}
