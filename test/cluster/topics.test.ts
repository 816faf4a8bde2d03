import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METADATA_GROUP, type TopicId, toBrokerId, toReplicaId } from "../../src/base/ids.ts";
import { defaultDecideLimits } from "../../src/cluster/decision.ts";
import { brokersOf, Cluster, disk, topicUuid } from "./cluster-fixture.ts";

describe("createTopic", () => {
  it("records the topic and its partitions in one frame, with new group and replica ids", () => {
    const cluster = Cluster.ofThree();
    const partitions = cluster.create("orders", 6);
    assert.equal(cluster.log.at(-1)?.facts.length, 7);
    assert.deepEqual(
      partitions.map(({ partition }) => partition),
      [0, 1, 2, 3, 4, 5],
    );
    assert.equal(new Set(partitions.map(({ groupId }) => groupId)).size, 6);
    assert.equal(new Set(partitions.flatMap(({ replicas }) => replicas.map(({ replicaId }) => replicaId))).size, 18);
    for (const partition of partitions) {
      assert.deepEqual([...brokersOf(partition)].sort(), [1, 2, 3]);
      assert.deepEqual(
        partition.isr,
        partition.replicas.map(({ replicaId }) => replicaId).sort((a, b) => a - b),
      );
      assert.equal(partition.isrVersion, 1);
    }
    const leaders = partitions.map((partition) => brokersOf(partition)[0]);
    assert.deepEqual([...leaders].sort(), [1, 1, 2, 2, 3, 3], "leaders are balanced");
  });

  it("takes defaults: one partition, three replicas or as many as there are live brokers", () => {
    const cluster = Cluster.ofThree();
    assert.equal(cluster.create("a", 0, 0)[0]?.replicas.length, 3);
    cluster.fence(2);
    const [partition] = cluster.create("b", 0, 0);
    assert.deepEqual(partition && [...brokersOf(partition)].sort(), [1, 3]);
  });

  it("refuses more replicas than live brokers, and names both", () => {
    const cluster = Cluster.ofThree();
    cluster.fence(3);
    const text = cluster.refused(cluster.creation("t", 1, 3), "INSUFFICIENT_BROKERS");
    assert.match(text, /3 replicas on 2 live brokers/);
    cluster.fence(1);
    cluster.fence(2);
    cluster.refused(cluster.creation("t", 1, 0), "INSUFFICIENT_BROKERS");
  });

  it("refuses a name that is taken or not allowed", () => {
    const cluster = Cluster.ofThree();
    cluster.create("orders");
    cluster.refused(cluster.creation("orders"), "TOPIC_EXISTS");
    cluster.refused(cluster.creation("__groups"), "INVALID_NAME");
    cluster.refused(cluster.creation("a/b"), "INVALID_NAME");
    cluster.create("constructor");
    cluster.refused(cluster.creation("constructor"), "TOPIC_EXISTS");
  });

  it("refuses counts out of range and a cluster that is full", () => {
    const cluster = Cluster.ofThree();
    cluster.refused(cluster.creation("t", -1), "INVALID_REQUEST");
    cluster.refused(cluster.creation("t", 1001), "INVALID_REQUEST");
    cluster.refused(cluster.creation("t", 1, -1), "INVALID_REQUEST");
    cluster.limits = { ...defaultDecideLimits, partitionsMax: 5 };
    cluster.create("t", 5);
    cluster.refused(cluster.creation("u", 1), "TOO_MANY_REQUESTS");
  });

  it("refuses unknown keys with the nearest known one, and values out of range", () => {
    const cluster = Cluster.ofThree();
    assert.match(cluster.refused(cluster.creation("t", 1, 3, { "retention.m": "5" }), "INVALID_CONFIG"), /did you mean retention\.ms/);
    cluster.refused(cluster.creation("t", 1, 3, { ["__proto__"]: "5" }), "INVALID_CONFIG");
    cluster.refused(cluster.creation("t", 1, 3, { "max.message.bytes": "4000000" }), "INVALID_CONFIG");
    cluster.refused(cluster.creation("t", 1, 2, { "min.insync.replicas": "3" }), "INVALID_CONFIG");
    cluster.create("t", 1, 3, { "acks.min": "QUORUM" });
  });

  it("checks everything and records nothing with validate_only", () => {
    const cluster = Cluster.ofThree();
    const { version } = cluster.image;
    cluster.done({ ...cluster.creation("t", 3), validateOnly: true });
    assert.equal(cluster.image.version, version);
    cluster.refused({ ...cluster.creation("t", 1, 4), validateOnly: true }, "INSUFFICIENT_BROKERS");
  });

  it("refuses a uuid that some topic has or had", () => {
    const cluster = Cluster.ofThree();
    cluster.create("a");
    cluster.refused({ ...cluster.creation("b"), topicId: topicUuid(1) }, "INVALID_REQUEST");
    cluster.done({ kind: "deleteTopic", name: "a", topicId: undefined });
    cluster.refused({ ...cluster.creation("b"), topicId: topicUuid(1) }, "INVALID_REQUEST");
  });

  it("spreads the leaders of many small topics", () => {
    const cluster = Cluster.ofThree();
    const leaders = Array.from({ length: 30 }, (_, n) => cluster.create(`t${n}`, 1).flatMap((partition) => brokersOf(partition)[0] ?? []));
    for (const broker of [1, 2, 3]) assert.equal(leaders.flat().filter((id) => id === broker).length, 10);
  });
});

