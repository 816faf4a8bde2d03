import type { WorkloadContext } from "../workload.ts";
import { changeTopic } from "./change-topic.ts";
import { consume } from "./consume.ts";
import { tend } from "./tend.ts";

/** Consumer groups at work: their members on every client, and on the first one somebody who looks after them, and a topic of theirs that changes. */
export async function useGroups(context: WorkloadContext): Promise<void> {
  const { changing } = context.groups;
  const once = context.n === 1 ? [tend(context), ...(changing === undefined ? [] : [changeTopic(context, changing)])] : [];
  await Promise.all([consume(context), ...once]);
}
