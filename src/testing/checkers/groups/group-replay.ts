import type { Checker } from "../verdict.ts";

/** C6: what brokers that run have of a partition of `__groups`, and what their files make of it, from snapshot and log, is the same at the same index. */
export const groupReplay: Checker = {
  row: "C6",
  promise: "groups made from snapshot and log are those that were there",
  check({ groupStates = [] }, findings) {
    const first = new Map<string, { readonly hash: string; readonly where: string }>();
    for (const { partition, index, hash, where } of groupStates) {
      const at = `${partition} index ${index}`;
      const known = first.get(at);
      if (known === undefined) first.set(at, { hash, where });
      else findings.judge(known.hash === hash, () => `${at}: ${known.hash} (${known.where}), ${hash} (${where})`);
    }
  },
};
