import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { GroupNumbers } from "../../../src/base/metrics.ts";
import * as rpc from "../stubs.ts";
import { GroupCluster } from "./group-cluster.ts";

describe("Groups in the numbers of brokers", () => {
  let groups: GroupCluster;
  before(async () => {
    groups = await GroupCluster.start({ seed: 551 });
    await groups.cluster.createTopic("t", 3);
    for (let partition = 0; partition < 3; partition++) await groups.cluster.moveLeader("t", partition, partition + 1);
    for (let partition = 0; partition < 3; partition++) await groups.fill("t", partition, 10);
  });
  after(() => groups.cluster.close());

  const told = async (n: number, most = 100): Promise<readonly GroupNumbers[]> => {
    const all: GroupNumbers[] = [];
    const reading = (async () => {
      for await (const group of groups.cluster.broker(n).numbers?.groups(most) ?? []) all.push(group);
    })();
    await groups.cluster.settle(reading);
    return all;
  };
  /** By broker that tells it, and what it tells. */
  const ofGroup = async (groupId: string): Promise<readonly (readonly [number, GroupNumbers])[]> => {
    const found: (readonly [number, GroupNumbers])[] = [];
    for (const n of groups.cluster.alive) for (const one of await told(n)) if (one.group === groupId) found.push([n, one]);
    return found;
  };
  const lags = ({ partitions }: GroupNumbers): readonly unknown[] =>
    partitions.map(({ topic, partition, lagRecords, lagSeconds, verdict }) => [
      `${topic}:${partition}`,
      lagRecords,
      lagSeconds === undefined ? undefined : Math.round(lagSeconds),
      verdict,
    ]);

  it("are told by their coordinator and nobody else, with the lag of each partition, whoever leads it", async () => {
    await groups.cluster.pass(5_000);
    for (let partition = 0; partition < 3; partition++) await groups.fill("t", partition, 10);
    const member = await groups.join(1, "g", "m", ["t"]);
    await groups.commit(1, "g", member, { "t:0": 4, "t:1": 12, "t:2": 20 });
    const [first, ...others] = await ofGroup("g");
    assert.deepEqual(others, []);
    assert.equal(first?.[0], await groups.coordinator("g"));
    const { state, members } = first?.[1] ?? assert.fail();
    assert.deepEqual([state, members], ["stable", 1]);
    assert.deepEqual(lags(first[1]), [
      ["t:0", 16, 5, "ok"],
      ["t:1", 8, 0, "ok"],
      ["t:2", 0, 0, "ok"],
    ]);
    const counts = groups.cluster.alive.map((n) => groups.cluster.broker(n).numbers?.groupCount);
    assert.deepEqual(counts.toSorted(), [0, 0, 1]);
  });

  it("go with the coordinator, and with the group", async () => {
    await groups.commit(1, "moving", undefined, { "t:0": 20 });
    const to = await groups.another("moving");
    await groups.moveCoordinator("moving", to);
    const { cluster } = groups;
    await cluster.until(() => cluster.broker(to).groups !== undefined, "it coordinates");
    await cluster.pass(1_000);
    assert.deepEqual(
      (await ofGroup("moving")).map(([n, { members }]) => [n, members]),
      [[to, 0]],
    );
    await cluster.call(1, rpc.DeleteGroup, { groupId: "moving" });
    assert.deepEqual(await ofGroup("moving"), []);
  });

  it("have no lag in what retention took, and never less than none", async () => {
    await groups.cluster.createTopic("trimmed", 1);
    await groups.fill("trimmed", 0, 10);
    await groups.commit(1, "behind", undefined, { "trimmed:0": 3 });
    await groups.cluster.call(1, rpc.TrimTopic, { name: "trimmed", partitions: [{ partition: 0, beforeOffset: 8 }] });
    assert.deepEqual(
      (await ofGroup("behind")).map(([, one]) => lags(one)),
      [[["trimmed:0", 2, 0, "ok"]]],
    );
    await groups.cluster.call(1, rpc.TrimTopic, { name: "trimmed", partitions: [{ partition: 0, beforeOffset: 10 }] });
    assert.deepEqual(
      (await ofGroup("behind")).map(([, one]) => lags(one)),
      [[["trimmed:0", 0, 0, "ok"]]],
    );
  });

  it("ask the leader also where a replica here, which has not heard the newest yet, would say that there is no lag", async () => {
    const { cluster } = groups;
    await cluster.createTopic("fresh", 1);
    await groups.fill("fresh", 0, 10);
    await groups.commit(1, "ahead", undefined, { "fresh:0": 10 });
    const coordinator = await groups.coordinator("ahead");
    await cluster.moveLeader("fresh", 0, coordinator === 1 ? 2 : 1);
    const replica = cluster.replica(coordinator, await cluster.groupOf("fresh", 0)) ?? assert.fail();
    await cluster.pass(2_000);
    const before = replica.core.commit;
    await groups.fill("fresh", 0, 10);
    assert.equal(replica.core.commit, before, "the replica of the coordinator has not heard of it");
    const found = (await told(coordinator)).find(({ group }) => group === "ahead");
    assert.deepEqual(lags(found ?? assert.fail()), [["fresh:0", 10, 0, "ok"]]);
  });

  it("say what a replica here knows of a partition without a leader, and nothing of its age", async () => {
    const { cluster } = groups;
    await cluster.createTopic("lonely", 1);
    await groups.fill("lonely", 0, 10);
    await groups.commit(1, "waits", undefined, { "lonely:0": 6 });
    await cluster.pass(2_000);
    const coordinator = await groups.coordinator("waits");
    const leader = coordinator === 1 ? 2 : 1;
    await cluster.moveLeader("lonely", 0, leader);
    await cluster.pass(2_000);
    // Its leader is gone, and the coordinator has not noticed: nobody answers.
    const asked = told(coordinator);
    cluster.powerCut(leader);
    const found = (await asked).find(({ group }) => group === "waits");
    assert.deepEqual(lags(found ?? assert.fail()), [["lonely:0", 4, undefined, "ok"]]);
    await cluster.restart(leader);
  });

  it("are as many as are asked for", async () => {
    for (let n = 0; n < 12; n++) await groups.commit(1, `many-${n}`, undefined, { "t:0": 1 });
    const counts = groups.cluster.alive.map((n) => groups.cluster.broker(n).numbers?.groupCount ?? 0);
    assert.ok(counts.reduce((sum, count) => sum + count) >= 12);
    for (const [at, n] of groups.cluster.alive.entries()) assert.equal((await told(n, 2)).length, Math.min(2, counts[at] as number));
  });
});
