import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaId } from "../../src/base/ids.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

async function isrOf(cluster: Cluster, via: number, topic: string): Promise<readonly number[]> {
  const { topics } = await cluster.call(via, stubs.DescribeTopics, { names: [topic] });
  return topics[0]?.partitions[0]?.isrBrokerIds ?? [];
}

describe("a broker that is started again", () => {
  it("does not make replicas of topics that were deleted, though the metadata log tells of their making", async () => {
    const cluster = await Cluster.start();
    await cluster.createTopic("gone", 2);
    await cluster.createTopic("kept");
    // Half the ring, so that segments are synced: what a restart knows as committed ends before the deletion.
    for (let n = 0; n < 18; n++) await cluster.call(1, stubs.Produce, { topic: "kept", records: recordSet(["x".repeat(1_000_000)]) });
    await cluster.pass(5_000);
    await cluster.call(1, stubs.DeleteTopic, { name: "gone" });
    await cluster.pass(5_000);
    for (const n of cluster.numbers) {
      cluster.kill(n);
      await cluster.restart(n);
      await cluster.pass(2_000);
      const groups = [...cluster.broker(n).replicas].length;
      assert.equal(groups, 2, "the metadata group and one partition");
    }
    cluster.close();
  });
});

describe("a broker that is stopped", () => {
  it("is in no in-sync replicas any more and leads nothing when it is gone, the controller too", async () => {
    const cluster = await Cluster.start();
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    await cluster.moveController(leader);
    await cluster.until(() => (cluster.replica(leader, group)?.core.configuration.voters.length ?? 0) === 3, "three voters");
    const other = cluster.alive.find((n) => n !== leader) as number;
    while ((await isrOf(cluster, other, "t")).length < 3) await cluster.pass(100);
    const replica = cluster.replica(leader, group)?.id as ReplicaId;
    await cluster.stop(leader);
    // Not a moment later: nobody had to miss it first.
    const next = cluster.serving(group);
    assert.ok(next !== undefined && next !== leader, "another broker leads");
    assert.ok(cluster.controller !== undefined && cluster.controller !== leader, "another broker is the controller");
    assert.ok(cluster.replica(next, group)?.core.configuration.voters.includes(replica), "it stays a voter");
    assert.deepEqual(
      [...(await isrOf(cluster, next, "t"))].sort(),
      cluster.numbers.filter((n) => n !== leader),
    );
    cluster.close();
  });
});

describe("two brokers that are stopped at the same time", () => {
  it("hand everything to the third, and neither to the other", async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const cluster = await Cluster.start({ seed });
      await cluster.createTopic("t", 6);
      // Without a majority nobody can be elected: the third must lead before the second is gone, or nobody does.
      const [a, b, c] = cluster.numbers as [number, number, number];
      for (let partition = 0; partition < 6; partition++) await cluster.moveLeader("t", partition, partition % 2 === 0 ? a : b);
      await cluster.moveController(c);
      const stops = [a, b].map((n) => cluster.broker(n).stop());
      await cluster.settle(Promise.all(stops));
      const led = [...cluster.broker(c).replicas].filter((replica) => replica.core.leader === replica.id).length;
      assert.equal(led, 7, `broker ${c} leads all (seed ${seed})`);
      cluster.close();
    }
  });
});
