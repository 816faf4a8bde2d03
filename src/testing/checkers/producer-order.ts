import { sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/**
 * L8: the acknowledged values of one producer and partition lie in the order it sent them, and those of any batch side by side.
 * A batch of unknown outcome has no place in the order: its producer went on under a new id, and it may be written at any time after.
 */
export const producerOrder: Checker = {
  row: "L8",
  promise: "one producer's order is kept",
  check(evidence, findings) {
    const places = new Map<string, number>();
    const starts = new Map(evidence.finals.filter(({ logStart }) => logStart > 0).map(({ partition, logStart }) => [partition, logStart]));
    for (const final of evidence.finals) for (const { offset, value } of final.records) places.set(value, offset);
    /** Highest place so far of each (producer, partition). */
    const last = new Map<string, { readonly offset: number; readonly i: number }>();
    // Rows are numbered in the order of sending.
    for (const send of sendsOf(evidence).toSorted((a, b) => a.i - b.i)) {
      const session = `${send.producer}>${send.partition}`;
      const offsets = send.values.flatMap((value) => places.get(value) ?? []);
      // The front of a batch may have been let go of: then what is left of it begins the log.
      const cut = offsets[0] !== undefined && offsets[0] === starts.get(send.partition) && send.values.length > offsets.length;
      findings.judge(
        offsets.length === 0 || cut || offsets.length === send.values.length,
        () => `row ${send.i} (send): ${offsets.length} of ${send.values.length} values of one batch were written`,
      );
      const first = offsets[0];
      if (first === undefined) continue;
      findings.judge(
        offsets.every((offset, k) => offset === first + k),
        () => `row ${send.i} (send): one batch lies at ${offsets.join()} of ${send.partition}`,
      );
      if (send.type !== "ok") continue;
      const before = last.get(session);
      findings.judge(
        before === undefined || first > before.offset,
        () => `row ${send.i} (send) lies at ${send.partition}@${first}, before row ${before?.i} of ${send.producer} at ${before?.offset}`,
      );
      last.set(session, { offset: offsets.at(-1) ?? first, i: send.i });
    }
  },
};
