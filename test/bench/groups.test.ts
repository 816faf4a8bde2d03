import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { askedOf } from "../../bench/groups/asked.ts";
import { Assignment } from "../../bench/groups/assignment.ts";
import { verdictOf } from "../../bench/groups/figures.ts";

const figure = { name: "f", unit: "ms", value: 5, of: 1 };

describe("figures of `npm run bench -- groups`", () => {
  it("are met at their bar, and missed beyond it", () => {
    assert.equal(verdictOf({ ...figure, bar: { most: 5 } }), "met");
    assert.equal(verdictOf({ ...figure, bar: { most: 4.9 } }), "MISSED");
    assert.equal(verdictOf({ ...figure, bar: { least: 5 } }), "met");
    assert.equal(verdictOf({ ...figure, bar: { least: 5.1 } }), "MISSED");
    assert.equal(verdictOf(figure), "told");
  });

  it("that rest on nothing are no pass, whatever they say", () => {
    assert.equal(verdictOf({ ...figure, of: 0, bar: { most: 5 } }), "NOTHING MEASURED");
    assert.equal(verdictOf({ ...figure, value: Number.NaN, bar: { most: 5 } }), "NOTHING MEASURED");
    assert.equal(verdictOf({ ...figure, of: 0 }), "NOTHING MEASURED");
  });
});

describe("what `npm run bench -- groups` is asked", () => {
  it("is the whole, or less of it with --quick, or what is named", () => {
    assert.deepEqual([askedOf([]).rebalance.members, askedOf([]).kills], [100, 10]);
    assert.deepEqual([askedOf(["--quick"]).rebalance.members, askedOf(["--quick"]).kills], [30, 1]);
    assert.deepEqual([...askedOf(["--only", "memory,commits"]).parts], ["memory", "commits"]);
  });

  it("is refused by name", () => {
    assert.throws(() => askedOf(["--wrong"]), /--wrong/);
    assert.throws(() => askedOf(["--only", "memory,speed"]), /--only has no part "speed"/);
    assert.throws(() => askedOf(["--kills", "x"]), /--kills must be a whole number: got x/);
    assert.throws(() => askedOf(["--full", "100"]), /--full must be from 1 to 99: got 100/);
    assert.throws(() => askedOf(["--partitions", "50"]), /--partitions must be from 100/);
  });
});

describe("Assignment", () => {
  it("rests when each partition has one owner and everybody an even share", async () => {
    const assignment = new Assignment(4);
    const resting = assignment.rest(2, 10_000);
    assignment.held("a", [0, 1, 2, 3], [], 1);
    assignment.held("b", [], [], 2);
    assignment.held("a", [], [2, 3], 3);
    assignment.held("b", [2, 3], [], 4);
    assert.deepEqual(await resting, { at: 4, last: "b" });
  });

  it("does not rest while one is late in another process", async () => {
    const assignment = new Assignment(2);
    const resting = assignment.rest(2, 10_000);
    assignment.held("far", [0, 1], [], 1, false);
    assignment.held("b", [1], [], 2);
    assignment.held("far", [], [1], 3, false);
    assert.deepEqual(await resting, { at: 3, last: "far" });
    assert.deepEqual(assignment.doubles, []);
  });

  it("names two owners at once", () => {
    const assignment = new Assignment(2);
    assignment.held("a", [0, 1], [], 1);
    assignment.held("b", [1], [], 2);
    assert.deepEqual(assignment.doubles, ["partition 1: a and b"]);
  });

  it("judges those partitions that stay in the same hands", () => {
    const assignment = new Assignment(4);
    assignment.held("a", [0, 1], [], 1);
    assignment.held("b", [2, 3], [], 1);
    assignment.mark();
    assignment.held("a", [], [1], 2);
    assignment.held("b", [], [3], 2);
    assignment.held("b", [3], [], 3);
    assert.deepEqual(assignment.stayed(), { judged: 3, disturbed: 1, moved: 1 });
  });
});
