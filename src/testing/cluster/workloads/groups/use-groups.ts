import type { WorkloadContext } from "../workload.ts";
import { consume } from "./consume.ts";
import { tend } from "./tend.ts";

/** Consumer groups at work: their members on every client, and on the first one somebody who looks after them. */
export async function useGroups(context: WorkloadContext): Promise<void> {
  await Promise.all([consume(context), ...(context.n === 1 ? [tend(context)] : [])]);
}