describe("addPartitions", () => {
  const grow = (partitions: number, validateOnly = false, name = "t", topicId: TopicId | undefined = undefined) =>
    ({ kind: "addPartitions", name, partitions, validateOnly, seed: 5, topicId }) as const;

  it("adds partitions behind those there are, which stay as they are, and spreads the leaders", () => {
    const cluster = Cluster.ofThree();
    const before = cluster.create("t", 2);
    cluster.done(grow(6));
    const after = cluster.partitionsOf("t");
    assert.deepEqual(after.slice(0, 2), before);
    assert.deepEqual(
      after.map(({ partition }) => partition),
      [0, 1, 2, 3, 4, 5],
    );
    assert.equal(new Set(after.map(({ groupId }) => groupId)).size, 6);
    assert.equal(new Set(after.flatMap(({ replicas }) => replicas.map(({ replicaId }) => replicaId))).size, 18);
    assert.deepEqual(after.map((partition) => brokersOf(partition)[0]).sort(), [1, 1, 2, 2, 3, 3]);
    assert.equal(cluster.log.at(-1)?.facts.length, 4, "one frame");
  });

  it("takes the number there is already for done, and refuses fewer and too many", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t", 3);
    const { version } = cluster.image;
    cluster.done(grow(3));
    assert.equal(cluster.image.version, version);
    assert.match(cluster.refused(grow(2), "INVALID_REQUEST"), /it has 3, and none is ever taken away/);
    cluster.refused(grow(0), "INVALID_REQUEST");
    cluster.refused(grow(-1), "INVALID_REQUEST");
    cluster.refused(grow(1001), "INVALID_REQUEST");
    cluster.limits = { ...defaultDecideLimits, partitionsMax: 4 };
    cluster.refused(grow(5), "TOO_MANY_REQUESTS");
    cluster.done(grow(4));
    cluster.refused(grow(4, false, "nobody"), "UNKNOWN_TOPIC");
  });

  it("needs live brokers for all replicas, and records nothing with validate_only", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t", 1);
    const { version } = cluster.image;
    cluster.done(grow(2, true));
    assert.equal(cluster.image.version, version);
    cluster.fence(3);
    cluster.refused(grow(2), "INSUFFICIENT_BROKERS");
    cluster.refused(grow(2, true), "INSUFFICIENT_BROKERS");
  });
});

describe("alterTopic", () => {
  it("sets and resets keys, all or none", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t", 1, 3, { "segment.ms": "5000" });
    const alter = (set: Readonly<Record<string, string>>, gone: string[] = [], name = "t") =>
      ({ kind: "alterTopic", name, set: new Map(Object.entries(set)), delete: gone, validateOnly: false, topicId: undefined }) as const;
    cluster.done(alter({ "retention.ms": "-1", "acks.min": "ALL" }, ["segment.ms"]));
    const topic = cluster.image.topicByName("t");
    assert.ok(topic !== undefined);
    assert.deepEqual(
      [...topic.configs],
      [
        ["retention.ms", "-1"],
        ["acks.min", "ALL"],
      ],
    );
    assert.equal(cluster.image.configOf(topic).retentionMs, undefined);
    cluster.refused(alter({ "retention.ms": "9000", "segment.bites": "1" }), "INVALID_CONFIG");
    cluster.refused(alter({ "retention.ms": "9000" }, ["retention.ms"]), "INVALID_CONFIG");
    cluster.refused(alter({ "min.insync.replicas": "4" }), "INVALID_CONFIG");
    cluster.refused(alter({}, [], "nobody"), "UNKNOWN_TOPIC");
  });

  it("falls back to the cluster's value, then to the default", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t");
    cluster.done({ kind: "alterClusterConfigs", set: new Map([["max.message.bytes", "2000000"]]), delete: [], validateOnly: false });
    const bytes = () =>
      cluster
        .partitionsOf("t")
        .map(({ topicId }) => cluster.image.topics.get(topicId))
        .flatMap((topic) => (topic ? [cluster.image.configOf(topic).maxMessageBytes] : []));
    assert.deepEqual(bytes(), [2_000_000]);
    cluster.done({ kind: "alterClusterConfigs", set: new Map(), delete: ["max.message.bytes"], validateOnly: false });
    assert.deepEqual(bytes(), [1024 * 1024]);
    cluster.refused({ kind: "alterClusterConfigs", set: new Map([["nope", "1"]]), delete: [], validateOnly: false }, "INVALID_CONFIG");
    const both = { set: new Map([["max.message.bytes", "2000000"]]), delete: ["max.message.bytes"] };
    cluster.refused({ kind: "alterClusterConfigs", ...both, validateOnly: false }, "INVALID_CONFIG");
  });
});

