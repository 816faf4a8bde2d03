import type {
  BeatRow,
  CommitRow,
  CommittedRow,
  DescribeRow,
  FinalGroup,
  ForgetRow,
  GroupHistoryRow,
  MoveRow,
  ResumeRow,
  WorkRow,
} from "../../../src/testing/checkers/groups/rows.ts";
import type { Evidence } from "../../../src/testing/checkers/history.ts";
import { good } from "./rows.ts";

const group = "g";
const P = "t-0";
const INFO = { type: "info", tRet: Number.POSITIVE_INFINITY } as const;

const base = (i: number, proc: string) => ({ i, proc, group, type: "ok" as const, tInv: i * 10, tRet: i * 10 + 5 });

/** @param assignment absent: it is told that nothing changed */
export function beat(
  i: number,
  member: string,
  epoch: number,
  owned: string[],
  told: [epoch: number, assignment?: string[]],
  more: Partial<BeatRow> = {},
): BeatRow {
  const [at, assignment] = told;
  const answer = { told: { epoch: at, ...(assignment === undefined ? {} : { assignment }) } };
  return { f: "beat", ...base(i, member), member, epoch, owned, ...answer, ...more };
}

export function leave(i: number, member: string): BeatRow {
  return { f: "beat", ...base(i, member), member, epoch: -1 };
}

/** @param epoch undefined: from outside */
export function commit(i: number, member: string, epoch: number | undefined, offset: number, more: Partial<CommitRow> = {}): CommitRow {
  const by = epoch === undefined ? {} : { member, epoch };
  return { f: "commit", ...base(i, member), partition: P, ...by, offset, ...more };
}

export function committed(i: number, offset: number | undefined): CommittedRow {
  return { f: "committed", ...base(i, "o1"), partition: P, ...(offset === undefined ? {} : { offset }) };
}

export function move(i: number, before: number | undefined, after: number): MoveRow {
  return { f: "move", ...base(i, "o1"), partition: P, ...(before === undefined ? {} : { before }), after };
}

export function forget(i: number, partition?: string): ForgetRow {
  return { f: "forget", ...base(i, "o1"), ...(partition === undefined ? {} : { partition }) };
}

export function resume(i: number, member: string, from: number, told: number | undefined, more: Partial<ResumeRow> = {}): ResumeRow {
  const answer = told === undefined ? {} : { committed: told };
  return { f: "resume", ...base(i, member), member, partition: P, from, otherwise: 0, ...answer, ...more };
}

export function work(i: number, member: string, from: number, end: number): WorkRow {
  return { f: "work", ...base(i, member), member, partition: P, from, end };
}

export function describe(i: number, state: DescribeRow["state"], ...members: [id: string, assignment: string[]][]): DescribeRow {
  const described = members.map(([id, assignment]) => ({ id, epoch: 1, assignment }));
  return { f: "describe", ...base(i, "o1"), state, epoch: 1, members: described, partitions: [P, "t-1"] };
}

export const rest: FinalGroup = {
  group,
  settled: true,
  members: [
    { id: "b", holds: [P] },
    { id: "c", holds: ["t-1"] },
  ],
  described: [
    { id: "b", assignment: [P] },
    { id: "c", assignment: ["t-1"] },
  ],
  partitions: [
    { partition: P, committed: 4, end: 4 },
    { partition: "t-1", end: 0 },
  ],
};

/**
 * A group in which all goes well: A joins and has both partitions; B comes, A gives one back, late, and B goes on from where A had committed
 * last; a late commit of A is refused; one of unknown outcome was taken. A leaves, C comes. An operator moves another group by force.
 */
export const goodGroup = {
  ...good,
  history: [
    ...good.history,
    beat(30, "a", 0, [], [1, [P, "t-1"]]),
    resume(31, "a", 0, undefined),
    work(32, "a", 0, 2),
    commit(33, "a", 1, 2),
    beat(34, "b", 0, [], [2, []]),
    beat(35, "a", 1, [P, "t-1"], [2, ["t-1"]]),
    work(36, "a", 2, 3),
    // Asked to give it back, and still at work: that counts.
    commit(37, "a", 2, 3, INFO),
    committed(38, 3),
    describe(39, "reconciling", ["a", ["t-1"]], ["b", []]),
    beat(40, "a", 2, ["t-1"], [2]),
    beat(41, "b", 2, [], [3, [P]]),
    resume(42, "b", 3, 3),
    commit(43, "a", 2, 3, { type: "fail", error: "PARTITION_NOT_OWNED" }),
    work(44, "b", 3, 4),
    commit(45, "b", 3, 4),
    commit(46, "b", 3, 2, { type: "fail", error: "COMMIT_BEHIND", committed: 4 }),
    commit(47, "out", undefined, 1, { type: "fail", error: "GROUP_NOT_EMPTY" }),
    beat(48, "b", 3, [P], [3]),
    describe(49, "stable", ["a", ["t-1"]], ["b", [P]]),
    leave(50, "a"),
    beat(51, "c", 0, [], [5, ["t-1"]]),
    beat(52, "b", 3, [P], [3]),
    beat(53, "c", 5, ["t-1"], [5]),
    committed(54, 4),
  ] as Evidence["history"],
  groups: [rest],
  groupStates: [
    { partition: "__groups-3", index: 9, hash: "g9", where: "b1" },
    { partition: "__groups-3", index: 9, hash: "g9", where: "files of b1" },
  ],
} satisfies Evidence;

export const withGroupRows = (...rows: GroupHistoryRow[]): Evidence => ({ ...goodGroup, history: [...goodGroup.history, ...rows] });
/** Without the rows of these numbers. */
export const without = (evidence: Evidence, ...numbers: number[]): Evidence => ({
  ...evidence,
  history: evidence.history.filter(({ i }) => !numbers.includes(i)),
});
