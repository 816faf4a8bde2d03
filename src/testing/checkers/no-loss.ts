import { type FinalRead, isKept, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/**
 * L2: every value acknowledged at QUORUM or ALL is in the final read, at its offset, unless retention removed it.
 * Which part of the log a loss falls in says what kind it is: a lost end was not durable, a lost middle was overwritten.
 */
export const noLoss: Checker = {
  row: "L2",
  promise: "what was acknowledged is there in the end",
  check(evidence, findings) {
    const finals = new Map(
      evidence.finals.map((final) => [
        final.partition,
        { final, at: new Map(final.records.map((r) => [r.offset, r.value])), values: new Set(final.records.map((r) => r.value)) },
      ]),
    );
    for (const send of sendsOf(evidence)) {
      if (!isKept(send) || evidence.deleted?.has(send.partition) === true) continue;
      const found = finals.get(send.partition);
      if (send.offset === undefined) {
        // A retry of what was written too long ago to know where: anywhere, then, unless some was let go of.
        if (found === undefined || found.final.logStart > 0) continue;
        for (const value of send.values) {
          findings.judge(
            found.values.has(value),
            () => `row ${send.i} (send ${send.acks}): ${value} was acknowledged as written before, and the final read has it nowhere`,
          );
        }
        continue;
      }
      for (const [k, value] of send.values.entries()) {
        const offset = send.offset + k;
        if (found !== undefined && offset < found.final.logStart) continue;
        const held = found?.at.get(offset);
        findings.judge(
          held === value,
          () =>
            `row ${send.i} (send ${send.acks}): ${value} was acknowledged at ${send.partition}@${offset}, where the final read has ${held ?? "nothing"} (${part(found?.final, offset)})`,
        );
      }
    }
  },
};

function part(final: FinalRead | undefined, offset: number): string {
  const last = final?.records.at(-1)?.offset;
  if (last === undefined) return "nothing of this partition was read";
  return offset > last ? "after its end" : "in its middle";
}
