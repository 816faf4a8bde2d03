import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RaftInvariants } from "../../../src/testing/checkers/raft/raft-invariants.ts";
import type { ReplicaView } from "../../../src/testing/checkers/raft/replica-view.ts";

/** A replica's state in short: `log` is the term of each entry from index 1 on; bodies follow from index and term unless said. */
interface Sketch {
  readonly replica: number;
  readonly log: readonly number[];
  readonly term?: number;
  readonly life?: number;
  readonly role?: string;
  readonly votedFor?: number;
  /** The vote that is on disk, in `term`; absent: nobody says what is. */
  readonly onDisk?: number;
  readonly commit?: number;
  readonly durable?: number;
  readonly body?: (index: number) => string;
  /** Entries of which no frame is there. */
  readonly hole?: readonly [first: number, last: number];
}

function view(sketch: Sketch): ReplicaView {
  const { log } = sketch;
  return {
    group: 1,
    replica: sketch.replica,
    life: sketch.life ?? 1,
    role: sketch.role ?? "follower",
    term: sketch.term ?? log.at(-1) ?? 0,
    votedFor: sketch.votedFor,
    ...(sketch.onDisk === undefined ? {} : { durableTerm: sketch.term ?? log.at(-1) ?? 0, durableVote: sketch.onDisk }),
    commit: sketch.commit ?? 0,
    durable: sketch.durable ?? log.length,
    startIndex: 0,
    lastIndex: log.length,
    voters: [1, 2, 3],
    oldVoters: undefined,
    termAt: (index) => (index === 0 ? 0 : log[index - 1]),
    unproved: (index) => sketch.hole !== undefined && sketch.hole[0] <= index && index <= sketch.hole[1],
    hashAt: (index) => sketch.body?.(index) ?? `${index}:${log[index - 1]}`,
  };
}

function observed(...sketches: Sketch[]): RaftInvariants {
  const invariants = new RaftInvariants();
  for (const sketch of sketches) invariants.observe(view(sketch));
  return invariants;
}

/** Two terms of a healthy group, with a crash that forgets what was not durable. */
const healthy: readonly Sketch[] = [
  { replica: 1, log: [], term: 1, votedFor: 1 },
  { replica: 2, log: [], term: 1, votedFor: 1 },
  { replica: 1, log: [1], role: "leader", votedFor: 1, durable: 0 },
  { replica: 1, log: [1, 1], role: "leader", votedFor: 1 },
  { replica: 2, log: [1, 1], votedFor: 1 },
  { replica: 1, log: [1, 1], role: "leader", votedFor: 1, commit: 2 },
  { replica: 2, log: [1, 1], votedFor: 1, commit: 2 },
  { replica: 1, log: [1, 1, 1], role: "leader", votedFor: 1, commit: 2, durable: 2 },
  { replica: 1, log: [1, 1], life: 2, votedFor: 1, durable: 0 },
  { replica: 2, log: [1, 1], term: 2, votedFor: 2, commit: 2 },
  { replica: 1, log: [1, 1], term: 2, life: 2, votedFor: 2 },
  { replica: 2, log: [1, 1, 2], role: "leader", votedFor: 2, commit: 2 },
  { replica: 1, log: [1, 1, 2], life: 2, votedFor: 2 },
  { replica: 2, log: [1, 1, 2], role: "leader", votedFor: 2, commit: 3 },
  { replica: 3, log: [1, 1, 2], commit: 3 },
  { replica: 2, log: [1, 1, 2], life: 2, votedFor: 2 },
];

/** Two voters that hold what the third one, their leader, commits. */
const healthyDisks: readonly Sketch[] = [1, 3].map((replica) => ({ replica, log: [1, 2, 2, 2, 3] }));

it("A healthy group passes, and every invariant judged something", () => {
  const invariants = observed(...healthy);
  assert.equal(invariants.broken, undefined);
  for (const { row, judged } of invariants.verdicts()) assert.ok(judged > 0, `${row} judged nothing`);
});

it("What is inferred of the terms in a hole is held against nobody, and what is known of them is", () => {
  const whole: readonly Sketch[] = [{ replica: 1, log: [1, 2, 2, 2, 3], role: "leader", commit: 5 }];
  const inferred: Sketch = { replica: 2, log: [1, 1, 1, 2, 3], commit: 5 };
  assert.equal(observed(...healthyDisks, ...whole, { ...inferred, hole: [2, 4] }).broken, undefined);
  assert.match(observed(...healthyDisks, ...whole, inferred).broken ?? "", /^R3 /);
  assert.match(observed(...healthyDisks, ...whole, { ...inferred, hole: [2, 2] }).broken ?? "", /^R[13] /);
});

