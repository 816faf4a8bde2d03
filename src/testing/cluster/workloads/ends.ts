import { MillraceError } from "../../../base/errors.ts";
import { wait } from "../clients.ts";
import { partitionName } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/** Asks again and again where the partitions of a topic begin and end. */
export async function ends({ world, history, activity, random, topics, client, ports, pace, n }: WorkloadContext): Promise<void> {
  const admin = client.admin();
  while (!activity.stopped) {
    const topic = random.pick(topics).name;
    const tInv = world.now;
    try {
      for (const found of await admin.listOffsets(topic, [], { timeoutMs: 1_000 })) {
        if (found.error !== undefined) continue;
        const partition = partitionName(topic, found.partition);
        const row = {
          f: "end",
          proc: `e${n}`,
          partition,
          logStart: Number(found.logStartOffset),
          end: Number(found.highWatermark),
          leaderEpoch: found.term,
          broker: found.leaderId,
        } as const;
        history.end(row, tInv, "ok");
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
    await wait(ports, random.between(...pace.endsMs));
  }
}
