import { readsOf, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L5: a send that was refused wrote nothing. */
export const noAborted: Checker = {
  row: "L5",
  promise: "what was refused is never read",
  check(evidence, findings) {
    const refused = new Map<string, number>();
    for (const send of sendsOf(evidence)) if (send.type === "fail") for (const value of send.values) refused.set(value, send.i);
    const judge = (value: string, where: string) => {
      const row = refused.get(value);
      findings.judge(row === undefined, () => `${where}: ${value} was read although row ${row} (send) was refused`);
    };
    for (const read of readsOf(evidence)) for (const { value } of read.records) judge(value, `row ${read.i} (read)`);
    for (const final of evidence.finals) for (const { value } of final.records) judge(value, "final read");
  },
};
