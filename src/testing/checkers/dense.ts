import { readsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L11: offsets are dense from the log's start; a read that spans a place holds it. */
export const dense: Checker = {
  row: "L11",
  promise: "no offset is missing",
  check(evidence, findings) {
    const scan = (where: string, partition: string, from: number | undefined, offsets: readonly number[]) => {
      let expected = from ?? offsets[0];
      for (const offset of offsets) {
        const due = expected;
        findings.judge(offset === due, () => `${where}: ${partition}@${offset} stands where ${due} is due`);
        expected = offset + 1;
      }
    };
    for (const final of evidence.finals)
      scan(
        "final read",
        final.partition,
        final.logStart,
        final.records.map((r) => r.offset),
      );
    for (const read of readsOf(evidence))
      scan(
        `row ${read.i} (read)`,
        read.partition,
        read.from,
        read.records.map((r) => r.offset),
      );
  },
};
