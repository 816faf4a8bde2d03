import { isKept, type SendRow, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L7: when A was acknowledged before B was sent, to one partition, A lies below B. */
export const realTimeOrder: Checker = {
  row: "L7",
  promise: "offsets follow real time",
  check(evidence, findings) {
    const partitions = new Map<string, SendRow[]>();
    for (const send of sendsOf(evidence)) {
      if (!isKept(send) || send.offset === undefined) continue;
      const sends = partitions.get(send.partition);
      if (sends === undefined) partitions.set(send.partition, [send]);
      else sends.push(send);
    }
    for (const sends of partitions.values()) {
      const acknowledged = sends.toSorted((a, b) => a.tRet - b.tRet);
      let next = 0;
      let highest: SendRow | undefined;
      // Sweep by time of invocation; `highest` is the acknowledged send with the highest offset before it.
      for (const send of sends.toSorted((a, b) => a.tInv - b.tInv)) {
        for (let done = acknowledged[next]; done !== undefined && done.tRet < send.tInv; done = acknowledged[++next]) {
          if (highest === undefined || lastOffset(done) > lastOffset(highest)) highest = done;
        }
        if (highest === undefined) continue;
        const before = highest;
        findings.judge(
          (send.offset ?? 0) > lastOffset(before),
          () =>
            `row ${send.i} (send) got ${send.partition}@${send.offset}, but row ${before.i} had been acknowledged up to ${lastOffset(before)} before it was sent`,
        );
      }
    }
  },
};

function lastOffset(send: SendRow): number {
  return (send.offset ?? 0) + send.values.length - 1;
}
