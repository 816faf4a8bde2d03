import type { Run } from "../run.ts";
import { settleGroups } from "../workloads/groups/settle.ts";
import { LIVENESS_MS } from "./liveness.ts";

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
  run.restedGroups = await settleGroups(run);
  if (cluster.disksLost + cluster.disksDamaged > 0)
    await must(
      () => cluster.whole,
      () => "not every group has all of its replicas, whole and in good standing",
    );
}
