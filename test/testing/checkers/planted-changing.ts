import type { TopicRow } from "../../../src/testing/checkers/history.ts";
import { beat, commit, committed, goodGroup, rest, resume, work } from "./group-rows.ts";
import { type Planted, topic } from "./rows.ts";

/** The former topic of the name h, and the one that was made anew. */
const A = "h#1-0";
const B = "h#2-0";
const ADDED = "h#1-1";

const of = (partition: string) => ({ partition });
const named = (i: number, op: TopicRow["op"], id: string, more: Partial<TopicRow> = {}): TopicRow =>
  topic(i, op, id, { name: "h", ...more });

/** The group reads a topic, which grows, is deleted, and is made anew; what was committed of it is forgotten at some time. */
const changing = {
  ...goodGroup,
  history: [
    ...goodGroup.history,
    named(70, "create", "1"),
    beat(71, "b", 5, ["t-0"], [6, ["t-0", A]]),
    resume(72, "b", 0, undefined, of(A)),
    { ...work(73, "b", 0, 3), partition: A },
    commit(74, "b", 6, 3, of(A)),
    named(75, "grow", "1", { partitions: 2 }),
    beat(76, "b", 6, ["t-0", A], [7, ["t-0", A, ADDED]]),
    resume(77, "b", 0, undefined, of(ADDED)),
    { ...work(78, "b", 0, 2), partition: ADDED },
    commit(79, "b", 7, 2, of(ADDED)),
    named(80, "delete", "1"),
    // Whoever has not heard of it takes a commit still.
    commit(81, "b", 7, 3, of(A)),
    named(82, "create", "2"),
    commit(83, "b", 7, 3, { ...of(A), type: "fail", error: "UNKNOWN_TOPIC" }),
    beat(84, "b", 7, ["t-0"], [8, ["t-0", B]]),
    { ...committed(85, undefined), partition: B },
    resume(86, "b", 0, undefined, of(B)),
    beat(95, "b", 8, ["t-0", B], [8]),
  ],
};

const withRows = (...rows: (typeof changing.history)[number][]) => ({ ...changing, history: [...changing.history, ...rows] });

export const plantedChanging: readonly Planted[] = [
  {
    row: "C1",
    what: "a commit for the former topic is found as one of the new topic",
    evidence: withRows({ ...committed(87, 3), partition: B }),
    says: /g h#2-0: no order explains what was answered/,
  },
  {
    row: "C1",
    what: "what is committed of a partition is forgotten before its topic is deleted",
    evidence: withRows({ ...committed(79.2, undefined), partition: A }),
    says: /g h#1-0: no order explains what was answered/,
  },
  {
    row: "C4",
    what: "what a new topic holds is committed by the place in the former one",
    evidence: withRows(commit(88, "b", 8, 3, of(B))),
    says: /row 88 \(commit\): b commits g h#2-0 up to 3, and nobody had processed 0/,
  },
  {
    row: "C4",
    what: "an added partition is begun at its end",
    evidence: withRows(resume(78.1, "b", 4, undefined, { ...of("h#1-2"), otherwise: 4 }), commit(79.1, "b", 7, 4, of("h#1-2"))),
    says: /row 79.1 \(commit\): b commits g h#1-2 up to 4, and nobody had processed 0/,
  },
  {
    row: "C5",
    what: "an added partition is begun at its end, as if the log began there",
    evidence: withRows(resume(78.1, "b", 4, undefined, { ...of("h#1-2"), otherwise: 4 })),
    says: /row 78.1 \(resume\): b begins with h#1-2 of g at 4, where nothing is committed, and nothing was let go of from 0 on/,
  },
  {
    row: "C5",
    what: "a new topic is begun where the group was in the former one",
    evidence: withRows(resume(88, "b", 3, 3, of(B))),
    says: /row 88 \(resume\): b begins with h#2-0 of g as if 3 were committed; nobody ever committed that/,
  },
  {
    row: "C7",
    what: "what is committed of a topic is forgotten because another one is deleted",
    evidence: withRows({ ...committed(84.5, undefined), partition: "t-0" }),
    says: /row 84.5 \(committed\): nothing is committed of t-0 of g; row \d+ had committed it/,
  },
  {
    row: "C8",
    what: "partitions of a topic that is gone are in somebody's hands",
    evidence: {
      ...changing,
      groups: [
        {
          ...rest,
          members: [
            { id: "b", holds: ["t-0", A] },
            { id: "c", holds: ["t-1"] },
          ],
          described: [
            { id: "b", assignment: ["t-0", A] },
            { id: "c", assignment: ["t-1"] },
          ],
        },
      ],
    },
    says: /g: h#1-0 is in the hands of b, and there is no such partition any more/,
  },
  {
    row: "C8",
    what: "an added partition is in nobody's hands",
    evidence: { ...changing, groups: [{ ...rest, partitions: [...rest.partitions, { partition: ADDED, end: 0 }] }] },
    says: /g: h#1-1 is in the hands of nobody/,
  },
  {
    row: "M3",
    what: "a topic that is gone is given partitions",
    evidence: withRows(named(81.5, "grow", "1", { partitions: 3 })),
    says: /h: no order explains what was answered/,
  },
];

/** Nothing is wrong with these. */
export const soundChanging = [
  ["a topic that it reads grows, is deleted, and is made anew", changing],
  ["what was committed of a topic is forgotten once it is deleted", withRows({ ...committed(81.5, undefined), partition: A })],
  ["what was committed of a topic that is deleted is there still", withRows({ ...committed(81.5, 3), partition: A })],
  ["a member begins with a topic that is being deleted as if nothing were committed", withRows(resume(80.1, "b", 0, undefined, of(A)))],
] as const;
