import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, type LogIndex, METADATA_GROUP, type ReplicaId, type Term } from "../../src/base/ids.ts";
import type { AddressedMessage } from "../../src/broker/peers/raft-codec.ts";
import { BEATS_LEVEL } from "../../src/cluster/feature-levels.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, type ClusterOptions, recordSet } from "./harness.ts";
import { overhear, overhearBeats } from "./scenarios/overheard.ts";
import { Puppet } from "./scenarios/puppet.ts";
import * as stubs from "./stubs.ts";

const PARTITIONS = 4;

/** A cluster that a broker of level 1 may still be in. */
const asBefore: ClusterOptions = { software: () => ({ featureLevels: { min: 1, max: BEATS_LEVEL } }) };

async function atRest(seed: number, brokers = 3, partitions = PARTITIONS, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await Cluster.start({ seed, brokers, ...options });
  await cluster.createTopic("t", partitions);
  for (let partition = 0; partition < partitions; partition++)
    await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet(["a"]), acks: Acks.all });
  await cluster.pass(2_000);
  return cluster;
}

describe("Whole brokers at rest (ADR 0016)", () => {
  it("send one beat per heartbeat to each other and no record of Raft, and take the next batch as before", async () => {
    const cluster = await atRest(1);
    const group = await cluster.groupOf("t", 0);
    await cluster.pass(500);
    const terms = cluster.numbers.map((n) => cluster.replica(n, group)?.core.term);
    for (const of of [METADATA_GROUP, group]) {
      const said = overhear(cluster, of);
      await cluster.pass(1_000);
      assert.deepEqual(said, []);
    }
    const beats = cluster.numbers.flatMap((from) =>
      cluster.numbers.filter((to) => to !== from).map((to) => overhearBeats(cluster, from, to)),
    );
    await cluster.pass(10_000);
    for (const { length } of beats) assert.ok(length >= 99 && length <= 101, `${length} beats in ten seconds`);
    await cluster.pass(600_000);
    assert.deepEqual(
      cluster.numbers.map((n) => cluster.replica(n, group)?.core.term),
      terms,
    );
    const before = cluster.world.now;
    await cluster.call(2, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
    assert.ok(cluster.world.now - before < 50);
    assert.deepEqual(await cluster.values("t"), ["a", "b"]);
    assert.deepEqual(cluster.errors, []);
    cluster.close();
  });

  // What ends the leader is not told to anybody: only that it is not heard, or does not hear, can tell.
  const silences: Record<string, (cluster: Cluster, leader: number, others: readonly number[]) => void> = {
    "loses power": (cluster, leader) => cluster.powerCut(leader),
    hangs: (cluster, leader) => cluster.world.machine(`b${leader}`).pause(),
    "is not heard any more": (cluster, leader, others) => {
      for (const n of others) cluster.world.network.link(`b${leader}`, `b${n}`).cut();
    },
    "does not hear any more": (cluster, leader, others) => {
      for (const n of others) cluster.world.network.link(`b${n}`, `b${leader}`).cut();
    },
  };
  for (const [what, silence] of Object.entries(silences)) {
    it(`elect another leader within two timeouts when the one of a group at rest ${what}`, async () => {
      const cluster = await atRest(2);
      const group = await cluster.groupOf("t", 0);
      const leader = await cluster.leaderOf("t", 0);
      const others = cluster.numbers.filter((n) => n !== leader);
      const began = cluster.world.now;
      silence(cluster, leader, others);
      await cluster.until(() => others.some((n) => cluster.replica(n, group)?.serves === true), "a new leader");
      assert.ok(cluster.world.now - began < 2_000, `after ${Math.round(cluster.world.now - began)} ms`);
      cluster.world.network.heal();
      cluster.world.machine(`b${leader}`).resume();
      if (what === "loses power") cluster.boot(leader);
      await cluster.until(() => cluster.numbers.every((n) => cluster.replica(n, group)?.core.leader !== undefined), "all follow");
      // A minute later all are in sync, and nobody was deposed again.
      const term = Math.max(...others.map((n) => cluster.replica(n, group)?.core.term ?? 0));
      await cluster.pass(60_000);
      const { baseOffset } = await cluster.call(others[0] ?? 1, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
      assert.equal(Number(baseOffset), 1);
      for (const n of cluster.numbers) assert.ok((cluster.replica(n, group)?.core.term ?? 0) <= term + 1);
      cluster.close();
    });
  }

  it("keep the in-sync replicas while they rest, and lose one that hangs within the time it always had", async () => {
    const cluster = await atRest(3);
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const hangs = cluster.numbers.find((n) => n !== leader && n !== cluster.controller) as number;
    await cluster.pass(60_000);
    const isr = async () => {
      const { topics } = await cluster.call(leader, stubs.DescribeTopics, { names: ["t"] });
      return topics[0]?.partitions[0]?.isrBrokerIds.length;
    };
    assert.equal(await isr(), 3);
    cluster.world.machine(`b${hangs}`).pause();
    await cluster.pass(3_000);
    assert.equal(await isr(), 2);
    assert.equal(cluster.serving(group), leader);
    cluster.world.machine(`b${hangs}`).resume();
    await cluster.pass(3_000);
    assert.equal(await isr(), 3);
    cluster.close();
  });

  it("judge who is in sync by the clock that went on while nobody looked", async () => {
    const cluster = await atRest(6, 5, 1);
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const has = (n: number): boolean => cluster.replica(n, group) !== undefined;
    const hangs = cluster.numbers.find((n) => n !== leader && n !== cluster.controller && has(n)) as number;
    const fills = cluster.numbers.find((n) => n !== cluster.controller && !has(n)) as number;
    const inSync = (): number => {
      const partitions = [...(cluster.broker(leader).numbers?.partitions() ?? [])];
      return partitions.find(({ partition }) => partition === 0)?.inSyncReplicas ?? assert.fail();
    };
    await cluster.pass(10_000);
    // What is said of a disk has every partition looked at: while the follower is silent already, but not for so long that its rest ends.
    cluster.world.network.link(`b${fills}`, `b${leader}`).slowTo(400);
    cluster.disk(fills).leaveFree(1024 * 1024);
    await cluster.until(() => cluster.broker(fills).numbers?.diskFull === true, "it notices");
    cluster.world.machine(`b${hangs}`).pause();
    const began = cluster.world.now;
    await cluster.until(() => inSync() === 2, "the one that hangs is out");
    const took = cluster.world.now - began;
    assert.ok(took < 2_120, `after ${Math.round(took)} ms`);
    cluster.close();
  });

  it("hear at once of a hole that one of them has", async () => {
    const cluster = await atRest(5);
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const holed = cluster.replica(cluster.numbers.find((n) => n !== leader) as number, group) ?? assert.fail();
    const progress = () => cluster.replica(leader, group)?.core.progress(holed.id);
    assert.equal(progress()?.barred, false);
    holed.holed([{ first: 1 as LogIndex, last: 1 as LogIndex }]);
    await cluster.pass(20);
    assert.equal(progress()?.impaired, "hole");
    holed.holed([]);
    await cluster.pass(300);
    assert.equal(progress()?.barred, false);
    cluster.close();
  });

  it("offer no rest to a broker of before there was any, and send it no beats", async () => {
    const cluster = await atRest(4, 3, PARTITIONS, asBefore);
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const old = cluster.numbers.find((n) => n !== leader) as number;
    const replica = cluster.replica(old, group)?.id;
    assert.ok(replica !== undefined);
    const { clusterId } = await cluster.call(leader, stubs.DescribeCluster, {});
    cluster.kill(old);
    const { core, id } = cluster.replica(leader, group) ?? assert.fail();
    const to = { broker: leader, replica: id };
    const { term, lastIndex: durable } = core;
    let puppet: Puppet | undefined;
    // It has everything, and answers as one of its time does.
    const answer = ({ message }: AddressedMessage): void => {
      if (message.kind === "append") puppet?.send(to, { kind: "appendReply", term, durable });
      if (message.kind === "heartbeat") puppet?.send(to, { kind: "heartbeatReply", term, durable, round: message.round });
    };
    puppet = await Puppet.start(cluster, old, leader, clusterId, { group, replica }, answer, 0, 1);
    await cluster.pass(1_000);
    const beats = overhearBeats(cluster, leader, old);
    puppet.heard.length = 0;
    const { heard } = puppet;
    await cluster.pass(5_000);
    assert.equal(core.progress(replica)?.mode, "replicate");
    const heartbeats = heard.filter(({ message }) => message.kind === "heartbeat");
    assert.ok(heartbeats.length >= 49, `${heartbeats.length} heartbeats in five seconds`);
    assert.ok(heard.every(({ message }) => !("rest" in message) && message.kind !== "wake"));
    assert.deepEqual(beats, []);
    cluster.close();
  });

  for (const [what, { awaysMs, end }] of Object.entries({
    "is killed": { awaysMs: [0, 300], end: (cluster: Cluster, n: number) => cluster.kill(n) },
    // Nobody is told: it may be back before it is missed.
    "loses power": { awaysMs: [0, 80, 500], end: (cluster: Cluster, n: number) => cluster.powerCut(n) },
  }))
    it(`leave nothing asleep when one of them ${what} and comes back as a version of before there was rest`, async () => {
      const cluster = await atRest(6, 3, PARTITIONS, asBefore);
      const groups: GroupId[] = [METADATA_GROUP];
      for (let partition = 0; partition < PARTITIONS; partition++) groups.push(await cluster.groupOf("t", partition));
      // It leads some and follows in others.
      await cluster.moveLeader("t", 0, 2);
      await cluster.moveLeader("t", 1, 1);
      for (const awayMs of awaysMs) {
        await cluster.pass(2_000);
        end(cluster, 2);
        await cluster.pass(awayMs);
        cluster.boot(2, { featureLevels: { min: 1, max: 1 } });
        await cluster.settle(cluster.started(2));
        await cluster.pass(2_000);
        for (const group of groups) {
          const leader = cluster.serving(group);
          assert.ok(leader !== undefined, `group ${group} has a leader`);
          assert.ok(cluster.numbers.every((n) => cluster.replica(n, group)?.core.leader === cluster.replica(leader, group)?.id));
        }
        // Who follows it, or whom it follows, is heard by heartbeats, and its silence is seen.
        for (let partition = 0; partition < PARTITIONS; partition++)
          await cluster.call(3, stubs.Produce, { topic: "t", partition, records: recordSet([`${awayMs}`]), acks: Acks.all });
        assert.deepEqual(
          cluster.warnings.filter((warning) => warning.includes("peer.bad_message")),
          [],
        );
        await cluster.stop(2);
        await cluster.restart(2);
        await cluster.pass(1_000);
        await cluster.moveLeader("t", 0, 2);
      }
      cluster.close();
    });

  it("hear that nobody leads any more where a replica is gone that had offered rest", async () => {
    const cluster = await atRest(5);
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const other = cluster.numbers.find((n) => n !== leader) as number;
    const replica = cluster.replica(other, group)?.id;
    assert.ok(replica !== undefined);
    const { clusterId } = await cluster.call(leader, stubs.DescribeCluster, {});
    cluster.kill(other);
    const term = cluster.replica(leader, group)?.core.term as Term;
    const puppet = await Puppet.start(cluster, other, leader, clusterId, { group, replica }, () => {});
    puppet.heard.length = 0;
    const gone = 1_000_000 as ReplicaId;
    puppet.send({ broker: leader, replica: gone }, { kind: "heartbeatReply", term, durable: 0 as LogIndex, round: 0 });
    puppet.send({ broker: leader, replica: gone }, { kind: "heartbeatReply", term, durable: 0 as LogIndex, round: 0, resting: true });
    await cluster.pass(100);
    const told = puppet.heard.filter(({ from }) => from === gone);
    assert.deepEqual(
      told.map(({ to, message }) => [to, message]),
      [[replica, { kind: "wake", term }]],
    );
    cluster.close();
  });
});
