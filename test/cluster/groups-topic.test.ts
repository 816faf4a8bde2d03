import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toBrokerId } from "../../src/base/ids.ts";
import type { CommandOf } from "../../src/cluster/commands.ts";
import { GROUPS_TOPIC_PARTITIONS } from "../../src/cluster/decide-groups.ts";
import { GROUPS_LEVEL } from "../../src/cluster/feature-levels.ts";
import { MetadataImage } from "../../src/cluster/image.ts";
import { GROUPS_TOPIC } from "../../src/cluster/internal-topics.ts";
import { GROUPS_PARTITIONS } from "../../src/consumer-groups/shard.ts";
import { brokersOf, Cluster, topicUuid } from "./cluster-fixture.ts";

const ensure = (topic = 900): CommandOf<"ensureGroups"> => ({ kind: "ensureGroups", topicId: topicUuid(topic), seed: 7 });

/** Registered and live: 1, 2 and so on; all of them are seeds. */
function clusterOf(seeds: number, registered = seeds): Cluster {
  const cluster = new Cluster();
  const ids = Array.from({ length: seeds }, (_, at) => at + 1);
  cluster.form(ids);
  for (const id of ids.slice(0, registered)) cluster.register(id);
  return cluster;
}

describe("the topic of consumer groups", () => {
  it("has as many partitions as there are shards", () => {
    assert.equal(GROUPS_TOPIC_PARTITIONS, GROUPS_PARTITIONS);
  });

  it("is made on the first ask, with three replicas of each partition, and once", () => {
    const cluster = Cluster.ofThree();
    cluster.done(ensure());
    const partitions = cluster.partitionsOf(GROUPS_TOPIC);
    assert.deepEqual([partitions.length, new Set(partitions.map(({ groupId }) => groupId)).size], [16, 16]);
    for (const partition of partitions) assert.deepEqual([...brokersOf(partition)].sort(), [1, 2, 3]);
    const leaders = [1, 2, 3].map((id) => partitions.filter((each) => brokersOf(each)[0] === toBrokerId(id)).length);
    assert.deepEqual(leaders.sort(), [5, 5, 6]);
    const before = cluster.image.hash();
    // Whoever asks at the same time has drawn another uuid.
    assert.deepEqual(cluster.done(ensure(901)), { kind: "topicMade", topicId: topicUuid(900), partitions: 16, replicas: 3 });
    assert.equal(cluster.image.hash(), before);
  });

  it("is made beyond the number of partitions that users may make", () => {
    const cluster = Cluster.ofThree();
    cluster.limits = { partitionsPerTopicMax: 2, partitionsMax: 2, defaultPartitions: 1, defaultReplicas: 3 };
    cluster.done(ensure());
    assert.equal(cluster.partitionsOf(GROUPS_TOPIC).length, 16);
  });

  it("is made with one replica where there is one broker, and is not made with fewer than there will be", () => {
    const single = clusterOf(1);
    single.done(ensure());
    assert.equal(single.partitionsOf(GROUPS_TOPIC)[0]?.replicas.length, 1);
    const text = clusterOf(3, 2).refused(ensure(), "INSUFFICIENT_BROKERS");
    assert.match(text, /2 live brokers of 2 registered/);
  });

  it("is not made while a broker is registered that would take it for a topic of records", () => {
    const cluster = clusterOf(3);
    const before = new MetadataImage(undefined, { min: 1, max: GROUPS_LEVEL - 1 });
    cluster.image = before;
    cluster.form([1, 2, 3]);
    for (const id of [1, 2, 3]) cluster.register(id);
    assert.match(
      cluster.refused(ensure(), "UNSUPPORTED_FEATURE_LEVEL"),
      /feature level 1, it takes 3.*every registered broker with version/,
    );
    assert.match(clusterOf(5, 4).refused(ensure(), "INSUFFICIENT_BROKERS"), /a seed has not registered yet/);
  });

  it("is placed on a broker that is away when there is no other, never most of it", () => {
    const cluster = Cluster.ofThree();
    cluster.fence(2);
    cluster.fence(3);
    cluster.refused(ensure(), "INSUFFICIENT_BROKERS");
    cluster.register(3);
    cluster.done(ensure());
    for (const partition of cluster.partitionsOf(GROUPS_TOPIC)) assert.deepEqual([...brokersOf(partition)].sort(), [1, 2, 3]);
    const five = clusterOf(5);
    for (const id of [1, 2, 3]) five.fence(id);
    five.done(ensure());
    for (const partition of five.partitionsOf(GROUPS_TOPIC)) assert.deepEqual([...brokersOf(partition)].sort(), [1, 4, 5]);
  });

  it("is nobody's to make, alter, grow or delete, whether it is there or not", () => {
    const cluster = Cluster.ofThree();
    for (const name of [GROUPS_TOPIC, "__other", GROUPS_TOPIC]) {
      cluster.refused(cluster.creation(name), "INVALID_NAME");
      cluster.refused(
        { kind: "alterTopic", name, set: new Map([["retention.ms", "1000"]]), delete: [], validateOnly: false, topicId: undefined },
        "INTERNAL_TOPIC",
      );
      cluster.refused({ kind: "addPartitions", name, partitions: 32, validateOnly: false, seed: 1, topicId: undefined }, "INTERNAL_TOPIC");
      cluster.refused({ kind: "deleteTopic", name, topicId: undefined }, "INTERNAL_TOPIC");
      if (name === "__other") cluster.done(ensure());
    }
    cluster.refused({ kind: "deleteTopic", name: GROUPS_TOPIC, topicId: topicUuid(900) }, "INTERNAL_TOPIC");
  });
});
