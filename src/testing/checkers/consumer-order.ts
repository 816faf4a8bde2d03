import { readsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/**
 * L9: one consumer reads a partition from where it was put on without a gap and without a step back, between what two polls brought and
 * inside of one. A consumer that is put elsewhere is another session.
 */
export const consumerOrder: Checker = {
  row: "L9",
  promise: "a consumer skips nothing and steps back nowhere",
  check(evidence, findings) {
    const next = new Map<string, number>();
    for (const read of readsOf(evidence).toSorted((a, b) => a.i - b.i)) {
      if (read.session === undefined) continue;
      const consumer = `${read.proc}, session ${read.session} of ${read.partition}`;
      for (const { offset } of read.records) {
        const due = next.get(consumer) ?? read.from;
        findings.judge(
          offset === due,
          () => `row ${read.i} (read): ${consumer}, ${offset > due ? "skips from" : "steps back from"} ${due} to ${offset}`,
        );
        next.set(consumer, offset + 1);
      }
    }
  },
};
