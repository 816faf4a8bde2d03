import type { Evidence } from "../history.ts";
import type { Checker } from "../verdict.ts";
import { letGoOf } from "./let-go.ts";
import { type CommitRow, grouped, groupRows, type WorkRow } from "./rows.ts";

/**
 * C4: a group that commits what it is done with skips nothing: when a member commits an offset, members of its group are done with all records
 * below it. Let off are those below what was let go of, and those that an operator moved the group over.
 */
export const atLeastOnce: Checker = {
  row: "C4",
  promise: "what is committed was processed",
  check(evidence, findings) {
    const gone = letGoOf(evidence);
    const works = grouped(groupRows(evidence, "work"), placeOf);
    const commits = grouped(
      groupRows(evidence, "commit").filter(({ member }) => member !== undefined),
      placeOf,
    );
    for (const [place, sent] of commits) {
      const covered = new Ranges();
      for (const [from, end] of letOff(evidence, sent[0], gone)) covered.add(from, end);
      const done = (works.get(place) ?? []).toSorted((a, b) => a.tRet - b.tRet);
      let next = 0;
      for (const commit of sent) {
        for (let work = done[next]; work !== undefined && work.tRet <= commit.tInv; work = done[++next]) covered.add(work.from, work.end);
        if (commit.offset === 0) continue;
        const gap = covered.firstGap(commit.offset);
        findings.judge(
          gap === undefined,
          () => `row ${commit.i} (commit): ${commit.member} commits ${place} up to ${commit.offset}, and nobody had processed ${gap}`,
        );
      }
    }
  },
};

const placeOf = ({ group, partition }: CommitRow | WorkRow): string => `${group} ${partition}`;

function letOff(
  evidence: Evidence,
  commit: CommitRow | undefined,
  gone: (partition: string) => number,
): readonly (readonly [from: number, end: number])[] {
  if (commit === undefined) return [];
  const { group, partition } = commit;
  const moved = groupRows(evidence, "move").flatMap((row) => {
    if (row.group !== group || row.partition !== partition || row.type === "fail") return [];
    return [[row.type === "ok" ? (row.before ?? 0) : 0, row.after] as const];
  });
  const outside = groupRows(evidence, "commit").flatMap((row) =>
    row.group === group && row.partition === partition && row.member === undefined && row.type !== "fail" ? [[0, row.offset] as const] : [],
  );
  return [[0, gone(partition)], ...moved, ...outside];
}

/** Whole numbers from 0 on that are covered by stretches, which may overlap. */
class Ranges {
  /** Ascending, none touches the next. */
  readonly #list: { from: number; end: number }[] = [];

  add(from: number, end: number): void {
    if (end <= from) return;
    const at = this.#list.findIndex((one) => one.end >= from);
    const first = at < 0 ? this.#list.length : at;
    let last = first;
    let [low, high] = [from, end];
    for (let one = this.#list[last]; one !== undefined && one.from <= end; one = this.#list[++last]) {
      low = Math.min(low, one.from);
      high = Math.max(high, one.end);
    }
    this.#list.splice(first, last - first, { from: low, end: high });
  }

  /** @returns the lowest number below `end` that is not covered */
  firstGap(end: number): number | undefined {
    const [first] = this.#list;
    if (first === undefined || first.from > 0) return 0;
    return first.end >= end ? undefined : first.end;
  }
}
