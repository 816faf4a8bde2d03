import { deletionsIn, type Evidence } from "../history.ts";
import type { Checker } from "../verdict.ts";
import { type Expiry, expiriesIn } from "./expiries.ts";
import { letGoOf } from "./let-go.ts";
import { type CommitRow, type ForgetRow, grouped, groupRows, type MoveRow, type ResumeRow } from "./rows.ts";

/**
 * C5: a member begins with a partition where its group is committed as of then, and where the group says that it begins only if nothing is
 * committed: in these runs where the log does, also in partitions that a topic was given later. What "as of then" may be is what was written
 * last, or meanwhile; nothing that was written over before it asked.
 */
export const resumePoint: Checker = {
  row: "C5",
  promise: "a member goes on where its group is",
  check(evidence, findings) {
    const expiries = expiriesIn(evidence);
    const deletions = deletionsIn(evidence);
    const gone = letGoOf(evidence);
    const writes = grouped(writesIn(evidence), ({ key }) => key);
    for (const row of groupRows(evidence, "resume")) {
      if (row.type !== "ok") continue;
      const { i, group, partition, member, committed, from, otherwise } = row;
      const what = `row ${i} (resume): ${member} begins with ${partition} of ${group}`;
      if (committed === undefined) {
        findings.judge(
          otherwise === undefined || from === otherwise,
          () => `${what} at ${from}; without a commit it begins at ${otherwise}`,
        );
        const start = gone(partition);
        findings.judge(from <= start, () => `${what} at ${from}, where nothing is committed, and nothing was let go of from ${start} on`);
      } else
        findings.judge(
          from === committed || (otherwise !== undefined && from === otherwise && otherwise > committed),
          () => `${what} at ${from}, and was told that ${committed} is committed`,
        );
      const end = deletions(partition);
      const known = [
        ...(writes.get(`${group} ${partition}`) ?? []),
        ...(writes.get(`${group} `) ?? []),
        // From when its topic goes on nobody says when it is forgotten.
        ...(end <= row.tRet ? [{ key: "", i, tInv: end, tRet: Number.POSITIVE_INFINITY, value: undefined, commits: false }] : []),
      ];
      const why = refuted(row, known, expiries(group, partition));
      findings.judge(why === undefined, () => `${what} as if ${committed ?? "nothing"} were committed; ${why}`);
    }
  },
};

interface Write {
  readonly key: string;
  readonly i: number;
  readonly tInv: number;
  readonly tRet: number;
  readonly value: number | undefined;
  /** It goes forwards only. */
  readonly commits: boolean;
}

function writesIn(evidence: Evidence): readonly Write[] {
  const write = ({ f, group, i, tInv, tRet }: CommitRow | MoveRow | ForgetRow, partition: string, value: number | undefined): Write => ({
    key: `${group} ${partition}`,
    i,
    tInv,
    tRet,
    value,
    commits: f === "commit",
  });
  return [
    ...groupRows(evidence, "commit").flatMap((row) => (row.type === "fail" ? [] : [write(row, row.partition, row.offset)])),
    ...groupRows(evidence, "move").flatMap((row) => (row.type === "fail" ? [] : [write(row, row.partition, row.after)])),
    ...groupRows(evidence, "forget").flatMap((row) => (row.type === "fail" ? [] : [write(row, row.partition ?? "", undefined)])),
  ];
}

/** @param expiries when offsets may have been forgotten @returns why what it was told cannot have been so */
function refuted({ tInv, tRet, committed }: ResumeRow, writes: readonly Write[], expiries: readonly Expiry[]): string | undefined {
  const before = writes.filter((one) => one.tRet < tInv);
  const newest = before.reduce<Write | undefined>((last, one) => (last === undefined || one.tInv > last.tInv ? one : last), undefined);
  if (newest === undefined && committed === undefined) return undefined;
  const expired = expiries.some(({ from, to }) => from <= tRet && to >= (newest?.tInv ?? 0));
  if (committed === undefined && expired) return undefined;
  // One that comes after the newest found at least that much, unless somebody moved the group in between.
  const moved = newest === undefined || writes.some((one) => !one.commits && one.tRet >= newest.tInv);
  const least = moved ? 0 : (newest.value ?? 0);
  const may = writes.some(
    (one) =>
      one.value === committed &&
      one.tInv <= tRet &&
      (newest === undefined || one.tRet >= newest.tInv) &&
      (one === newest || !one.commits || (one.value ?? 0) >= least),
  );
  if (may) return undefined;
  return newest === undefined ? "nobody ever committed that" : `row ${newest.i} had made it ${newest.value ?? "nothing"} before it asked`;
}
