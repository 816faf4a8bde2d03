import { MillraceError } from "../../../base/errors.ts";
import { simClient, wait } from "../clients.ts";
import type { Run } from "../run.ts";
import type { Topic } from "../topic.ts";

const FORMATION_MS = 60_000;

/** Brokers start one after the other, become a cluster, and have the topics of the run. @returns to be called when what troubled it early is over */
export async function form(run: Run): Promise<() => void> {
  const { world, cluster, topics, faults, early } = run;
  const { scheduler, random } = world;
  for (const machine of random.shuffled(cluster.machines))
    scheduler.after(random.below(500), `start ${machine.name}`, () => cluster.start(machine));
  faults.begin(early.plan);
  const quiet = scheduler.after(early.ms, "quiet", () => run.heal());
  await run.within(FORMATION_MS, "the cluster was not formed and its topics not made", createTopics(run, topics));
  return () => quiet.cancel();
}

/** Asks until somebody says that each topic is there. */
async function createTopics({ world, brokers }: Run, topics: readonly Topic[]): Promise<void> {
  const ports = world.machine("c0").boot();
  const admin = simClient(world, ports, brokers).admin();
  for (const topic of topics) {
    for (let there = false; !there; ) {
      try {
        await admin.createTopic(topic, { timeoutMs: 2_000 });
        there = true;
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        there = error.code === "TOPIC_EXISTS";
        if (!there) await wait(ports, 100);
      }
    }
  }
}
