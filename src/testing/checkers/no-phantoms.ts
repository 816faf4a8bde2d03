import { readsOf, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L4: only what somebody sent is read, with the bytes it was sent with, in the partition it was sent to, and not before it was sent. */
export const noPhantoms: Checker = {
  row: "L4",
  promise: "what is read was sent, byte for byte",
  check(evidence, findings) {
    const sent = new Map<string, { readonly partition: string; readonly tInv: number }>();
    for (const send of sendsOf(evidence)) for (const value of send.values) sent.set(value, send);
    const judge = (partition: string, record: { value: string; offset: number; intact: boolean }, tRet: number, where: string) => {
      const origin = sent.get(record.value);
      const at = `${where}: ${record.value} at ${partition}@${record.offset}`;
      findings.judge(record.intact, () => `${at} has other bytes than were sent`);
      findings.judge(
        origin !== undefined && origin.partition === partition,
        () => `${at} was ${origin === undefined ? "never sent" : `sent to ${origin.partition}`}`,
      );
      if (origin !== undefined) findings.judge(origin.tInv <= tRet, () => `${at} was read before it was sent`);
    };
    for (const read of readsOf(evidence))
      for (const record of read.records) judge(read.partition, record, read.tRet, `row ${read.i} (read)`);
    for (const final of evidence.finals)
      for (const record of final.records) judge(final.partition, record, Number.POSITIVE_INFINITY, "final read");
  },
};
