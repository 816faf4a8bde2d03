import type { Checker, Findings } from "../verdict.ts";
import { type Life, livesIn } from "./lives.ts";
import { type CommitRow, groupRows } from "./rows.ts";

/**
 * C2: what is committed is committed by whoever has the partition. Once another one was told that it has it, nothing that is sent at an epoch
 * before that is taken; nor is what a member sends at an epoch from before it was given the partition, or from before it joined; nor what
 * comes from outside while there are members.
 */
export const fencing: Checker = {
  row: "C2",
  promise: "only the owner of a partition commits it",
  check(evidence, findings) {
    const lives = livesIn(evidence);
    for (const commit of groupRows(evidence, "commit")) {
      if (commit.type !== "ok") continue;
      const group = lives.filter(({ group: name }) => name === commit.group);
      if (commit.member === undefined || commit.epoch === undefined) judgeOutsider(commit, group, findings);
      else for (const life of group) judgeMember(commit, commit.epoch, life, findings);
    }
  },
};

function judgeOutsider(commit: CommitRow, group: readonly Life[], findings: Findings): void {
  for (const { member, from, until } of group)
    findings.judge(
      commit.tInv < from || commit.tRet > until,
      () =>
        `row ${commit.i} (commit) of ${commit.partition} came from outside and was taken, though ${member} was a member from ${from} to ${until}`,
    );
}

function judgeMember(commit: CommitRow, epoch: number, life: Life, findings: Findings): void {
  const { partition, tInv, tRet, i } = commit;
  const before = life.told.filter(({ at }) => at < tInv);
  if (life.member === commit.member) {
    const heldSince = before.findLast(
      ({ assignment }, k) => assignment.has(partition) && before[k - 1]?.assignment.has(partition) !== true,
    );
    const without = heldSince === undefined ? undefined : before[before.indexOf(heldSince) - 1];
    // Before the first thing it was told there was the life before.
    const least = heldSince === undefined ? life.epoch : without === undefined ? life.epoch : without.epoch + 1;
    if (life.from < tInv)
      findings.judge(
        epoch >= least,
        () =>
          `row ${i} (commit) of ${partition} by ${life.member} at epoch ${epoch} was taken, and it had been given it at ${least} or later`,
      );
    return;
  }
  const granted = before.findLast(({ assignment }) => assignment.has(partition));
  if (granted !== undefined)
    findings.judge(
      epoch > granted.epoch,
      () =>
        `row ${i} (commit) of ${partition} by ${commit.member} at epoch ${epoch} was taken, and ${life.member} had been given it at ${granted.epoch} (row ${granted.i})`,
    );
  for (const hold of life.holds)
    if (hold.partition === partition)
      findings.judge(
        tInv < hold.from || tRet > hold.until,
        () =>
          `row ${i} (commit) of ${partition} by ${commit.member} was taken while ${life.member} had it, from ${hold.from} to ${hold.until}`,
      );
}
