import { MillraceError } from "../../../base/errors.ts";
import { wait } from "../clients.ts";
import type { WorkloadContext } from "./workload.ts";

/** What an operator asks and tries now and then. It changes nothing that lasts. */
export async function operate({ activity, random, topics, client, ports }: WorkloadContext): Promise<void> {
  const admin = client.admin();
  const timeoutMs = 2_000;
  while (!activity.stopped) {
    await wait(ports, 200 + random.below(3_000));
    if (activity.stopped) return;
    const { name, partitions } = random.pick(topics);
    const calls = [
      () => admin.clusterHealth({ timeoutMs }),
      () => admin.describeCluster({ timeoutMs }),
      () => admin.describeTopics([name], { timeoutMs }),
      () => admin.listTopics({ timeoutMs }),
      () => admin.clusterConfigs({ timeoutMs }),
      () => admin.addPartitions(name, partitions + 1, { timeoutMs, validateOnly: true }),
      () => admin.alterTopic(name, { set: { "max.message.bytes": "65536" }, validateOnly: true }, { timeoutMs }),
      // A mistyped key, which is answered with the nearest known one.
      () => admin.alterTopic(name, { set: { "retention.msec": "1000" } }, { timeoutMs }),
      () => admin.alterClusterConfigs({ reset: ["retention.ms"] }, { timeoutMs }),
    ];
    try {
      await random.pick(calls)();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
  }
}
