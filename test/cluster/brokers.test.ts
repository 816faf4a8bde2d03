import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ClusterId, type ReplicaId, toBrokerId, toLogIndex } from "../../src/base/ids.ts";
import { CLUSTER, Cluster, disk } from "./cluster-fixture.ts";

const heartbeat = (id: number, epoch: number, life = 1) =>
  ({
    kind: "brokerHeartbeat",
    brokerId: toBrokerId(id),
    incarnation: disk(id, life),
    brokerEpoch: toLogIndex(epoch),
    featureLevelMin: 0,
    featureLevelMax: 0,
  }) as const;

describe("formCluster", () => {
  it("records the cluster once; the same again changes nothing, another is refused", () => {
    const cluster = new Cluster();
    cluster.form([1, 2, 3]);
    const { version } = cluster.image;
    cluster.form([1, 2, 3]);
    assert.equal(cluster.image.version, version);
    assert.equal(cluster.image.clusterId, CLUSTER);
    cluster.refused({ kind: "formCluster", clusterId: "other" as ClusterId, seeds: [] }, "WRONG_CLUSTER");
  });
});

describe("registerBroker", () => {
  it("is refused before the cluster is formed", () => {
    const cluster = new Cluster();
    cluster.refused(cluster.registration(1), "NOT_READY");
  });

  it("gives the index of the record as broker epoch, and a new one at each start of the same disk", () => {
    const cluster = Cluster.ofThree();
    const first = cluster.image.brokers.get(toBrokerId(2))?.epoch;
    const second = cluster.register(2);
    assert.ok(first !== undefined && second > first);
    assert.equal(cluster.image.brokers.get(toBrokerId(2))?.epoch, second);
  });

  it("refuses another disk under the id of a live broker, and takes it once the session is over", () => {
    const cluster = Cluster.ofThree();
    cluster.refused(cluster.registration(2, 2), "DUPLICATE_BROKER");
    cluster.fence(2);
    cluster.register(2, 2);
    assert.equal(cluster.image.brokers.get(toBrokerId(2))?.incarnation, disk(2, 2));
  });

  it("refuses a copy of another broker's data directory", () => {
    const cluster = Cluster.ofThree();
    cluster.refused({ ...cluster.registration(4), incarnation: disk(1) }, "DUPLICATE_BROKER");
  });

  it("refuses what is no broker: ids below 1, no incarnation, no addresses", () => {
    const cluster = Cluster.ofThree();
    cluster.refused({ ...cluster.registration(4), brokerId: toBrokerId(1), incarnation: disk(9), clientAddress: "" }, "INVALID_REQUEST");
    cluster.refused({ ...cluster.registration(4), peerAddress: "nowhere" }, "INVALID_REQUEST");
    cluster.refused({ ...cluster.registration(4), incarnation: "" as ReturnType<typeof disk> }, "INVALID_REQUEST");
  });

  it("gives a seed's first disk the voter that the formation named, and every other disk a new replica of the metadata group", () => {
    const cluster = Cluster.ofThree();
    const replicaOf = (id: number) => cluster.image.brokers.get(toBrokerId(id))?.metadataReplicaId;
    assert.deepEqual([1, 2, 3].map(replicaOf), [1, 2, 3]);
    cluster.register(4);
    const learner = replicaOf(4) as ReplicaId;
    assert.ok(learner >= 2 ** 20);
    cluster.register(4);
    assert.equal(replicaOf(4), learner, "the same disk keeps it");
    cluster.fence(2);
    cluster.register(2, 2);
    assert.ok((replicaOf(2) as ReplicaId) > learner, "never the voter of the lost disk");
  });

  it("leaves a new disk without the replicas of the former one", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t", 4);
    assert.equal(cluster.image.hostedBy(toBrokerId(2)).length, 4);
    cluster.fence(2);
    cluster.register(2, 2);
    assert.equal(cluster.image.hostedBy(toBrokerId(2)).length, 0);
    assert.equal(cluster.image.lostBy(toBrokerId(2)).length, 4);
    cluster.create("u", 1);
    assert.equal(cluster.image.hostedBy(toBrokerId(2)).length, 1, "new partitions come to the new disk");
  });
});

describe("brokerHeartbeat and fenceBroker", () => {
  it("record nothing while the session lives, and the end of a fence", () => {
    const cluster = Cluster.ofThree();
    const epoch = cluster.register(2);
    assert.deepEqual(cluster.done(heartbeat(2, epoch)), { kind: "heartbeatSeen", wasFenced: false });
    assert.equal(cluster.image.version, epoch);
    cluster.fence(2);
    assert.deepEqual(
      cluster.image.liveBrokers().map(({ id }) => id),
      [1, 3],
    );
    assert.deepEqual(cluster.done(heartbeat(2, epoch)), { kind: "heartbeatSeen", wasFenced: true });
    assert.deepEqual(
      cluster.image.liveBrokers().map(({ id }) => id),
      [1, 2, 3],
    );
  });

  it("refuse a heartbeat of an older start, of another disk, of nobody", () => {
    const cluster = Cluster.ofThree();
    const old = cluster.register(2);
    cluster.register(2);
    cluster.refused(heartbeat(2, old), "STALE_VERSION");
    cluster.refused(heartbeat(2, cluster.image.version, 2), "DUPLICATE_BROKER");
    cluster.refused(heartbeat(7, 1), "UNKNOWN_BROKER");
  });

  it("do not fence a broker that has registered since the session was missed", () => {
    const cluster = Cluster.ofThree();
    const missed = cluster.register(2);
    cluster.register(2);
    cluster.done({ kind: "fenceBroker", brokerId: toBrokerId(2), brokerEpoch: missed });
    assert.equal(cluster.image.liveBrokers().length, 3);
  });
});

describe("allocateProducerIds", () => {
  it("gives blocks from 2^20 up, never twice", () => {
    const cluster = Cluster.ofThree();
    assert.deepEqual(cluster.done({ kind: "allocateProducerIds", count: 1000 }), { kind: "producerIds", first: 2 ** 20, count: 1000 });
    assert.deepEqual(cluster.done({ kind: "allocateProducerIds", count: 1 }), { kind: "producerIds", first: 2 ** 20 + 1000, count: 1 });
    cluster.refused({ kind: "allocateProducerIds", count: 0 }, "INVALID_REQUEST");
    cluster.refused({ kind: "allocateProducerIds", count: 10_001 }, "INVALID_REQUEST");
  });
});
