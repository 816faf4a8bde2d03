import {
  beat,
  commit,
  committed,
  describe,
  forget,
  goodGroup,
  leave,
  move,
  rest,
  resume,
  withGroupRows,
  without,
  work,
} from "./group-rows.ts";
import type { Planted } from "./rows.ts";

export const plantedGroups: readonly Planted[] = [
  {
    row: "C1",
    what: "a commit is gone from one fetch to the next",
    evidence: withGroupRows(committed(60, 3)),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "nothing is committed any more",
    evidence: withGroupRows(committed(60, undefined)),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "a commit goes back, and is taken",
    evidence: withGroupRows(commit(60, "b", 3, 2), committed(61, 2)),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "what nobody committed is committed",
    evidence: withGroupRows(committed(60, 7)),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "a seek is answered and nothing has moved",
    evidence: withGroupRows(move(60, 4, 1), committed(61, 4)),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "a commit is refused for what nobody has committed",
    evidence: withGroupRows(commit(60, "b", 3, 4, { type: "fail", error: "COMMIT_BEHIND", committed: 9 })),
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "nothing is committed before it may have expired",
    evidence: {
      ...withGroupRows(leave(60, "b"), leave(61, "c"), beat(62, "d", 0, [], [9, ["t-0"]]), committed(63, undefined)),
      groupRetentionMs: 100,
      clockAheadMs: 0,
    },
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "what has expired is there again",
    evidence: {
      ...withGroupRows(leave(60, "b"), leave(61, "c"), move(80, undefined, 2), committed(81, 4)),
      groupRetentionMs: 100,
      clockAheadMs: 0,
    },
    says: /g t-0: no order explains what was answered/,
  },
  {
    row: "C2",
    what: "a late commit of the former owner is taken",
    evidence: withGroupRows(commit(60, "a", 2, 4)),
    says: /row 60 \(commit\) of t-0 by a at epoch 2 was taken, and b had been given it at 3 \(row 41\)/,
  },
  {
    row: "C2",
    what: "a commit of somebody who never had it is taken, at a new epoch",
    evidence: withGroupRows(commit(49.5, "z", 9, 4)),
    says: /row 49.5 \(commit\) of t-0 by z was taken while b had it, from 415 to 520/,
  },
  {
    row: "C2",
    what: "a commit at an epoch from before the grant is taken",
    evidence: withGroupRows(commit(60, "b", 2, 4)),
    says: /row 60 \(commit\) of t-0 by b at epoch 2 was taken, and it had been given it at 3 or later/,
  },
  {
    row: "C2",
    what: "a commit of a life that is over is taken",
    evidence: withGroupRows(beat(60, "b", 0, [], [8, []]), commit(61, "b", 3, 4)),
    says: /row 61 \(commit\) of t-0 by b at epoch 3 was taken, and it had been given it at 8 or later/,
  },
  {
    row: "C2",
    what: "a commit from outside is taken while there are members",
    evidence: withGroupRows(commit(47.5, "out", undefined, 4)),
    says: /row 47.5 \(commit\) of t-0 came from outside and was taken, though b was a member from 345 to 520/,
  },
  {
    row: "C3",
    what: "a partition is given to another before it is given back",
    evidence: without(withGroupRows(beat(46.5, "a", 2, ["t-0", "t-1"], [2])), 40),
    says: /t-0 of g was in the hands of a until 465, and of b from 415 on/,
  },
  {
    row: "C3",
    what: "the coordinator says that two have one partition",
    evidence: withGroupRows(describe(60, "reconciling", ["b", ["t-0"]], ["c", ["t-0", "t-1"]])),
    says: /row 60 \(describe\): t-0 of g is in the hands of b and of c/,
  },
  {
    row: "C3",
    what: "a group is said to be stable, and nobody has a partition",
    evidence: withGroupRows(describe(60, "stable", ["b", ["t-0"]])),
    says: /row 60 \(describe\): g is stable, and t-1 is in nobody's hands/,
  },
  {
    row: "C4",
    what: "more is committed than was processed",
    evidence: withGroupRows(commit(60, "b", 3, 6)),
    says: /row 60 \(commit\): b commits g t-0 up to 6, and nobody had processed 4/,
  },
  {
    row: "C4",
    what: "a record in the middle was never processed",
    evidence: without(goodGroup, 36),
    says: /row 45 \(commit\): b commits g t-0 up to 4, and nobody had processed 2/,
  },
  {
    row: "C4",
    what: "what is committed is processed later",
    evidence: withGroupRows(commit(60, "b", 3, 5), work(61, "b", 4, 5)),
    says: /row 60 \(commit\): b commits g t-0 up to 5, and nobody had processed 4/,
  },
  {
    row: "C5",
    what: "a member begins at the beginning, as if nothing were committed",
    evidence: withGroupRows(resume(60, "c", 0, undefined)),
    says: /row 60 \(resume\): c begins with t-0 of g as if nothing were committed; row 45 had made it 4/,
  },
  {
    row: "C5",
    what: "a member begins at the beginning, long before anything may have expired",
    evidence: { ...withGroupRows(resume(60, "c", 0, undefined)), groupRetentionMs: 604_800_000, clockAheadMs: 0 },
    says: /row 60 \(resume\): c begins with t-0 of g as if nothing were committed; row 45 had made it 4/,
  },
  {
    row: "C5",
    what: "a member begins where the group was before",
    evidence: withGroupRows(resume(60, "c", 3, 3)),
    says: /row 60 \(resume\): c begins with t-0 of g as if 3 were committed; row 45 had made it 4/,
  },
  {
    row: "C5",
    what: "a member begins behind what it was told",
    evidence: withGroupRows(resume(60, "c", 5, 4)),
    says: /row 60 \(resume\): c begins with t-0 of g at 5, and was told that 4 is committed/,
  },
  {
    row: "C5",
    what: "a group without a commit begins at its end",
    evidence: without(withGroupRows(resume(31.5, "a", 2, undefined)), 31),
    says: /row 31.5 \(resume\): a begins with t-0 of g at 2; without a commit it begins at 0/,
  },
  {
    row: "C6",
    what: "the files make another group of it",
    evidence: {
      ...goodGroup,
      groupStates: [...goodGroup.groupStates, { partition: "__groups-3", index: 9, hash: "other", where: "files of b2" }],
    },
    says: /__groups-3 index 9: g9 \(b1\), other \(files of b2\)/,
  },
  {
    row: "C7",
    what: "an offset expires while there are members",
    evidence: withGroupRows(committed(51.5, undefined)),
    says: /row 51.5 \(committed\): nothing is committed of t-0 of g; row 45 had committed it, and the group has had members since 305/,
  },
  {
    row: "C8",
    what: "a group does not come to rest",
    evidence: { ...goodGroup, groups: [{ ...rest, settled: false }] },
    says: /g did not come to rest/,
  },
  {
    row: "C8",
    what: "nobody has a partition in the end",
    evidence: {
      ...goodGroup,
      groups: [{ ...rest, members: [{ id: "b", holds: ["t-0"] }], described: [{ id: "b", assignment: ["t-0"] }] }],
    },
    says: /g: t-1 is in the hands of nobody/,
  },
  {
    row: "C8",
    what: "a member does not know what it has",
    evidence: { ...goodGroup, groups: [{ ...rest, described: [{ id: "b", assignment: ["t-0", "t-1"] }] }] },
    says: /g: b holds t-0, its coordinator says t-0,t-1/,
  },
  {
    row: "C8",
    what: "what is there is not processed",
    evidence: { ...goodGroup, groups: [{ ...rest, partitions: [{ partition: "t-0", committed: 3, end: 4 }] }] },
    says: /g: t-0 is committed up to 3, and ends at 4/,
  },
];