it("What a crash may forget is held against nobody", () => {
  const invariants = observed(
    { replica: 1, log: [1, 1], durable: 1 },
    // A term and a vote that never became durable, and an entry that did not.
    { replica: 1, log: [1, 1], term: 5, votedFor: 2, durable: 1 },
    { replica: 1, log: [1], term: 1, life: 2 },
    { replica: 1, log: [1], term: 5, votedFor: 3, life: 2 },
  );
  assert.equal(invariants.broken, undefined);
});

describe("Every invariant refuses its planted states, by its row", () => {
  const planted: readonly { readonly row: string; readonly what: string; readonly states: readonly Sketch[] }[] = [
    {
      row: "R1",
      what: "another entry is committed at an index",
      states: [...healthy, { replica: 3, log: [1, 1, 3], term: 3, life: 2, commit: 3 }],
    },
    {
      row: "R1",
      what: "a replica truncates below its commit index",
      states: [...healthy, { replica: 3, log: [1, 1], term: 3, commit: 3 }],
    },
    { row: "R2", what: "two lead one term", states: [...healthy, { replica: 3, log: [1, 1, 2], role: "leader", term: 2, commit: 3 }] },
    {
      row: "R3",
      what: "one index and term has two bodies",
      states: [
        ...healthy,
        { replica: 3, log: [1, 1, 2], life: 2, body: () => "other" },
        { replica: 3, log: [1, 1, 2, 2], life: 2, body: () => "a" },
        { replica: 1, log: [1, 1, 2, 2], life: 2, body: () => "b" },
      ],
    },
    {
      row: "R3",
      what: "one entry follows two histories",
      states: [
        { replica: 1, log: [1, 2, 3] },
        { replica: 2, log: [1, 1, 3] },
      ],
    },
    {
      row: "R4",
      what: "a leader lacks a committed entry",
      states: [...healthy, { replica: 3, log: [1, 1], role: "leader", term: 4, life: 2 }],
    },
    {
      row: "R4",
      what: "an entry is committed that a later leader lacks",
      states: [
        { replica: 1, log: [1], role: "leader" },
        { replica: 2, log: [1], commit: 0 },
        { replica: 3, log: [2], role: "leader", term: 2 },
        { replica: 1, log: [1], role: "leader", commit: 1 },
      ],
    },
    {
      row: "R5",
      what: "a leader rewrites its log",
      states: [
        { replica: 1, log: [1, 1], term: 2, role: "leader" },
        { replica: 1, log: [1, 2], term: 2, role: "leader" },
      ],
    },
    {
      row: "R6",
      what: "a term falls",
      states: [
        { replica: 1, log: [1], term: 3 },
        { replica: 1, log: [1], term: 2 },
      ],
    },
    {
      row: "R6",
      what: "a recovered term is lost by a later restart",
      states: [
        { replica: 1, log: [1], term: 3 },
        { replica: 1, log: [1], term: 2, life: 2 },
      ],
    },
    {
      row: "R6",
      what: "a leader's term is lost by a restart",
      states: [
        { replica: 1, log: [1] },
        { replica: 1, log: [1], term: 3, role: "leader", votedFor: 1 },
        { replica: 1, log: [1], term: 2, life: 2 },
      ],
    },
    { row: "R6", what: "the commit index falls within a life", states: [...healthy, { replica: 3, log: [1, 1, 2], commit: 2 }] },
    {
      row: "R6",
      what: "a durable entry is cut off that the leader has too",
      states: [
        { replica: 1, log: [1, 1], role: "leader" },
        { replica: 2, log: [1, 1] },
        { replica: 2, log: [1], term: 1 },
      ],
    },
    {
      row: "R6",
      what: "a durable entry is lost by a restart",
      states: [
        { replica: 1, log: [1, 1] },
        { replica: 1, log: [1], life: 2 },
      ],
    },
    {
      row: "R7",
      what: "a vote changes within a term",
      states: [
        { replica: 1, log: [], term: 1, votedFor: 2 },
        { replica: 1, log: [], term: 1, votedFor: 3 },
      ],
    },
    {
      row: "R7",
      what: "a leader's own vote is forgotten by a restart",
      states: [
        { replica: 1, log: [], term: 1 },
        { replica: 1, log: [], term: 1, role: "leader", votedFor: 1 },
        { replica: 1, log: [], term: 1, life: 2 },
      ],
    },
    {
      row: "R7",
      what: "a leader was elected by a vote that is on no disk",
      states: [
        { replica: 1, log: [], term: 1, votedFor: 1, onDisk: 1 },
        { replica: 2, log: [], term: 1, votedFor: 1 },
        { replica: 1, log: [1], role: "leader", votedFor: 1, onDisk: 1 },
      ],
    },
    {
      row: "R7",
      what: "a leader was elected by the vote that a replica gave another one",
      states: [
        { replica: 1, log: [], term: 1, votedFor: 1, onDisk: 1 },
        { replica: 2, log: [], term: 1, votedFor: 3, onDisk: 3 },
        { replica: 1, log: [1], role: "leader", votedFor: 1, onDisk: 1 },
      ],
    },
    {
      row: "R7",
      what: "a recovered vote is given again",
      states: [
        { replica: 1, log: [], term: 1, votedFor: 2 },
        { replica: 1, log: [], term: 1, life: 2, votedFor: 3 },
      ],
    },
    {
      row: "R8",
      what: "an entry is committed that one disk holds",
      states: [
        { replica: 1, log: [1], role: "leader", commit: 1 },
        { replica: 2, log: [] },
      ],
    },
    {
      row: "R8",
      what: "a follower counts before its entry is durable",
      states: [
        { replica: 2, log: [1], durable: 0 },
        { replica: 1, log: [1], role: "leader", commit: 1 },
      ],
    },
    {
      row: "R8",
      what: "a leader commits an entry of an older term by counting",
      states: [
        { replica: 2, log: [1], term: 2 },
        { replica: 1, log: [1, 2], role: "leader", durable: 1 },
        { replica: 1, log: [1, 2], role: "leader", durable: 1, commit: 1 },
      ],
    },
  ];
  it("let a follower cut what its leader has otherwise, or not at all", () => {
    const cut: readonly Sketch[] = [
      { replica: 1, log: [1, 1, 1], role: "leader", durable: 1 },
      { replica: 2, log: [1, 1, 1] },
      { replica: 3, log: [1, 3], role: "leader" },
      { replica: 2, log: [1, 3], term: 3 },
      { replica: 1, log: [1], term: 3 },
    ];
    for (const { row, violations } of observed(...cut).verdicts()) assert.deepEqual(violations, [], row);
  });

  it("let one lead whose voters have said so to their disks, or are in a later term by now", () => {
    const elected: readonly Sketch[] = [
      { replica: 2, log: [], term: 1, votedFor: 1, onDisk: 1 },
      { replica: 1, log: [], term: 1, votedFor: 1, onDisk: 1 },
      { replica: 1, log: [1], role: "leader", votedFor: 1, onDisk: 1 },
      { replica: 2, log: [], term: 2, votedFor: 3, onDisk: 3 },
      { replica: 3, log: [], term: 3, votedFor: 3, onDisk: 3 },
      { replica: 3, log: [2], term: 2, life: 2, role: "leader", onDisk: 3 },
    ];
    const votes = observed(...elected)
      .verdicts()
      .find(({ row }) => row === "R7");
    assert.deepEqual(votes?.violations, []);
  });

  it("let one lead that was elected late, in a term that is over: nothing it lacks was committed before it", () => {
    const late: readonly Sketch[] = [
      { replica: 1, log: [1], term: 2, votedFor: 1 },
      { replica: 3, log: [1], term: 2, votedFor: 1 },
      { replica: 3, log: [1], term: 3, votedFor: 2 },
      { replica: 2, log: [1, 3], role: "leader", votedFor: 2 },
      { replica: 3, log: [1, 3], votedFor: 2 },
      { replica: 2, log: [1, 3], role: "leader", votedFor: 2, commit: 2 },
      { replica: 1, log: [1, 2], role: "leader", votedFor: 1 },
    ];
    for (const { row, judged, violations } of observed(...late).verdicts()) assert.deepEqual(violations, [], `${row} of ${judged}`);
  });

  for (const { row, what, states } of planted) {
    it(`${row}: ${what}`, () => {
      const refused = observed(...states)
        .verdicts()
        .filter((verdict) => verdict.violations.length > 0)
        .map((verdict) => verdict.row);
      assert.ok(refused.includes(row), `refused by ${refused.join() || "nobody"}`);
    });
  }
});