describe("deleteTopic", () => {
  const confirm = (id: number, life = 1, ...topics: number[]) =>
    ({ kind: "confirmDeleted", brokerId: toBrokerId(id), incarnation: disk(id, life), topicIds: topics.map(topicUuid) }) as const;

  it("is known of each group that was given out, for good, and of none that a lost majority of the metadata may have given out", () => {
    const cluster = Cluster.ofThree();
    const [kept, gone] = ["kept", "gone"].map((name) => cluster.create(name)[0]?.groupId);
    assert.ok(kept !== undefined && gone !== undefined);
    assert.deepEqual(
      [kept, gone].map((group) => cluster.image.wasDeleted(group)),
      [false, false],
    );
    const topicIds = [cluster.image.topicByName("gone")?.id ?? assert.fail()];
    cluster.done({ kind: "deleteTopic", name: "gone", topicId: undefined });
    const next = cluster.image.nextIds.group;
    const deleted = (): readonly boolean[] => [kept, gone, next, METADATA_GROUP].map((group) => cluster.image.wasDeleted(group));
    assert.deepEqual(deleted(), [false, true, false, false]);
    for (const n of [1, 2, 3]) cluster.done({ kind: "confirmDeleted", brokerId: toBrokerId(n), incarnation: disk(n), topicIds });
    assert.equal(cluster.image.tombstones.size, 0);
    assert.deepEqual(deleted(), [false, true, false, false]);
    const recover = (recoveryEpoch: number): void =>
      void cluster.done({ kind: "recoverCluster", recoveryEpoch, survivor: toReplicaId(3), brokerId: toBrokerId(3) });
    // As before epochs were drawn: where this one's ids begin is not known any more.
    recover(1);
    for (const n of [1, 2, 3]) cluster.register(n);
    const [first] = cluster.create("first");
    cluster.done({ kind: "deleteTopic", name: "first", topicId: undefined });
    assert.deepEqual([...deleted(), cluster.image.wasDeleted(first?.groupId ?? assert.fail())], [false, false, false, false, false]);
    recover(2 ** 20 + 5);
    for (const n of [1, 2, 3]) cluster.register(n);
    const [later] = cluster.create("later");
    assert.ok(later !== undefined);
    assert.equal(cluster.image.wasDeleted(later.groupId), false);
    cluster.done({ kind: "deleteTopic", name: "later", topicId: undefined });
    assert.deepEqual([...deleted(), cluster.image.wasDeleted(later.groupId)], [false, false, false, false, true]);
  });

  it("frees the name and leaves a tombstone until every broker that held a replica confirmed", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t", 2);
    cluster.done({ kind: "deleteTopic", name: "t", topicId: topicUuid(1) });
    assert.equal(cluster.image.topicByName("t"), undefined);
    assert.equal(cluster.image.hostedBy(toBrokerId(1)).length, 0);
    assert.equal(cluster.image.tombstonesFor(toBrokerId(1))[0]?.replicas.length, 6);
    cluster.done(confirm(1, 1, 1));
    cluster.done(confirm(1, 1, 1));
    cluster.done(confirm(2, 1, 1, 99));
    assert.equal(cluster.image.tombstonesFor(toBrokerId(1)).length, 0);
    assert.equal(cluster.image.tombstonesFor(toBrokerId(3)).length, 1);
    cluster.done(confirm(3, 1, 1));
    assert.equal(cluster.image.tombstones.size, 0);
  });

  it("takes no confirmation from a disk that is not registered", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t");
    cluster.done({ kind: "deleteTopic", name: "t", topicId: undefined });
    cluster.refused(confirm(3, 2, 1), "STALE_VERSION");
  });

  it("takes no name for a topic that has none", () => {
    const cluster = Cluster.ofThree();
    cluster.refused({ kind: "deleteTopic", name: "toString", topicId: undefined }, "UNKNOWN_TOPIC");
  });
});

describe("A topic that was made anew under the name of the one that was meant", () => {
  it("is neither deleted nor altered nor grown by a command that names the former one, also where both wait for their commit", () => {
    const cluster = Cluster.ofThree();
    const change = (topicId: TopicId | undefined) =>
      [
        { kind: "alterTopic", name: "t", set: new Map([["retention.ms", "1000"]]), delete: [], validateOnly: false, topicId },
        { kind: "addPartitions", name: "t", partitions: 3, validateOnly: false, seed: 1, topicId },
        { kind: "deleteTopic", name: "t", topicId },
      ] as const;
    const former = cluster.create("t")[0]?.topicId;
    cluster.done({ kind: "deleteTopic", name: "t", topicId: former });
    for (const command of change(former)) assert.match(cluster.refused(command, "UNKNOWN_TOPIC"), /^No topic is named "t"$/);
    const made = cluster.create("t")[0]?.topicId;
    assert.notEqual(made, former);
    for (const command of change(former)) assert.match(cluster.refused(command, "UNKNOWN_TOPIC"), /"t" is not .*: that one was deleted/);
    for (const command of change(made)) cluster.done(command);
    assert.equal(cluster.image.topicByName("t"), undefined);
  });
});
