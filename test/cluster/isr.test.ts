import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ReplicaId, toGroupId, toReplicaId, toTerm } from "../../src/base/ids.ts";
import { IsrOutcome } from "../../src/cluster/commands.ts";
import { Cluster } from "./cluster-fixture.ts";

function onePartition() {
  const cluster = Cluster.ofThree();
  const [partition] = cluster.create("t");
  assert.ok(partition !== undefined);
  const [a, b, c] = partition.replicas.map(({ replicaId }) => replicaId) as [ReplicaId, ReplicaId, ReplicaId];
  return { cluster, partition, a, b, c };
}

describe("leaderClaim", () => {
  it("raises the version, names the leader, keeps the members it names and adds itself", () => {
    const { cluster, partition, a, b, c } = onePartition();
    const first = cluster.claim(partition, 0, 3, [a, b]);
    assert.deepEqual(
      [first.outcome, first.isr, first.isrVersion, first.leaderReplicaId, first.leaderTerm],
      [IsrOutcome.recorded, [a, b], 2, a, 3],
    );
    const second = cluster.claim(partition, 2, 4, [a, b, c]);
    assert.deepEqual(
      [second.isr, second.isrVersion],
      [[a, b, c].sort((x, y) => x - y), 3],
      "the leader of a term holds everything acknowledged before",
    );
  });

  it("never adds anyone but the leader, nor a leader that leaves itself out because of a hole", () => {
    const { cluster, partition, a, b, c } = onePartition();
    cluster.claim(partition, 0, 3, [a]);
    assert.deepEqual(cluster.claim(partition, 1, 4, [b, c]).isr, [b]);
    assert.deepEqual(cluster.claim(partition, 2, 5, [b]).isr, [b]);
    assert.deepEqual(cluster.claim(partition, 2, 6, []).isr, [b], "an empty ISR would name nobody who holds the records");
  });

  it("fences older terms, refuses a second leader of a term, and takes a repeated claim as the same", () => {
    const { cluster, partition, a } = onePartition();
    cluster.claim(partition, 0, 3);
    const { version } = cluster.image;
    assert.equal(cluster.claim(partition, 1, 2).outcome, IsrOutcome.refused);
    assert.equal(cluster.claim(partition, 1, 3).outcome, IsrOutcome.refused);
    const again = cluster.claim(partition, 0, 3, [a]);
    assert.deepEqual([again.outcome, again.isr.length, again.isrVersion], [IsrOutcome.recorded, 3, 2]);
    assert.equal(cluster.image.version, version);
  });

  it("refuses strangers and unknown groups", () => {
    const { cluster, partition } = onePartition();
    const claim = { groupId: partition.groupId, replicaId: toReplicaId(77), term: toTerm(3), isr: [] };
    assert.equal(cluster.isrResult({ kind: "leaderClaim", claims: [claim] }).outcome, IsrOutcome.refused);
    const nowhere = cluster.isrResult({ kind: "leaderClaim", claims: [{ ...claim, groupId: toGroupId(5) }] });
    assert.deepEqual([nowhere.outcome, nowhere.isrVersion], [IsrOutcome.refused, 0]);
  });

  it("tells who leads, as a hint with the broker's addresses", () => {
    const { cluster, partition } = onePartition();
    assert.equal(cluster.image.leaderOf(partition), undefined);
    cluster.claim(partition, 1, 3);
    const hint = cluster.image.leaderOf(cluster.partition(partition.groupId));
    assert.equal(hint?.term, 3);
    assert.equal(hint?.broker?.id, partition.replicas[1]?.brokerId);
  });
});

