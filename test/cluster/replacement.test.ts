import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ReplicaId, toBrokerId, toTerm } from "../../src/base/ids.ts";
import type { PartitionImage } from "../../src/cluster/image-state.ts";
import { Cluster, disk } from "./cluster-fixture.ts";

/** Broker 3 came back with another disk; the leader of term 5 is the first replica, on broker 1. */
function withLostDisk(): { cluster: Cluster; partition: () => PartitionImage; removing: ReplicaId } {
  const cluster = Cluster.ofThree();
  const [made] = cluster.create("t");
  assert.ok(made !== undefined);
  const at = made.replicas.findIndex(({ brokerId }) => brokerId === 3);
  const isr = made.isr.filter((id) => id !== made.replicas[at]?.replicaId);
  cluster.claim(made, at === 0 ? 1 : 0, 5, isr);
  cluster.fence(3);
  cluster.register(3, 2);
  return { cluster, partition: () => cluster.partition(made.groupId), removing: made.replicas[at]?.replicaId as ReplicaId };
}

const replace = ({ groupId }: PartitionImage, removing: ReplicaId) => ({ kind: "replaceReplica", groupId, removing }) as const;
const report = (partition: PartitionImage, term = 5) =>
  ({
    kind: "reportReplaced",
    groupId: partition.groupId,
    term: toTerm(term),
    removing: partition.replacing?.removing as ReplicaId,
    replicaId: partition.replacing?.adding.replicaId as ReplicaId,
  }) as const;

