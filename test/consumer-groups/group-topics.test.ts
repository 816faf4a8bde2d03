import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { groupTopics, unheardOf } from "../../src/consumer-groups/group-topics.ts";
import { beating, Coordinator, flat, joining, offset } from "./groups-fixture.ts";

/** A group whose members a and b share six partitions of `t`, and where everybody has what is meant for them. */
function shared() {
  const c = new Coordinator();
  const id = c.topics.make("t", 6);
  const other = c.topics.make("other", 2);
  let a = c.told(joining("g", "a", ["t", "other"]));
  const b = c.told(joining("g", "b", ["t"]));
  a = c.told(beating("g", "a", a.memberEpoch));
  c.told(beating("g", "a", a.memberEpoch, { owned: a.assignment ?? [] }));
  const told = c.told(beating("g", "b", b.memberEpoch));
  c.commit("g", { id: "b", epoch: told.memberEpoch }, offset("t", Number(flat(told.assignment)[0]?.split(":")[1]), 5));
  return { c, id, other, group: () => c.image.group("g") ?? assert.fail() };
}

describe("A coordinator whose metadata is older than its group", () => {
  it("takes nothing from anybody, whoever joins, leaves or is looked at", () => {
    const { c, id, other, group } = shared();
    const before = new Map(group().target.get(id)?.owners.entries());
    const known = c.topics.byName("other") ?? assert.fail();
    const caughtUp = c.topics.older([known]);
    c.failOver();
    assert.deepEqual(unheardOf(group(), c.topics), [id]);
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [] });
    assert.deepEqual(new Map(group().target.get(id)?.owners.entries()), before);
    c.told(joining("g", "c", ["t"]));
    assert.equal(group().target.get(id)?.owners.length, 6);
    assert.ok(group().target.get(id)?.owners.includes("c"), "it has its share of what the coordinator has not heard of");
    c.ok({ kind: "leave", groupId: "g", memberId: "c", instanceId: undefined, forGood: true });
    assert.equal(group().target.get(id)?.owners.length, 6);
    caughtUp();
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [id, other] });
    assert.equal(group().target.size, 2, "what it knows is not deleted, whatever a sweep thought");
  });

  it("takes it away when a read barrier says that it is gone, or it has read of its deletion", () => {
    for (const how of ["barrier", "deletion"] as const) {
      const { c, id, group } = shared();
      if (how === "barrier") c.topics.older([c.topics.byName("other") ?? assert.fail()]);
      else c.topics.drop("t");
      c.ok({ kind: "refreshTopics", groupId: "g", deleted: how === "barrier" ? [id] : [] });
      assert.equal(group().target.get(id), undefined, how);
    }
  });

  it("commits what is held of a topic made anew under the name, and of partitions that were added since", () => {
    const { c, id: old, group } = shared();
    const was = c.topics.byName("t") ?? assert.fail();
    c.topics.drop("t");
    const made = c.topics.make("t", 8);
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [old] });
    const now = c.topics.byName("t") ?? assert.fail();
    for (const older of [was, { ...now, partitions: 6 }]) {
      const caughtUp = c.topics.older([older, c.topics.byName("other") ?? assert.fail()]);
      assert.deepEqual(groupTopics(group(), c.topics).byName("t"), now);
      assert.deepEqual(groupTopics(group(), c.topics).byId(made), now);
      c.ok({ kind: "refreshTopics", groupId: "g", deleted: [] });
      assert.deepEqual([...group().target.keys()].includes(made), true);
      assert.equal(group().target.get(made)?.owners.length, 8);
      caughtUp();
    }
  });

  it("shares what a pattern matched among those whose pattern matches it", () => {
    const c = new Coordinator();
    const id = c.topics.make("orders.eu", 4);
    c.told(joining("g", "a", [], { topicPattern: "orders\\..*" }));
    c.topics.older([]);
    c.told(joining("g", "b", [], { topicPattern: "orders\\..*" }));
    c.told(joining("g", "c", [], { topicPattern: "invoices" }));
    const owners = c.image.group("g")?.target.get(id)?.owners ?? [];
    assert.deepEqual([...new Set(owners)].sort(), ["a", "b"]);
  });
});
