import { deletionsIn } from "../history.ts";
import type { Checker } from "../verdict.ts";
import { type Life, livesIn } from "./lives.ts";
import { grouped, groupRows } from "./rows.ts";

/** C7: while a group has members nothing that it has committed is forgotten, but by whoever deletes it, or its topic. */
export const noExpiry: Checker = {
  row: "C7",
  promise: "no offset of a group with members expires",
  check(evidence, findings) {
    const forgets = groupRows(evidence, "forget").filter(({ type }) => type !== "fail");
    const deletions = deletionsIn(evidence);
    const lives = grouped(livesIn(evidence), ({ group }) => group);
    const writes = grouped(
      [...groupRows(evidence, "commit"), ...groupRows(evidence, "move")].filter(({ type }) => type === "ok"),
      ({ group, partition }) => `${group} ${partition}`,
    );
    for (const read of [...groupRows(evidence, "committed"), ...groupRows(evidence, "resume")]) {
      if (read.type !== "ok") continue;
      const { group, partition, tInv, tRet, i, f } = read;
      const value = read.f === "committed" ? read.offset : read.committed;
      const since = memberSince(lives.get(group) ?? [], tInv);
      // Written while there were members, or there already when the group was last seen to have any.
      const written = (writes.get(`${group} ${partition}`) ?? []).findLast((one) => one.tRet < tInv && one.tInv >= since);
      if (written === undefined) continue;
      const forgotten =
        deletions(partition) <= tRet ||
        forgets.some(
          (one) =>
            one.group === group &&
            (one.partition === undefined || one.partition === partition) &&
            one.tRet >= written.tInv &&
            one.tInv <= tRet,
        );
      findings.judge(
        forgotten || value !== undefined,
        () =>
          `row ${i} (${f}): nothing is committed of ${partition} of ${group}; row ${written.i} had committed it, and the group has had members since ${since}`,
      );
    }
  },
};

/** @returns since when there was one member or another without a break, up to `at`; Infinity: there was none then */
function memberSince(lives: readonly Life[], at: number): number {
  let since = Number.POSITIVE_INFINITY;
  for (const { from, until } of lives.toSorted((a, b) => b.until - a.until)) {
    const reached = since === Number.POSITIVE_INFINITY ? at : since;
    if (until >= reached && from <= reached) since = Math.min(since, from);
  }
  return since;
}
