import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { phaseOf } from "../../src/consumer-groups/reads.ts";
import { beating, Coordinator, flat, joining, offset, topicUuid } from "./groups-fixture.ts";

function twoOfFour(): { c: Coordinator; a: number; b: number } {
  const c = new Coordinator();
  c.topics.make("t", 4);
  const a = c.told(joining("g", "a", ["t"])).memberEpoch;
  const b = c.told(joining("g", "b", ["t"])).memberEpoch;
  return { c, a, b };
}

const owned = (c: Coordinator, ...partitions: number[]) => [{ topicId: c.topics.byName("t")?.id ?? assert.fail(), partitions }];
const leaving = (memberId: string, forGood = true, instanceId?: string) =>
  ({ kind: "leave", groupId: "g", memberId, instanceId, forGood }) as const;

describe("members of a group", () => {
  it("the first one is granted everything at once", () => {
    const c = new Coordinator();
    c.topics.make("t", 3);
    const state = c.told(joining("g", "a", ["t"]));
    assert.deepEqual(flat(state.assignment), ["1:0", "1:1", "1:2"]);
    assert.equal(phaseOf(c.group("g")), "stable");
  });

  it("a partition is granted only after its owner gave it back, and the owner keeps the others meanwhile", () => {
    const { c, a, b } = twoOfFour();
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), []);
    const revoked = c.told(beating("g", "a", a, { owned: owned(c, 0, 1, 2, 3) }));
    assert.deepEqual(flat(revoked.assignment), ["1:0", "1:1"]);
    assert.equal(phaseOf(c.group("g")), "reconciling");
    assert.deepEqual(flat(c.told(beating("g", "b", 0 + b)).assignment), []);
    // One of the two is still being worked on.
    c.told(beating("g", "a", revoked.memberEpoch, { owned: owned(c, 0, 1, 3) }));
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), ["1:2"]);
    c.told(beating("g", "a", revoked.memberEpoch, { owned: owned(c, 0, 1) }));
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), ["1:2", "1:3"]);
    assert.equal(phaseOf(c.group("g")), "stable");
  });

  it("members that keep what they have are told nothing when another joins or leaves", () => {
    const c = new Coordinator();
    c.topics.make("t", 4);
    c.topics.make("u", 4);
    const a = c.told(joining("g", "a", ["t"]));
    c.told(joining("g", "b", ["u"]));
    c.ok(leaving("b"));
    c.told(joining("g", "c", ["u"]));
    assert.equal(c.told(beating("g", "a", a.memberEpoch, { owned: owned(c, 0, 1, 2, 3) })).assignment, undefined);
  });

  it("silence about a partition the member was not told of yet does not give it back", () => {
    const c = new Coordinator();
    c.topics.make("t", 4);
    const z = c.told(joining("g", "z", ["t"])).memberEpoch;
    const b = c.told(joining("g", "b", ["t"])).memberEpoch;
    const revoked = c.told(beating("g", "z", z));
    c.told(beating("g", "z", revoked.memberEpoch, { owned: revoked.assignment ?? [] }));
    // b was granted two partitions and has not heard of it; now one of them is to go to c.
    c.told(joining("g", "c", ["t"]));
    assert.equal(c.group("g").revoking, 1);
    c.told(beating("g", "b", b, { owned: [] }));
    assert.equal(c.group("g").revoking, 1);
    const newest = c.told(beating("g", "b", b));
    assert.equal(flat(newest.assignment).length, 1);
    c.told(beating("g", "b", newest.memberEpoch, { owned: newest.assignment ?? [] }));
    assert.equal(c.group("g").revoking, 0);
  });

  it("a heartbeat that names partitions the member does not hold is answered with those it does", () => {
    const { c, b } = twoOfFour();
    const state = c.told(beating("g", "b", b, { owned: owned(c, 0) }));
    assert.deepEqual(state.assignment, []);
  });

  it("a member that leaves gives back everything at once", () => {
    const { c, b } = twoOfFour();
    c.ok(leaving("a"));
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), ["1:0", "1:1", "1:2", "1:3"]);
    assert.equal(c.refused(beating("g", "a", 1)), "UNKNOWN_MEMBER");
    assert.equal(c.refused(leaving("a")), "UNKNOWN_MEMBER");
  });

  it("epochs before the member joined again and beyond its newest are fenced; any between will do", () => {
    const { c, a } = twoOfFour();
    const again = c.told(joining("g", "a", ["t"]));
    assert.ok(again.memberEpoch > a);
    assert.equal(c.refused(beating("g", "a", a)), "MEMBER_FENCED");
    assert.equal(c.refused(beating("g", "a", 99)), "MEMBER_FENCED");
    c.told(joining("g", "c", ["t"]));
    assert.equal(c.told(beating("g", "a", again.memberEpoch)).assignment === undefined, false);
  });

  it("who joins again holds nothing any more and is given its share anew, at a later epoch", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    const first = c.told(joining("g", "a", ["t"]));
    const second = c.told(joining("g", "a", ["t"]));
    assert.deepEqual(flat(second.assignment), ["1:0", "1:1"]);
    assert.deepEqual(c.commit("g", { id: "a", epoch: second.memberEpoch }, offset("t", 0, 1)), ["ok"]);
    assert.throws(() => c.commit("g", { id: "a", epoch: first.memberEpoch }, offset("t", 0, 2)), { code: "MEMBER_FENCED" });
  });

  it("topics that are made, grown or deleted change the target; a topic nobody made yet may be subscribed to", () => {
    const c = new Coordinator();
    const refresh = { kind: "refreshTopics", groupId: "g", deleted: [] } as const;
    const a = c.told(joining("g", "a", ["t"]));
    assert.deepEqual(a.assignment, []);
    c.topics.make("t", 2);
    c.ok(refresh);
    const made = c.told(beating("g", "a", a.memberEpoch));
    assert.deepEqual(flat(made.assignment), ["1:0", "1:1"]);
    c.topics.grow("t", 3);
    c.ok(refresh);
    assert.deepEqual(flat(c.told(beating("g", "a", made.memberEpoch)).assignment), ["1:0", "1:1", "1:2"]);
    c.commit("g", { id: "a", epoch: c.group("g").epoch }, offset("t", 0, 5));
    const gone = c.topics.drop("t") ?? assert.fail();
    c.ok({ ...refresh, deleted: [gone] });
    assert.deepEqual(flat(c.told(beating("g", "a", a.memberEpoch)).assignment), []);
    assert.equal(c.committed("g", gone, 0), undefined);
  });

  it("offsets of a topic that is there stay, whoever says it is deleted", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 1);
    c.commit("g", undefined, offset("t", 0, 5));
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [id] });
    assert.equal(c.committed("g", id, 0), 5);
  });

  it("offsets of a topic that the metadata here does not know, but nobody knows to be deleted, stay", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 1);
    c.commit("g", undefined, offset("t", 0, 5));
    c.topics.drop("t");
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [] });
    assert.equal(c.committed("g", id, 0), 5);
  });

  it("another subscription takes effect with the heartbeat that names it", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    c.topics.make("u", 1);
    const a = c.told(joining("g", "a", ["t"]));
    const subscription = { topics: ["u", "u"], topicPattern: "", assignor: "range", rebalanceTimeoutMs: 0 };
    c.told(beating("g", "a", a.memberEpoch, { subscription }));
    assert.deepEqual(flat(c.told(beating("g", "a", a.memberEpoch, { owned: [] })).assignment), ["2:0"]);
    assert.equal(c.group("g").assignor, "range");
    const before = c.image.version;
    c.told(beating("g", "a", c.group("g").epoch, { subscription }));
    assert.equal(c.image.version, before);
  });
});

