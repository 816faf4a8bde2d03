import { MillraceError } from "../../../base/errors.ts";
import { wait } from "../clients.ts";
import { partitionsOf } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/** Asks leaders to hand over, to whoever is furthest or to a broker by name. */
export async function transfer({ activity, situations, random, topics, client, ports, brokers }: WorkloadContext): Promise<void> {
  const admin = client.admin();
  const partitions = partitionsOf(topics);
  while (!activity.stopped) {
    await wait(ports, 300 + random.below(3_000));
    if (activity.stopped) return;
    const { topic, partition } = random.pick(partitions);
    const to = random.chance(1, 2) ? undefined : random.between(1, brokers);
    try {
      await admin.transferLeader(topic, partition, to, { timeoutMs: 2_000 });
      situations.saw("leader transferred");
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
  }
}
