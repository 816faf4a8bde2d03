import { simClient } from "../clients.ts";
import type { Run } from "../run.ts";
import { has, type PlannedWorkload } from "../shape.ts";

/** Clients work, and faults come as planned. */
export async function trouble(run: Run): Promise<void> {
  beginWorkloads(run);
  run.faults.begin(run.trouble.plan);
  await run.pass(run.trouble.ms);
}

function beginWorkloads(run: Run): void {
  const { world, shape, cluster, history, activity, topics, lasting, groups, brokers } = run;
  const { situations } = cluster;
  const random = world.random.fork("workload");
  const enabled = shape.workloads.filter((planned) => has(planned, random));
  const trims = enabled.some(({ name }) => name === "trim") || topics.some(({ configs }) => configs?.["retention.ms"] !== undefined);
  for (const [i, machine] of run.clients.entries()) {
    const ports = machine.boot();
    const client = simClient(world, ports, brokers, situations);
    const mine = (planned: PlannedWorkload) => planned.on === "every client" || i === 0;
    for (const { name, workload } of enabled.filter(mine)) {
      const context = { world, history, activity, situations, topics, lasting, groups, brokers, pace: shape.pace, trims, ports, client };
      workload({ ...context, random: random.fork(`${name} ${i + 1}`), n: i + 1 }).catch((error: Error) => world.scheduler.fail(error));
    }
  }
}
