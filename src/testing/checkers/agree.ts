import { isKept, readsOf, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L1: what was acknowledged and what was read, by anyone at any time, is one value per offset. */
export const agree: Checker = {
  row: "L1",
  promise: "an offset holds one value, everywhere",
  check(evidence, findings) {
    const seen = new Map<string, { readonly value: string; readonly where: string }>();
    const note = (partition: string, offset: number, value: string, where: string) => {
      const place = `${partition}@${offset}`;
      const first = seen.get(place);
      if (first === undefined) seen.set(place, { value, where });
      findings.judge(
        first === undefined || first.value === value,
        () => `${place} is ${first?.value} in ${first?.where} and ${value} in ${where}`,
      );
    };
    for (const send of sendsOf(evidence)) {
      if (!isKept(send) || send.offset === undefined) continue;
      for (const [k, value] of send.values.entries()) note(send.partition, send.offset + k, value, `row ${send.i} (send)`);
    }
    for (const read of readsOf(evidence)) {
      for (const { offset, value } of read.records) note(read.partition, offset, value, `row ${read.i} (read)`);
    }
    for (const final of evidence.finals) {
      for (const { offset, value } of final.records) note(final.partition, offset, value, "the final read");
    }
  },
};
