import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Broker 1 leads a group to a configuration in which broker 2 alone votes, and nobody else has the last of it. Then all die, and these two start. */
async function leftAlone(cluster: Cluster, group: GroupId): Promise<void> {
  const leader = cluster.replica(1, group);
  const stays = cluster.replica(2, group)?.id;
  assert.ok(leader !== undefined && stays !== undefined);
  assert.equal(leader.changeMembership({ voters: [stays], learners: [] }, []).kind, "accepted");
  await cluster.until(() => leader.core.configuration.old === undefined, "the last configuration");
  cluster.world.network.partition([["b1"], ["b2"], ["b3"]]);
  await cluster.until(() => leader.core.durable >= leader.core.configurationIndex, "it is on disk");
  assert.ok(leader.core.commit < leader.core.configurationIndex);
  assert.notEqual(cluster.replica(2, group)?.core.configuration.old, undefined);
  for (const n of cluster.numbers) cluster.kill(n);
  cluster.world.network.heal();
  for (const n of [1, 2]) cluster.boot(n);
  await cluster.until(() => cluster.replica(1, group)?.core.role === "leader", "it leads once more");
  assert.equal(cluster.replica(1, group)?.serves, false);
  await cluster.until(() => cluster.serving(group) === 2, "the one that votes leads");
  for (const n of [1, 2]) await cluster.settle(cluster.started(n));
}

describe("A leader that a change leaves out, and that has to lead once more because nobody else has the last of it", () => {
  it("goes on being a broker: a partition is served by the one that votes", async () => {
    const cluster = await Cluster.start({ seed: 21 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const group = await cluster.groupOf("t", 0);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]), acks: Acks.all });
    await leftAlone(cluster, group);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.quorum });
    assert.deepEqual(await cluster.values("t", 0, 1), ["a", "b"]);
    cluster.close();
  });

  it("goes on being a broker: the metadata is led by the one that votes", async () => {
    const cluster = await Cluster.start({ seed: 22 });
    await cluster.moveController(1);
    await leftAlone(cluster, METADATA_GROUP);
    await cluster.createTopic("t");
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]), acks: Acks.quorum });
    cluster.close();
  });
});