describe("A replica whose disk is gone", () => {
  it("gets a successor with a new id on the disk its broker has now; asking again changes nothing", () => {
    const { cluster, partition, removing } = withLostDisk();
    assert.deepEqual(
      cluster.image.replaceable().map(({ replica }) => replica.replicaId),
      [removing],
    );
    const next = cluster.image.nextIds.replica;
    cluster.done(replace(partition(), removing));
    assert.deepEqual(partition().replacing, { removing, adding: { brokerId: 3, replicaId: next, incarnation: disk(3, 2), joined: true } });
    assert.deepEqual(cluster.image.replaceable(), []);
    assert.deepEqual(
      cluster.image.hostedBy(toBrokerId(3)).map(({ replica }) => replica.replicaId),
      [next],
    );
    assert.equal(cluster.image.brokerOf(partition().groupId, next), 3);
    const { version } = cluster.image;
    cluster.done(replace(partition(), removing));
    assert.equal(cluster.image.version, version);
  });

  it("is replaced when the leader of the term says that its voters changed, and is void for ever (scenario 61)", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const command = report(partition());
    const place = partition().replicas.findIndex(({ replicaId }) => replicaId === removing);
    cluster.done(command);
    assert.equal(partition().replacing, undefined);
    assert.equal(partition().replicas[place]?.replicaId, command.replicaId);
    assert.equal(cluster.image.brokerOf(partition().groupId, removing), undefined);
    assert.deepEqual(cluster.image.lostBy(toBrokerId(3)), []);
    assert.match(cluster.alter(partition(), 5, partition().isrVersion, [...partition().isr, removing]).reason, /no voter/);
    const { version } = cluster.image;
    cluster.done(command);
    assert.equal(cluster.image.version, version);
  });

  it("is not replaced on the word of another term, of another successor, or while it is in the ISR (design §6)", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    cluster.refused(report(partition(), 4), "STALE_VERSION");
    cluster.refused({ ...report(partition()), replicaId: 99 as ReplicaId }, "STALE_VERSION");
    const other = Cluster.ofThree();
    const [made] = other.create("t");
    assert.ok(made !== undefined);
    const lost = made.replicas.find(({ brokerId }) => brokerId === 3);
    other.claim(made, made.replicas[0]?.brokerId === 3 ? 1 : 0, 5);
    other.fence(3);
    other.register(3, 2);
    other.done(replace(made, lost?.replicaId as ReplicaId));
    other.refused(report(other.partition(made.groupId)), "STALE_VERSION");
  });

  it("gets another successor when the new disk is lost as well, and the first one is void", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const first = report(partition());
    cluster.fence(3);
    cluster.register(3, 3);
    assert.equal(cluster.image.replaceable().length, 1);
    cluster.done(replace(partition(), removing));
    assert.ok((partition().replacing?.adding.replicaId ?? 0) > first.replicaId);
    cluster.refused(first, "STALE_VERSION");
    cluster.done(report(partition()));
    assert.deepEqual(cluster.image.lostBy(toBrokerId(3)), []);
  });

  it("gets no other successor while the first one, lost as well, is in the ISR: what is recorded names only who is placed (M4)", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const { adding } = partition().replacing ?? assert.fail("is being replaced");
    const before = partition().isr;
    assert.equal(cluster.alter(partition(), 5, partition().isrVersion, [...before, adding.replicaId]).reason, "");
    cluster.fence(3);
    cluster.register(3, 3);
    cluster.done(replace(partition(), removing));
    assert.deepEqual(partition().replacing?.adding, adding);
    // The leader drops the silent one first.
    assert.equal(cluster.alter(partition(), 5, partition().isrVersion, before).reason, "");
    cluster.done(replace(partition(), removing));
    assert.notEqual(partition().replacing?.adding.replicaId, adding.replicaId);
  });

  it("stays when its disk is back and that of its successor is gone: on the word of the leader, who knows whether voters changed", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const { term, replicaId } = report(partition());
    const keep = { kind: "keepReplica", groupId: partition().groupId, term, removing, replicaId } as const;
    cluster.refused(keep, "STALE_VERSION");
    cluster.fence(3);
    cluster.register(3);
    assert.deepEqual(cluster.image.replaceable(), [], "nobody replaces a replica that is there");
    cluster.refused({ ...keep, term: toTerm(4) }, "STALE_VERSION");
    cluster.refused({ ...keep, replicaId: 99 as ReplicaId }, "STALE_VERSION");
    const before = partition().isr;
    // It votes already, and its disk was lost then: an ISR never names who is not placed (M4).
    cluster.fence(3);
    cluster.register(3, 2);
    assert.equal(cluster.alter(partition(), 5, partition().isrVersion, [...before, replicaId]).reason, "");
    cluster.fence(3);
    cluster.register(3);
    cluster.refused(keep, "STALE_VERSION");
    assert.equal(cluster.alter(partition(), 5, partition().isrVersion, before).reason, "");
    cluster.done(keep);
    assert.equal(partition().replacing, undefined);
    assert.deepEqual(
      cluster.image.hostedBy(toBrokerId(3)).map(({ replica }) => replica.replicaId),
      [removing],
    );
    const { version } = cluster.image;
    cluster.done(keep);
    assert.equal(cluster.image.version, version);
  });

  it("joins the ISR and leads like any other once it votes, before that is recorded", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const { replicaId } = report(partition());
    assert.equal(cluster.alter(partition(), 5, partition().isrVersion, [...partition().isr, replicaId]).reason, "");
    const claims = [{ groupId: partition().groupId, replicaId, term: toTerm(6), isr: [...partition().isr] }];
    assert.equal(cluster.isrResult({ kind: "leaderClaim", claims }).leaderReplicaId, replicaId);
    assert.equal(cluster.image.leaderOf(partition())?.broker?.id, 3);
  });

  it("waits while its broker is fenced; a replica on a disk that is there is left alone", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.fence(3);
    assert.deepEqual(cluster.image.replaceable(), []);
    cluster.refused(replace(partition(), removing), "UNKNOWN_BROKER");
    const present = partition().replicas.find(({ brokerId }) => brokerId === 1)?.replicaId as ReplicaId;
    const { version } = cluster.image;
    cluster.done(replace(partition(), present));
    assert.equal(cluster.image.version, version);
  });

  it("is left to an operator when no majority is left that could lead", () => {
    const cluster = Cluster.ofThree();
    cluster.create("single", 3, 1);
    cluster.create("t");
    for (const id of [2, 3]) {
      cluster.fence(id);
      cluster.register(id, 2);
    }
    assert.deepEqual(cluster.image.replaceable(), []);
  });

  it("of a deleted topic is not waited for, its successor is", () => {
    const { cluster, partition, removing } = withLostDisk();
    cluster.done(replace(partition(), removing));
    const { replicaId } = report(partition());
    cluster.done({ kind: "deleteTopic", name: "t", topicId: undefined });
    const [tombstone] = cluster.image.tombstonesFor(toBrokerId(3));
    assert.ok(tombstone?.replicas.some((replica) => replica.replicaId === replicaId));
  });
});

