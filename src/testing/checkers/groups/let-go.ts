import type { Evidence } from "../history.ts";

/** How far a partition was let go of at most, as far as anybody wanted it or saw it: below this offset there may be nothing, from it on all is there. */
export function letGoOf(evidence: Evidence): (partition: string) => number {
  const most = new Map<string, number>();
  const note = (partition: string, offset: number) => most.set(partition, Math.max(offset, most.get(partition) ?? 0));
  for (const row of evidence.history) {
    if (row.f === "trim") note(row.partition, row.before);
    if (row.f === "end" && row.type === "ok") note(row.partition, row.logStart ?? 0);
  }
  for (const { partition, logStart } of evidence.finals) note(partition, logStart);
  return (partition) => most.get(partition) ?? 0;
}
