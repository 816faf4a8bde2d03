import { type EndRow, isKept, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L10: the end offset is linearizable: it never falls from one ask to a later one, and is above all that was acknowledged before. */
export const endOffsets: Checker = {
  row: "L10",
  promise: "the end of a partition never goes back",
  check(evidence, findings) {
    const asks = evidence.history.filter((row): row is EndRow => row.f === "end" && row.type === "ok");
    const partitions = new Set(asks.map((row) => row.partition));
    for (const partition of partitions) {
      const bounds = [
        ...asks.filter((row) => row.partition === partition).map((row) => ({ at: row.tRet, end: row.end ?? 0, row: `row ${row.i} (end)` })),
        ...sendsOf(evidence)
          .filter((row) => row.partition === partition && isKept(row) && row.offset !== undefined)
          .map((row) => ({ at: row.tRet, end: (row.offset ?? 0) + row.values.length, row: `row ${row.i} (send)` })),
      ].sort((a, b) => a.at - b.at);
      let next = 0;
      let highest: (typeof bounds)[number] | undefined;
      for (const ask of asks.filter((row) => row.partition === partition).sort((a, b) => a.tInv - b.tInv)) {
        for (let bound = bounds[next]; bound !== undefined && bound.at < ask.tInv; bound = bounds[++next]) {
          if (highest === undefined || bound.end > highest.end) highest = bound;
        }
        const least = highest;
        findings.judge(
          least === undefined || (ask.end ?? 0) >= least.end,
          () => `row ${ask.i} (end) says ${partition} ends at ${ask.end}, but ${least?.row} had shown ${least?.end} before it was asked`,
        );
      }
    }
  },
};