describe("static members", () => {
  const asX = { instanceId: "x" };

  function away(): { c: Coordinator; epoch: number; b: number } {
    const c = new Coordinator();
    c.topics.make("t", 4);
    const epoch = c.told(joining("g", "a", ["t"], asX)).memberEpoch;
    const b = c.told(joining("g", "b", ["t"])).memberEpoch;
    const { memberEpoch } = c.told(beating("g", "a", epoch, asX));
    c.told(beating("g", "a", memberEpoch, { ...asX, owned: owned(c, 0, 1) }));
    c.ok(leaving("a", false, "x"));
    return { c, epoch: memberEpoch, b };
  }

  it("a second process with the instance id of a live one is refused", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    c.told(joining("g", "a", ["t"], asX));
    assert.equal(c.refused(joining("g", "b", ["t"], asX)), "INSTANCE_ID_IN_USE");
  });

  it("one that said it will be back keeps its partitions, and its successor has them at once", () => {
    const { c, b } = away();
    const other = c.told(beating("g", "b", b));
    assert.deepEqual(flat(other.assignment), ["1:2", "1:3"]);
    const back = c.told(joining("g", "a2", ["t"], asX));
    assert.deepEqual(flat(back.assignment), ["1:0", "1:1"]);
    assert.equal(c.told(beating("g", "b", other.memberEpoch)).assignment, undefined);
  });

  it("its successor has what it had, though an assignor that knew neither would deal otherwise", () => {
    const c = new Coordinator();
    c.topics.make("t", 4);
    c.told(joining("g", "b", ["t"]));
    c.told(joining("g", "a", ["t"], asX));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: "x", forGood: false });
    const before = c.group("g").targetEpoch;
    c.told(joining("g", "c", ["t"], asX));
    assert.equal(c.group("g").targetEpoch, before);
  });

  it("what is meant for it, and another still has when it goes away, is in nobody's hands until its session ends: reconciling, and says so", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    const b = c.told(joining("g", "b", ["t"])).memberEpoch;
    c.told(joining("g", "a", ["t"], asX));
    c.ok(leaving("a", false, "x"));
    const asked = c.told(beating("g", "b", b));
    assert.deepEqual(flat(asked.assignment), ["1:0"]);
    c.told(beating("g", "b", asked.memberEpoch, { owned: owned(c, 0) }));
    assert.equal(c.group("g").held.get(topicUuid(1), 1), undefined);
    assert.equal(phaseOf(c.group("g")), "reconciling");
    c.pass(44_999);
    c.told(beating("g", "b", asked.memberEpoch));
    c.pass(1);
    assert.deepEqual(flat(c.told(beating("g", "b", asked.memberEpoch)).assignment), ["1:0", "1:1"]);
    assert.equal(phaseOf(c.group("g")), "stable");
  });

  it("what it held when it went away it holds: stable", () => {
    const { c } = away();
    assert.equal(phaseOf(c.group("g")), "stable");
  });

  it("what comes back after its successor did is fenced, and cannot commit", () => {
    const { c, epoch } = away();
    assert.equal(c.refused(beating("g", "a", epoch, asX)), "MEMBER_FENCED");
    c.told(joining("g", "a2", ["t"], asX));
    assert.equal(c.refused(beating("g", "a", epoch, asX)), "INSTANCE_FENCED");
    assert.equal(c.refused(leaving("a", true, "x")), "INSTANCE_FENCED");
    assert.throws(() => c.commit("g", { id: "a", epoch }, offset("t", 0, 2)), { code: "UNKNOWN_MEMBER" });
    assert.equal(c.group("g").members.has("a2"), true);
  });

  it("its epochs rise over the change, so that a fencing token of the former process is lower", () => {
    const { c, epoch } = away();
    assert.ok(c.told(joining("g", "a2", ["t"], asX)).memberEpoch > epoch);
  });

  it("one that does not come back within its session is removed", () => {
    const { c, b } = away();
    c.pass(44_000);
    c.told(beating("g", "b", b));
    assert.equal(c.group("g").members.has("a"), true);
    c.pass(1_000);
    assert.equal(c.group("g").members.has("a"), false);
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), ["1:0", "1:1", "1:2", "1:3"]);
  });

  it("who has no instance id cannot leave for a while: it leaves", () => {
    const { c } = twoOfFour();
    c.ok(leaving("a", false));
    assert.equal(c.group("g").members.has("a"), false);
  });
});