describe("A replica that votes and is placed nowhere", () => {
  /** Of a moment before the metadata was recovered: its id is one that nobody here has given. */
  const forgotten = 900_000 as ReplicaId;
  const adopt = ({ groupId }: PartitionImage, term = 5, life = 2) =>
    ({
      kind: "adoptReplica",
      groupId,
      term: toTerm(term),
      replicaId: forgotten,
      brokerId: toBrokerId(3),
      incarnation: disk(3, life),
    }) as const;

  it("stands in the place of one whose disk is gone, and whoever was to come for that one does not", () => {
    for (const begun of [false, true]) {
      const { cluster, partition, removing } = withLostDisk();
      if (begun) cluster.done(replace(partition(), removing));
      const place = partition().replicas.findIndex(({ replicaId }) => replicaId === removing);
      cluster.done(adopt(partition()));
      assert.deepEqual(partition().replicas[place], { brokerId: 3, replicaId: forgotten, incarnation: disk(3, 2), joined: true });
      assert.deepEqual([partition().replacing, cluster.image.replaceable()], [undefined, []]);
      assert.ok(cluster.image.nextIds.replica > forgotten, "its id is not given again");
      const { version } = cluster.image;
      cluster.done(adopt(partition()));
      assert.equal(cluster.image.version, version, "saying it twice changes nothing");
      assert.equal(cluster.alter(partition(), 5, partition().isrVersion, [...partition().isr, forgotten]).reason, "");
    }
  });

  it("takes no place in the ISR, and the one whose place it takes leaves it, with its successor, unless nobody else is in it", () => {
    const cluster = Cluster.ofThree();
    const [made] = cluster.create("t");
    assert.ok(made !== undefined);
    const partition = (): PartitionImage => cluster.partition(made.groupId);
    const on = (broker: number): ReplicaId => made.replicas.find(({ brokerId }) => brokerId === broker)?.replicaId as ReplicaId;
    cluster.fence(3);
    cluster.register(3, 2);
    const { isrVersion } = partition();
    cluster.done(adopt(partition()));
    assert.deepEqual(partition().isr, [on(1), on(2)].sort());
    assert.equal(partition().isrVersion, isrVersion + 1);
    const [last] = cluster.create("u");
    assert.ok(last !== undefined);
    const at = last.replicas.findIndex(({ brokerId }) => brokerId === 3);
    cluster.claim(last, at, 5, [last.replicas[at]?.replicaId as ReplicaId]);
    cluster.fence(3);
    cluster.register(3, 3);
    assert.match(cluster.refused(adopt(last, 6, 3), "STALE_VERSION"), /nobody else is in the ISR/);
  });

  it("is not placed on the word of a leader of before the newest claim, for another disk, or where nobody's disk is gone", () => {
    const { cluster, partition } = withLostDisk();
    assert.match(cluster.refused(adopt(partition(), 4), "STALE_VERSION"), /term 5 has claimed/);
    assert.match(cluster.refused(adopt(partition(), 5, 1), "STALE_VERSION"), /another disk/);
    const here = { ...adopt(partition()), brokerId: toBrokerId(1), incarnation: disk(1) };
    assert.match(cluster.refused(here, "STALE_VERSION"), /no replica of broker 1/);
    // One that leads cannot claim before it is placed.
    cluster.done(adopt(partition(), 7));
    const claims = [{ groupId: partition().groupId, replicaId: forgotten, term: toTerm(7), isr: [forgotten] }];
    assert.equal(cluster.isrResult({ kind: "leaderClaim", claims }).leaderReplicaId, forgotten);
  });

  it("stays out when a recovery has given it up", () => {
    const { cluster, partition } = withLostDisk();
    cluster.done(adopt(partition()));
    const { groupId, isr, isrVersion } = partition();
    const survivor = isr[0] as ReplicaId;
    const recovered = { groupId, survivor, term: toTerm(9), isrVersion, adopting: undefined, fenced: [] };
    cluster.done({ kind: "recoverPartitions", partitions: [recovered] });
    assert.ok(partition().recovery?.fenced.includes(forgotten));
    cluster.fence(3);
    cluster.register(3, 4);
    cluster.done(replace(partition(), forgotten));
    const { replicaId } = partition().replacing?.adding ?? assert.fail();
    cluster.done({ kind: "reportReplaced", groupId, term: partition().claim?.term ?? toTerm(0), removing: forgotten, replicaId });
    cluster.fence(3);
    cluster.register(3, 5);
    assert.match(cluster.refused(adopt(partition(), 99, 5), "STALE_VERSION"), /given it up/);
  });
});

describe("A seed on another disk", () => {
  it("is a voter of the metadata under its new replica id once that is recorded", () => {
    const cluster = Cluster.ofThree();
    cluster.fence(2);
    cluster.register(2, 2);
    const { metadataReplicaId } = cluster.image.brokers.get(toBrokerId(2)) ?? {};
    cluster.done({ kind: "replaceSeed", brokerId: toBrokerId(2) });
    const seed = cluster.image.seeds.find(({ brokerId }) => brokerId === 2);
    assert.deepEqual([seed?.replicaId, seed?.incarnation], [metadataReplicaId, disk(2, 2)]);
    cluster.register(2, 2);
    assert.equal(cluster.image.brokers.get(toBrokerId(2))?.metadataReplicaId, metadataReplicaId);
    const { version } = cluster.image;
    cluster.done({ kind: "replaceSeed", brokerId: toBrokerId(2) });
    assert.equal(cluster.image.version, version);
    cluster.refused({ kind: "replaceSeed", brokerId: toBrokerId(9) }, "UNKNOWN_BROKER");
  });
});
