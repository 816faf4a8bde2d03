import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BrokerId, type TopicId, toBrokerId } from "../../../src/base/ids.ts";
import { healthOf } from "../../../src/broker/services/health.ts";
import type { PartitionImage } from "../../../src/cluster/image-state.ts";
import type { BrokerReport, LedGroup } from "../../../src/protocol/routing.ts";
import { brokersOf, Cluster } from "../../cluster/cluster-fixture.ts";
import { brokerConfig } from "../harness.ts";

/** A formed cluster, and who is thought to lead what: the first replica of each partition, unless told. */
function judged(cluster = Cluster.ofThree()) {
  const leaders: { readonly broker: number; readonly led: LedGroup }[] = [];
  const answering = new Set([...cluster.image.brokers.keys()]);
  const lead = (partition: PartitionImage, broker: number = brokersOf(partition)[0] ?? 0, term = 1, serving = true): void => {
    const { groupId } = partition;
    leaders.push({ broker, led: { groupId, term, serving, inSyncReplicas: 0, highWatermark: 0, logStartOffset: 0 } });
  };
  const reportOf = (broker: number): BrokerReport => ({
    led: leaders.filter((each) => each.broker === broker).map(({ led }) => led),
    metadataVersion: 0,
    diskFreeBytes: 0,
    uptimeMs: 0,
    diskReserveBytes: 0,
    diskFull: false,
    replicas: 0,
  });
  const health = (controller: number | undefined = 1) =>
    healthOf(
      cluster.image,
      brokerConfig(1, 3),
      new Map([...answering].map((broker) => [broker, reportOf(broker)])),
      controller === undefined ? undefined : toBrokerId(controller),
    );
  return {
    cluster,
    lead,
    health,
    silent: (broker: number) => answering.delete(broker as BrokerId),
    reasons: (controller?: number) => health(controller).reasons?.map(({ code, text }) => `${code}: ${text}`),
    codes: () => health().reasons?.map(({ code }) => code),
  };
}

describe("healthOf", () => {
  it("finds a cluster healthy when everybody answers, every partition is led and all replicas are in sync", () => {
    const it = judged();
    for (const partition of it.cluster.create("t", 2)) it.lead(partition);
    assert.deepEqual(it.health(2), {
      healthy: true,
      reasons: [],
      brokersLive: 3,
      brokersKnown: 3,
      partitions: 2,
      internalPartitions: 0,
      leaderlessCount: 0,
      underReplicatedCount: 0,
      underMinIsrCount: 0,
      leaderless: [],
      underReplicated: [],
      underMinIsr: [],
      controllerId: 2,
    });
  });

  it("names brokers that do not answer, though their session may last", () => {
    const it = judged();
    it.silent(3);
    it.silent(2);
    assert.deepEqual(it.reasons(), ["BROKER_DOWN: broker 2 does not answer", "BROKER_DOWN: broker 3 does not answer"]);
    assert.deepEqual([it.health().brokersLive, it.health().brokersKnown], [1, 3]);
  });

  it("names seeds that never registered, and the want of a controller", () => {
    const young = new Cluster();
    young.form([1, 2, 3]);
    young.register(1);
    const it = judged(young);
    assert.deepEqual(
      healthOf(young.image, brokerConfig(1, 3), new Map(), undefined).reasons?.map(({ code }) => code),
      ["BROKER_DOWN", "BROKER_UNREGISTERED", "BROKER_UNREGISTERED", "NO_CONTROLLER"],
    );
    assert.deepEqual(it.reasons(), [
      "BROKER_UNREGISTERED: seed 2 (b2:7401) has not registered",
      "BROKER_UNREGISTERED: seed 3 (b3:7401) has not registered",
    ]);
    assert.equal(it.health().brokersKnown, 3);
  });

  it("names partitions without a leader that serves; of two the later term counts, and a leader that only begins does not", () => {
    const it = judged();
    const [led, beginning, unled, ended] = it.cluster.create("t", 4) as [PartitionImage, PartitionImage, PartitionImage, PartitionImage];
    it.lead(led, 1, 4);
    it.lead(led, 2, 5);
    it.lead(beginning, 1, 1, false);
    it.lead(ended, 3, 2);
    it.silent(3);
    const health = it.health();
    assert.deepEqual(
      health.leaderless,
      [beginning, unled, ended].map(({ partition }) => ({ topic: "t", partition })),
    );
    assert.equal(health.leaderlessCount, 3);
    assert.ok(it.reasons()?.includes("LEADERLESS: 3 partitions have no leader"));
  });

  it("names partitions with replicas out of sync, and those below their own minimum", () => {
    const it = judged();
    const [strict] = it.cluster.create("strict", 1, 3, { "min.insync.replicas": "3" }) as [PartitionImage];
    const [usual] = it.cluster.create("usual") as [PartitionImage];
    for (const partition of [strict, usual]) {
      it.lead(partition);
      it.cluster.claim(partition, 0, 1);
    }
    const two = (partition: PartitionImage) => partition.replicas.slice(0, 2).map(({ replicaId }) => replicaId);
    for (const partition of [strict, usual])
      it.cluster.alter(partition, 1, it.cluster.partition(partition.groupId).isrVersion, two(partition));
    const health = it.health();
    assert.deepEqual(health.underReplicated, [
      { topic: "strict", partition: 0 },
      { topic: "usual", partition: 0 },
    ]);
    assert.deepEqual(health.underMinIsr, [{ topic: "strict", partition: 0 }]);
    assert.deepEqual(it.reasons(), [
      "UNDER_REPLICATED: 2 partitions have replicas that are not in sync",
      "UNDER_MIN_ISR: 1 partition refuses acks=ALL",
    ]);
  });

  it("names what an emptied disk is missing: a seed's vote on the metadata, partitions, and how many more", () => {
    const it = judged();
    for (const partition of it.cluster.create("t", 25)) it.lead(partition);
    it.cluster.fence(3);
    it.cluster.register(3, 2);
    const lost = it.reasons()?.find((reason) => reason.startsWith("REPLICAS_LOST")) ?? "";
    const named = Array.from({ length: 19 }, (_, n) => `t-${n}`).join(", ");
    assert.equal(lost, `REPLICAS_LOST: broker 3 has an emptied disk; missing on it: the metadata, ${named} and 6 more`);
    // Not a seed: it never had a vote.
    it.cluster.register(4);
    it.cluster.fence(4);
    it.cluster.register(4, 2);
    assert.equal(it.codes()?.filter((code) => code === "REPLICAS_LOST").length, 1);
  });

  it("counts the cluster's own partitions by themselves, and what is wrong with them as with any", () => {
    const it = judged();
    for (const partition of it.cluster.create("t", 2)) it.lead(partition);
    it.cluster.run({ kind: "ensureGroups", topicId: "00000000-0000-4000-8000-0000000000aa" as TopicId, seed: 1 });
    const health = it.health();
    assert.deepEqual([health.partitions, health.internalPartitions, health.leaderlessCount], [2, 16, 16]);
    assert.equal(health.leaderless?.[0]?.topic, "__groups");
  });

  it("lists so many by name and counts them all", () => {
    const it = judged();
    it.cluster.create("t", 150);
    const health = it.health();
    assert.deepEqual([health.leaderless?.length, health.leaderlessCount, health.partitions], [100, 150, 150]);
  });
});