describe("timers of a group", () => {
  it("a member that nothing is heard of for a session is removed, one that is heard of stays", () => {
    const { c, a, b } = twoOfFour();
    c.pass(44_999);
    c.told(beating("g", "b", b));
    c.pass(1);
    assert.deepEqual([...c.group("g").members.keys()], ["b"]);
    assert.equal(c.refused(beating("g", "a", a)), "UNKNOWN_MEMBER");
    c.pass(44_999);
    assert.equal(c.group("g").members.size, 0);
  });

  it("a member that does not give back in time is removed though it is heard of, and the partitions are granted", () => {
    const { c, a, b } = twoOfFour();
    for (let at = 0; at < 59; at += 1) {
      c.pass(1_000);
      c.told(beating("g", "a", a, { owned: owned(c, 0, 1, 2, 3) }));
      c.told(beating("g", "b", b));
    }
    assert.equal(c.group("g").members.size, 2);
    c.pass(1_000);
    assert.deepEqual([...c.group("g").members.keys()], ["b"]);
    assert.deepEqual(flat(c.told(beating("g", "b", b)).assignment), ["1:0", "1:1", "1:2", "1:3"]);
  });

  it("what is to be given back later has its own time", () => {
    const { c, a, b } = twoOfFour();
    const alive = (...numbers: number[]): void => {
      const { memberEpoch } = c.told(beating("g", "a", a));
      c.told(beating("g", "a", memberEpoch, { owned: owned(c, ...numbers) }));
      c.told(beating("g", "b", b));
    };
    alive(0, 1, 2, 3);
    c.pass(40_000);
    alive(0, 1);
    c.told(joining("g", "c", ["t"]));
    c.pass(40_000);
    alive(0, 1);
    assert.equal(c.group("g").members.has("a"), true);
  });

  it("and what is asked for besides does not put off the end of the first", () => {
    const { c, a, b } = twoOfFour();
    const alive = (): void => {
      c.told(beating("g", "a", a, { owned: owned(c, 0, 1, 2, 3) }));
      c.told(beating("g", "b", b));
    };
    c.pass(40_000);
    alive();
    c.told(joining("g", "c", ["t"]));
    c.pass(19_999);
    alive();
    assert.equal(c.group("g").members.has("a"), true);
    c.pass(1);
    assert.equal(c.group("g").members.has("a"), false);
  });

  it("a new coordinator gives everybody all of their time again", () => {
    const { c } = twoOfFour();
    c.pass(44_000);
    c.failOver();
    c.pass(44_000);
    assert.equal(c.group("g").members.size, 2);
    c.pass(1_000);
    assert.equal(c.group("g").members.size, 0);
  });

  it("what was given back needs no time any more, though nobody is told anything", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    c.topics.make("u", 1);
    const a = c.told(joining("g", "a", ["t", "u"]));
    const subscription = { topics: ["t"], topicPattern: "", assignor: "", rebalanceTimeoutMs: 0 };
    const { memberEpoch } = c.told(beating("g", "a", a.memberEpoch, { subscription }));
    c.pass(5_000);
    c.told(beating("g", "a", memberEpoch, { owned: owned(c, 0) }));
    assert.equal(c.group("g").revoking, 0);
    c.pass(40_000);
    c.told(beating("g", "a", memberEpoch));
    c.pass(30_000);
    assert.ok((c.timers.nextDeadline ?? 0) > c.monotonic);
  });

  it("a timer of a former life of a member does nothing", () => {
    const { c, a } = twoOfFour();
    c.told(joining("g", "a", ["t"]));
    c.ok({ kind: "expireMember", groupId: "g", memberId: "a", joinEpoch: a, revoking: undefined });
    assert.equal(c.group("g").members.has("a"), true);
  });

  it("it is known when to look next, and that is not before something can run out", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    assert.equal(c.timers.nextDeadline, undefined);
    c.told(joining("g", "a", ["t"], { rebalanceTimeoutMs: 5_000 }));
    assert.equal(c.timers.nextDeadline, 45_000);
    c.pass(10_000);
    const b = c.told(joining("g", "b", ["t"], { topics: ["t"] }));
    assert.equal(c.timers.nextDeadline, 45_000);
    assert.equal(b.assignment?.length, 0);
  });

  it("who asks for less time while it has something to give back has that time, though nobody is told anything", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    const { memberEpoch } = c.told(joining("g", "a", ["t"]));
    c.told(joining("g", "b", ["t"]));
    c.told(beating("g", "a", memberEpoch, { subscription: { topics: ["t"], topicPattern: "", assignor: "", rebalanceTimeoutMs: 5_000 } }));
    c.pass(4_999);
    assert.deepEqual([...c.group("g").members.keys()], ["a", "b"]);
    c.pass(1);
    assert.deepEqual([...c.group("g").members.keys()], ["b"], "it has not given back what b is to have");
  });
});
