import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type RunResult, type RunShape, randomRun } from "./random-run.ts";

/** RAFT_SEEDS widens a hunt, RAFT_SEED replays one; the seed is in the failure. */
const SEEDS = Number(process.env["RAFT_SEEDS"] ?? 60);
const FIRST = Number(process.env["RAFT_SEED"] ?? 1);

/** One voter at least: what goes wrong where a group shrinks to one is rare, so there are more of these. */
const DOWN_TO_ONE: RunShape = { voters: 3, learners: 2, steps: 1200, votersMin: 1 };

const SHAPES: readonly [string, RunShape, seeds?: number][] = [
  ["three voters", { voters: 3, learners: 0, steps: 1500 }],
  ["five voters", { voters: 5, learners: 0, steps: 1500 }],
  [
    "three voters and a learner with tiny windows",
    { voters: 3, learners: 1, steps: 1500, options: { inflightMessagesMax: 1, appendBytesMax: 100, eagerCommit: true } },
  ],
  ["followers that have room for parts", { voters: 3, learners: 1, steps: 1500, withholds: true }],
  ["one voter and a learner", { voters: 1, learners: 1, steps: 500 }],
  ["members that come and go", DOWN_TO_ONE, SEEDS * 8],
  ["members that come and go, and followers that have room for parts", { ...DOWN_TO_ONE, withholds: true }, SEEDS * 8],
  ["groups that rest", { voters: 3, learners: 1, steps: 1500, rests: true, options: { eagerCommit: true } }],
  ["groups that rest, and members that come and go", { voters: 3, learners: 2, steps: 1200, votersMin: 1, rests: true }],
  ["members that come and go, and disks that forget", { voters: 3, learners: 2, steps: 1200, votersMin: 3, amnesia: true }],
];

describe("Raft under a random storm keeps R1 to R8, and commits once it is over", () => {
  it("where the one with the last configuration votes no more (seeds that had no leader at the end)", () => {
    for (const seed of [900034, 901226]) randomRun(seed, DOWN_TO_ONE);
    for (const seed of [900345, 900560]) randomRun(seed, { ...DOWN_TO_ONE, withholds: true });
  });

  it("where a follower hears of a commit in a configuration that its leader has left (seeds that R8 was said of)", () => {
    for (const seed of [901218, 903237]) randomRun(seed, DOWN_TO_ONE);
  });

  for (const [name, shape, own] of SHAPES) {
    it(`with ${name}`, () => {
      const sum: RunResult[] = [];
      // Half as many where members change: one such run does more.
      const seeds = own ?? (shape.votersMin === undefined ? SEEDS : Math.ceil(SEEDS / 2));
      for (let seed = FIRST; seed < FIRST + seeds; seed++) sum.push(randomRun(seed, shape));
      // The storm must not be so strong that nothing happens: then it would prove nothing.
      if (SEEDS >= 20)
        assert.ok(sum.every((each) => each.committed > 1) && sum.some((each) => each.committed > 20), "the storm left something to check");
      const most = (of: (each: RunResult) => number): number => sum.reduce((all, each) => all + of(each), 0);
      if (SEEDS >= 20 && shape.votersMin !== undefined)
        assert.ok(most((each) => each.joint) > seeds / 2 && most((each) => each.resets) > 0);
      if (SEEDS >= 20 && shape.rests === true) assert.ok(most((each) => each.rests) > seeds);
      if (SEEDS >= 20 && shape.withholds === true) assert.ok(most((each) => each.cutFor) > seeds / 10);
      if (SEEDS >= 20 && shape.amnesia === true) assert.ok(most((each) => each.quarantines) > seeds / 4);
    });
  }
});