/** Nothing is wrong with these. */
export const sound = [
  ["an operator deletes what is committed", withGroupRows(forget(60, "t-0"), committed(61, undefined))],
  [
    "a whole group is deleted when all have left",
    withGroupRows(leave(60, "b"), leave(61, "c"), forget(62), committed(63, undefined), commit(64, "out", undefined, 1)),
  ],
  ["a seek goes back, and the group goes on from there", withGroupRows(move(60, 4, 1), resume(61, "b", 1, 1), committed(62, 1))],
  [
    "offsets of a group without members expire",
    { ...withGroupRows(leave(60, "b"), leave(61, "c"), committed(80, undefined)), groupRetentionMs: 100, clockAheadMs: 0 },
  ],
  [
    "offsets have expired, and whoever comes next begins anew",
    {
      ...withGroupRows(
        leave(60, "b"),
        leave(61, "c"),
        beat(80, "d", 0, [], [9, ["t-0"]]),
        resume(81, "d", 0, undefined),
        committed(82, undefined),
      ),
      groupRetentionMs: 100,
      clockAheadMs: 0,
    },
  ],
  [
    "offsets have expired, and the group is moved, is committed from outside, and expires once more",
    {
      ...withGroupRows(
        leave(60, "b"),
        leave(61, "c"),
        move(80, undefined, 2),
        commit(81, "out", undefined, 3),
        commit(100, "out", undefined, 1),
      ),
      groupRetentionMs: 100,
      clockAheadMs: 0,
    },
  ],
] as const;
