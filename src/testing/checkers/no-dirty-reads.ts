import { readsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L6: what any client ever read is in the final log, at the same offset. It catches a leader that serves above its commit index. */
export const noDirtyReads: Checker = {
  row: "L6",
  promise: "what was read stays",
  check(evidence, findings) {
    const finals = new Map(
      evidence.finals.map((final) => [
        final.partition,
        { logStart: final.logStart, at: new Map(final.records.map((r) => [r.offset, r.value])) },
      ]),
    );
    for (const read of readsOf(evidence)) {
      if (evidence.deleted?.has(read.partition)) continue;
      const final = finals.get(read.partition);
      for (const { offset, value } of read.records) {
        if (final !== undefined && offset < final.logStart) continue;
        const held = final?.at.get(offset);
        findings.judge(
          held === value,
          () => `row ${read.i} (read): ${read.partition}@${offset} was ${value}, the final read has ${held ?? "nothing"}`,
        );
      }
    }
  },
};
