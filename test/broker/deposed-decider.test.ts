import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { GroupCluster, refusals } from "./groups/group-cluster.ts";
import { Cluster } from "./harness.ts";
import * as rpc from "./stubs.ts";

/** Cuts the leader of a group off; clients reach it. @returns it, which does not know yet, and its successor */
async function depose(cluster: Cluster, group: GroupId): Promise<{ readonly old: number; readonly next: number }> {
  const old = cluster.serving(group) ?? assert.fail("somebody leads");
  const others = cluster.numbers.filter((n) => n !== old);
  cluster.world.network.partition([[`b${old}`], others.map((n) => `b${n}`)]);
  const successor = (): number | undefined => others.find((n) => cluster.replica(n, group)?.serves === true);
  await cluster.until(() => successor() !== undefined, "a successor");
  return { old, next: successor() as number };
}

/** Asks who is cut off, lets it notice, and heals the network: the call is answered by who leads then. */
async function healed<T>(cluster: Cluster, asked: Promise<T>, group: GroupId, old: number): Promise<T> {
  assert.equal(cluster.replica(old, group)?.serves, true, "it does not know yet");
  asked.catch(() => {});
  await cluster.until(() => cluster.replica(old, group)?.serves === false, "it knows");
  cluster.world.network.heal();
  return cluster.settle(asked);
}

describe("a controller that was cut off and does not know it yet", () => {
  it("does not refuse a topic for one of the name that its successor has deleted", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    const former = await cluster.call(1, rpc.CreateTopic, { name: "t" });
    const { old, next } = await depose(cluster, METADATA_GROUP);
    await cluster.call(next, rpc.DeleteTopic, { name: "t" });
    const made = await healed(cluster, cluster.ask(old, rpc.CreateTopic, { name: "t" }), METADATA_GROUP, old);
    assert.ok(made.topic !== undefined);
    assert.notEqual(made.topic.topicId, former.topic?.topicId, "made anew by the successor");
    cluster.close();
  });

  it("does not deny a topic that its successor has made", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    const { old, next } = await depose(cluster, METADATA_GROUP);
    await cluster.call(next, rpc.CreateTopic, { name: "t" });
    await healed(cluster, cluster.ask(old, rpc.DeleteTopic, { name: "t" }), METADATA_GROUP, old);
    await cluster.refused(next, rpc.DeleteTopic, { name: "t" }, "UNKNOWN_TOPIC");
    cluster.close();
  });

  it("does not say what would be, when that is not so any more", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    const { old, next } = await depose(cluster, METADATA_GROUP);
    await cluster.call(next, rpc.CreateTopic, { name: "t" });
    const trial = healed(cluster, cluster.ask(old, rpc.CreateTopic, { name: "t", validateOnly: true }), METADATA_GROUP, old);
    await assert.rejects(trial, { code: "TOPIC_EXISTS" });
    cluster.close();
  });
});

describe("a coordinator that was cut off and does not know it yet", () => {
  it("does not refuse the commit and the heartbeat of a member that its successor has let in", async () => {
    const groups = await GroupCluster.start({ seed: 7 });
    const { cluster } = groups;
    await cluster.createTopic("t", 1);
    await groups.fill("t", 0, 3);
    await groups.join(1, "g", "warm", ["t"]);
    await groups.beat(1, { groupId: "g", memberId: "warm", memberEpoch: -1 });
    const shard = groups.groupOf("g");
    await groups.coordinator("g");
    const { old, next } = await depose(cluster, shard);
    const member = await groups.join(next, "g", "a", ["t"]);
    const { memberId, memberEpoch } = member;
    const offsets = [{ topic: "t", partition: 0, offset: 0 }];
    const commit = cluster.ask(old, rpc.CommitOffsets, { groupId: "g", memberId, memberEpoch, offsets });
    const beat = cluster.ask(old, rpc.Heartbeat, { heartbeat: { groupId: "g", memberId, memberEpoch, owned: member.assignment } });
    beat.catch(() => {});
    assert.deepEqual(refusals(await healed(cluster, commit, shard, old)), []);
    assert.equal((await cluster.settle(beat)).state?.memberEpoch, memberEpoch);
    assert.deepEqual(await groups.committed(next, "g"), ["t:0=0"]);
    cluster.close();
  });
});
