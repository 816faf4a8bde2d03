import type { MachineDump } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** R9: the machine's state is the same on all replicas at the same index, made from a snapshot or not (scenario 72). */
export const machineAgreement: Checker = {
  row: "R9",
  promise: "equal index, equal state of the machine",
  check(evidence, findings) {
    const first = new Map<string, { readonly hash: string; readonly replica: string }>();
    for (const { partition, replica, machine } of machines(evidence.dumps)) {
      for (const { index, hash } of machine.states) {
        const at = `${partition} index ${index}`;
        const known = first.get(at);
        if (known === undefined) first.set(at, { hash, replica });
        else findings.judge(known.hash === hash, () => `${at}: state ${known.hash} on ${known.replica}, ${hash} on ${replica}`);
      }
    }
  },
};

/** R10: a log that does not begin at the beginning has a snapshot that it joins without a gap. */
export const snapshotJoins: Checker = {
  row: "R10",
  promise: "the log goes on from a snapshot without a gap",
  check(evidence, findings) {
    for (const { replica, machine } of machines(evidence.dumps)) {
      const { start, snapshot } = machine;
      findings.judge(
        start === 0 || (snapshot !== undefined && snapshot >= start),
        () => `${replica}: the log begins behind ${start}, the newest snapshot is of ${snapshot ?? "nothing"}`,
      );
    }
  },
};

function machines(
  dumps: readonly { readonly partition: string; readonly replica: string; readonly machine?: MachineDump }[],
): readonly { readonly partition: string; readonly replica: string; readonly machine: MachineDump }[] {
  return dumps.flatMap(({ partition, replica, machine }) => (machine === undefined ? [] : [{ partition, replica, machine }]));
}
