import { MillraceError } from "../../../base/errors.ts";
import { WALL_START_MS } from "../../sim/clock.ts";
import { wait } from "../clients.ts";
import { partitionsOf } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/** Asks for the first record of some time or a later one, anywhere in the run and somewhat beyond. */
export async function times({ world, history, activity, random, topics, client, ports, pace, n }: WorkloadContext): Promise<void> {
  const admin = client.admin();
  const partitions = partitionsOf(topics);
  while (!activity.stopped) {
    const { topic, partition, name } = random.pick(partitions);
    const timeMs = WALL_START_MS + random.below(Math.ceil(world.now) + 1_000);
    const tInv = world.now;
    try {
      const [found] = await admin.listOffsets(topic, [partition], { timeMs, timeoutMs: 1_000 });
      if (found !== undefined && found.error === undefined) {
        const { offset, timestampMs, logStartOffset: logStart, highWatermark: end } = found;
        const answer = offset === undefined ? {} : { offset, ...(timestampMs === undefined ? {} : { timestampMs }) };
        history.time(
          { f: "time", proc: `i${n}`, partition: name, timeMs, logStart, end, ...answer, leaderEpoch: found.term, broker: found.leaderId },
          tInv,
        );
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
    await wait(ports, random.between(...pace.endsMs) * 2);
  }
}
