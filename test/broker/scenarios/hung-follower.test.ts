import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../../src/protocol/public.ts";
import { Cluster, recordSet } from "../harness.ts";
import * as stubs from "../stubs.ts";

const MiB = 1024 * 1024;
const BATCH_BYTES = 640 * 1024;
/** What a leader may give a log connection whose other side does not read: 1 MiB and the append that passes it; and what else is said. */
const WAITING_MAX = MiB + BATCH_BYTES + MiB;

async function inSync(cluster: Cluster, via: number): Promise<readonly number[]> {
  const { topics } = await cluster.call(via, stubs.DescribeTopics, { names: ["t"] });
  return [...(topics[0]?.partitions[0]?.isrBrokerIds ?? [])].sort();
}

describe("A follower that hangs: its sockets are open and it reads nothing", () => {
  it("scenario 42: others commit as before, what waits for it is bounded, and it catches up when it reads again", async () => {
    const cluster = await Cluster.start({ seed: 1 });
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    await cluster.moveController(leader);
    const [hung = 0, other = 0] = cluster.numbers.filter((n) => n !== leader);
    const term = cluster.replica(leader, group)?.core.term;
    const { network } = cluster.world;
    const towards = ["client", `b${leader}`, `b${other}`].map((host) => network.link(host, `b${hung}`));
    while ((await inSync(cluster, leader)).length < 3) await cluster.pass(100);

    for (const link of towards) link.stopReading();
    let waiting = 0;
    let slowest = 0;
    const count = 24;
    for (let n = 0; n < count; n++) {
      const began = cluster.world.now;
      const value = `${n} `.padEnd(BATCH_BYTES - 100, "x");
      const request = { topic: "t", records: recordSet([value]), acks: Acks.quorum };
      const { durableBrokerIds } = await cluster.call(leader, stubs.Produce, request);
      assert.deepEqual([...durableBrokerIds].sort(), [leader, other].sort());
      slowest = Math.max(slowest, cluster.world.now - began);
      waiting = Math.max(waiting, network.unsentBytes(`b${leader}`, `b${hung}`));
    }
    assert.ok(slowest < 100, `a batch took ${slowest} ms`);
    // Else nothing would have been bounded.
    assert.ok(waiting > MiB, `at most ${waiting} bytes waited`);

    // Heartbeats go on being said to it, and acks=ALL comes back once it has left the in-sync replicas.
    for (let seconds = 0; seconds < 60; seconds++) {
      await cluster.pass(1_000);
      waiting = Math.max(waiting, network.unsentBytes(`b${leader}`, `b${hung}`));
    }
    assert.ok(waiting <= WAITING_MAX, `${waiting} bytes waited for it`);
    assert.deepEqual(await inSync(cluster, leader), [leader, other].sort());
    const began = cluster.world.now;
    const all = await cluster.call(leader, stubs.Produce, { topic: "t", records: recordSet(["all"]), acks: Acks.all });
    assert.deepEqual([...all.durableBrokerIds].sort(), [leader, other].sort());
    assert.ok(cluster.world.now - began < 50);
    assert.equal(cluster.replica(leader, group)?.core.term, term, "nobody was deposed for it");

    for (const link of towards) link.startReading();
    await cluster.until(() => cluster.replica(hung, group)?.core.commit === cluster.replica(leader, group)?.core.commit, "it caught up");
    while ((await inSync(cluster, leader)).length < 3) await cluster.pass(100);
    const values = await cluster.values("t", 0, hung);
    assert.deepEqual(
      values.map((value) => value.split(" ")[0]),
      [...Array.from({ length: count }, (_, n) => String(n)), "all"],
    );
    cluster.close();
  });
});
