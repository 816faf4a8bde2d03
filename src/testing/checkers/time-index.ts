import type { FinalRead, TimeRow } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L17: a search by time names the first record of that time or a later one, among those there were, and none only where there is none. */
export const timeIndex: Checker = {
  row: "L17",
  promise: "a search by time finds the first record",
  check(evidence, findings) {
    const finals = new Map(evidence.finals.map((final) => [final.partition, { final, newest: newestUpTo(final) }]));
    for (const row of evidence.history) {
      if (row.f !== "time" || row.type !== "ok") continue;
      const known = finals.get(row.partition);
      if (known === undefined || evidence.deleted?.has(row.partition) === true) continue;
      const { final, newest } = known;
      // What was let go of since nobody can look up.
      if (row.offset !== undefined && row.offset < final.logStart) continue;
      const due = final.records[firstAtLeast(newest, row.timeMs)];
      const expected = due === undefined || due.offset >= row.end ? undefined : due;
      findings.judge(
        row.offset === expected?.offset && row.timestampMs === expected?.timestampMs,
        () =>
          `row ${row.i} (time): ${row.partition} from ${row.timeMs} on begins at ${said(row)}, in the final read at ${said(expected ?? {})}`,
      );
    }
  },
};

function said({ offset, timestampMs }: Partial<Pick<TimeRow, "offset" | "timestampMs">>): string {
  return offset === undefined ? "nothing" : `${offset} (${timestampMs})`;
}

/** Of each place the newest time up to there: it never falls, so it can be searched by halves. */
function newestUpTo({ records }: FinalRead): readonly number[] {
  let newest = Number.NEGATIVE_INFINITY;
  return records.map(({ timestampMs }) => {
    newest = Math.max(newest, timestampMs ?? newest);
    return newest;
  });
}

function firstAtLeast(rising: readonly number[], wanted: number): number {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rising[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