describe("alterIsr", () => {
  it("is a compare-and-set on term and version", () => {
    const { cluster, partition, a, b, c } = onePartition();
    assert.equal(cluster.alter(partition, 3, 1, [a, b]).outcome, IsrOutcome.refused, "nobody has claimed the term");
    cluster.claim(partition, 0, 3);
    assert.equal(cluster.alter(partition, 3, 1, [a, b]).outcome, IsrOutcome.refused, "older version");
    assert.equal(cluster.alter(partition, 2, 2, [a, b]).outcome, IsrOutcome.refused, "older term");
    assert.equal(cluster.alter(partition, 4, 2, [a, b]).outcome, IsrOutcome.refused, "a term that has not claimed");
    const shrunk = cluster.alter(partition, 3, 2, [a, b]);
    assert.deepEqual([shrunk.outcome, shrunk.isr, shrunk.isrVersion], [IsrOutcome.recorded, [a, b], 3]);
    assert.equal(cluster.alter(partition, 3, 3, [a, b, c]).isrVersion, 4);
  });

  it("records the present set again under a higher version, which is how a proposal is closed", () => {
    const { cluster, partition, a, b, c } = onePartition();
    cluster.claim(partition, 0, 3);
    assert.equal(cluster.alter(partition, 3, 2, [a, b, c]).isrVersion, 3);
  });

  it("refuses strangers, doubles and an empty set", () => {
    const { cluster, partition, a } = onePartition();
    cluster.claim(partition, 0, 3);
    for (const wrong of [[a, a], [a, 99], []]) {
      const result = cluster.alter(partition, 3, 2, wrong);
      assert.deepEqual([result.outcome, result.isrVersion], [IsrOutcome.refused, 2]);
    }
  });

  it("takes a set without the leader: with a hole it is not in sync itself", () => {
    const { cluster, partition, b } = onePartition();
    cluster.claim(partition, 0, 3);
    assert.equal(cluster.alter(partition, 3, 2, [b]).outcome, IsrOutcome.recorded);
  });

  it("lets no replica of a fenced broker join, but lets it stay and leave", () => {
    const { cluster, partition, a, b, c } = onePartition();
    cluster.claim(partition, 0, 3, [a, b]);
    const fenced = partition.replicas[2]?.brokerId ?? 0;
    cluster.fence(fenced);
    assert.equal(cluster.alter(partition, 3, 2, [a, b, c]).outcome, IsrOutcome.refused);
    cluster.fence(partition.replicas[1]?.brokerId ?? 0);
    assert.equal(cluster.alter(partition, 3, 2, [a, b]).outcome, IsrOutcome.recorded);
    assert.equal(cluster.alter(partition, 3, 3, [a]).outcome, IsrOutcome.recorded);
  });

  it("lets no replica of a lost disk join", () => {
    const { cluster, partition, a, b, c } = onePartition();
    cluster.claim(partition, 0, 3, [a, b]);
    const broker = partition.replicas[2]?.brokerId ?? 0;
    cluster.fence(broker);
    cluster.register(broker, 2);
    const result = cluster.alter(partition, 3, 2, [a, b, c]);
    assert.match(result.reason, /disk/);
  });

  it("judges each proposal of a batch alone, and takes only the first of a group", () => {
    const cluster = Cluster.ofThree();
    const [p, q] = cluster.create("t", 2);
    assert.ok(p !== undefined && q !== undefined);
    cluster.claim(p, 0, 3);
    const leader = p.replicas[0]?.replicaId ?? toReplicaId(1);
    const reply = cluster.done({
      kind: "alterIsr",
      proposals: [
        { groupId: q.groupId, term: toTerm(3), isrVersion: 1, isr: q.isr },
        { groupId: p.groupId, term: toTerm(3), isrVersion: 2, isr: [leader] },
        { groupId: p.groupId, term: toTerm(3), isrVersion: 2, isr: p.isr },
        { groupId: p.groupId, term: toTerm(3), isrVersion: 3, isr: p.isr },
      ],
    });
    const outcomes = reply.kind === "isrResults" ? reply.results.map(({ outcome }) => outcome) : [];
    assert.deepEqual(outcomes, [IsrOutcome.refused, IsrOutcome.recorded, IsrOutcome.refused, IsrOutcome.refused]);
    assert.deepEqual(cluster.partition(p.groupId).isr, [leader]);
  });
});
