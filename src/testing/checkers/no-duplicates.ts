import { isKept, readsOf, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L3: a value lies at one offset only. Producers are idempotent here, so a retry is no excuse. */
export const noDuplicates: Checker = {
  row: "L3",
  promise: "a value is written once",
  check(evidence, findings) {
    const places = new Map<string, { readonly place: string; readonly where: string }>();
    const note = (partition: string, offset: number, value: string, where: string) => {
      const place = `${partition}@${offset}`;
      const first = places.get(value);
      if (first === undefined) places.set(value, { place, where });
      findings.judge(
        first === undefined || first.place === place,
        () => `${value} is at ${first?.place} (${first?.where}) and at ${place} (${where})`,
      );
    };
    for (const final of evidence.finals) for (const { offset, value } of final.records) note(final.partition, offset, value, "final read");
    for (const read of readsOf(evidence))
      for (const { offset, value } of read.records) note(read.partition, offset, value, `row ${read.i}`);
    for (const send of sendsOf(evidence)) {
      if (!isKept(send) || send.offset === undefined) continue;
      for (const [k, value] of send.values.entries()) note(send.partition, send.offset + k, value, `row ${send.i}`);
    }
  },
};
