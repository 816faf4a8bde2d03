import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { recordSet } from "../harness.ts";
import * as rpc from "../stubs.ts";
import { GroupCluster, held, refusals } from "./group-cluster.ts";

/** Broker 1 controls, 2 coordinates group `g`, and 3 hears nothing of the controller: every majority stands. */
async function withoutNews(seed: number, topic?: string) {
  const groups = await GroupCluster.start({ seed });
  const { cluster } = groups;
  if (topic !== undefined) await cluster.createTopic(topic, 2);
  await groups.join(1, "g", "warm", ["old"]);
  await groups.beat(1, { groupId: "g", memberId: "warm", memberEpoch: -1 });
  await cluster.pass(2_000);
  await cluster.moveController(1);
  await groups.moveCoordinator("g", 2);
  await cluster.pass(500);
  cluster.world.network.partition([["b1"], ["b3"]]);
  await cluster.pass(200);
  return { groups, cluster };
}

describe("A coordinator that hears nothing of the controller", () => {
  it("takes a topic that it has not read of from nobody, and lets others join", async () => {
    const { groups, cluster } = await withoutNews(611);
    await cluster.settle(cluster.ask(2, rpc.CreateTopic, { name: "t", partitions: 4 }));
    await cluster.pass(500);
    const a = await groups.join(2, "g", "a", ["t"]);
    assert.equal(held(a).length, 4);
    await cluster.pass(500);
    await groups.moveCoordinator("g", 3);
    await cluster.pass(300);
    const after = await groups.beat(3, { groupId: "g", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.equal(after.assignmentChanged, false);
    await groups.join(3, "g", "b", ["t"]);
    const told = await groups.beat(3, { groupId: "g", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.deepEqual([told.assignment[0]?.topic, held(told).length], ["t", 2], "by name, and its share");
    cluster.world.network.heal();
    await cluster.pass(3_000);
    const still = await groups.beat(3, { groupId: "g", memberId: "a", memberEpoch: told.memberEpoch, owned: told.assignment });
    assert.equal(still.assignmentChanged, false);
    cluster.close();
  });

  it("takes in within two seconds who wants a topic that is not there, in a call and in a session", async () => {
    const { groups, cluster } = await withoutNews(612);
    await groups.moveCoordinator("g", 3);
    const since = cluster.world.now;
    await groups.join(3, "g", "a", ["notyet"]);
    assert.ok(cluster.world.now - since < 2_000, `${cluster.world.now - since} ms`);
    const session = groups.session(3);
    session.send({ groupId: "g", memberId: "b", memberEpoch: 0, topics: ["notyet"], topicsChanged: true });
    await cluster.pass(2_000);
    assert.equal(session.states.length, 1);
    cluster.close();
  });

  it("tells and takes commits of a topic made anew, though it knows the former one", async () => {
    const { groups, cluster } = await withoutNews(621, "t");
    await cluster.settle(cluster.ask(2, rpc.DeleteTopic, { name: "t" }));
    await cluster.settle(cluster.ask(2, rpc.CreateTopic, { name: "t", partitions: 2 }));
    await cluster.pass(3_000);
    const a = await groups.join(2, "g", "a", ["t"]);
    const topicId = a.assignment[0]?.topicId ?? assert.fail();
    const records = recordSet(["0", "1", "2", "3", "4", "5", "6"]);
    await cluster.settle(cluster.ask(2, rpc.Produce, { topic: "t", partition: 0, records }, { timeoutMs: 10_000 }));
    assert.deepEqual(refusals(await groups.commit(2, "g", a, { "t:0": 5 })), []);
    await groups.moveCoordinator("g", 3);
    assert.deepEqual(await groups.committed(2, "g"), ["t:0=5"]);
    const asked = { groupId: "g", topics: [{ topic: "t", partitions: [0] }] };
    const { offsets } = await cluster.settle(cluster.ask(2, rpc.FetchOffsets, asked));
    assert.deepEqual([offsets[0]?.topicId, offsets[0]?.offset], [topicId, 5]);
    // With the id and without it: who holds it means that one.
    for (const [at, id] of [topicId, ""].entries()) {
      const commit = { groupId: "g", memberId: "a", memberEpoch: a.memberEpoch };
      const position = { topic: "t", topicId: id, partition: 0, offset: 6 + at };
      assert.deepEqual(refusals(await cluster.settle(cluster.ask(2, rpc.CommitOffsets, { ...commit, offsets: [position] }))), []);
    }
    cluster.world.network.heal();
    await cluster.pass(3_000);
    assert.deepEqual(await groups.committed(2, "g"), ["t:0=7"]);
    cluster.close();
  });
});
