import type { EndRow, TrimRow } from "./history.ts";
import type { Checker } from "./verdict.ts";

/**
 * L15, for records that somebody let go of: the log start offset never falls from one ask to a later one, is where an acknowledged trim
 * put it, and never above what anybody asked for. That only a prefix goes, L2 and L11 judge with it.
 */
export const logStart: Checker = {
  row: "L15",
  promise: "only what was let go of goes, and it does not come back",
  check(evidence, findings) {
    const trims = evidence.history.filter((row): row is TrimRow => row.f === "trim");
    const asks = evidence.history.filter((row): row is EndRow => row.f === "end" && row.type === "ok");
    for (const { partition, logStart: start } of evidence.finals) {
      const wanted = trims.filter((row) => row.partition === partition);
      if (wanted.length === 0) {
        findings.judge(start === 0, () => `the final read of ${partition} begins at ${start}, and nobody let anything go`);
        continue;
      }
      const most = Math.max(...wanted.map((row) => row.before));
      findings.judge(start <= most, () => `the final read of ${partition} begins at ${start}, at most ${most} was asked for`);
      const shown = [
        ...asks
          .filter((row) => row.partition === partition)
          .map((row) => ({ at: row.tRet, start: row.logStart ?? 0, row: `row ${row.i} (end)` })),
        ...wanted.filter((row) => row.type === "ok").map((row) => ({ at: row.tRet, start: row.before, row: `row ${row.i} (trim)` })),
      ].sort((a, b) => a.at - b.at);
      const last = { tInv: Number.POSITIVE_INFINITY, logStart: start, row: "the final read" };
      const later = asks.filter((row) => row.partition === partition).map((row) => ({ ...row, row: `row ${row.i} (end)` }));
      for (const ask of [...later, last]) {
        const before = shown
          .filter(({ at }) => at < ask.tInv)
          .reduce((most, one) => (one.start > most.start ? one : most), { at: 0, start: 0, row: "" });
        findings.judge(
          (ask.logStart ?? 0) >= before.start,
          () => `${ask.row} says ${partition} begins at ${ask.logStart}, but ${before.row} had shown ${before.start} before it was asked`,
        );
      }
    }
  },
};
