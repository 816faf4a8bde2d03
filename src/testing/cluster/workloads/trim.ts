import { MillraceError } from "../../../base/errors.ts";
import type { TrimRow } from "../../checkers/history.ts";
import { wait } from "../clients.ts";
import { partitionsOf } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/**
 * Lets go of some of what is committed, now and then. Half of the time it goes by what it was told earlier: a leader that was deposed and does
 * not know yet takes a trim, and says nothing of where its log ends.
 */
export async function trim({ world, history, activity, situations, random, topics, client, ports }: WorkloadContext): Promise<void> {
  const admin = client.admin();
  const partitions = partitionsOf(topics);
  const known = new Map<string, { readonly logStartOffset: number; readonly highWatermark: number }>();
  while (!activity.stopped) {
    await wait(ports, 300 + random.below(2_000));
    // The final read judges by what was let go of before it.
    if (activity.stopped) return;
    const ended = activity.begin();
    const { topic, partition, name } = random.pick(partitions);
    const tInv = world.now;
    let row: Pick<TrimRow, "f" | "proc" | "partition" | "before"> | undefined;
    try {
      let found = random.chance(1, 2) ? known.get(name) : undefined;
      if (found === undefined) {
        const [told] = await admin.listOffsets(topic, [partition], { timeoutMs: 1_000 });
        if (told === undefined || told.error !== undefined) continue;
        known.set(name, told);
        found = told;
      }
      const before = found.logStartOffset + random.below(found.highWatermark - found.logStartOffset + 1);
      row = { f: "trim", proc: "t1", partition: name, before };
      const [trimmed] = await admin.trimTopic(topic, [{ partition, before }], { timeoutMs: 1_000 });
      if (trimmed?.moved === true) situations.saw("trim of records");
      history.trim(row, tInv, trimmed?.error === undefined ? "ok" : "info");
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (row !== undefined) history.trim(row, tInv, "info");
    } finally {
      ended();
    }
  }
}
