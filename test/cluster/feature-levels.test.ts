import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { toBrokerId, toLogIndex, toReplicaId, toTerm } from "../../src/base/ids.ts";
import { decodeFacts, encodeFacts } from "../../src/cluster/facts.ts";
import { type FeatureLevels, featureLevels, levelsOf, RAISED_LEVEL_MIN, supportedLevels } from "../../src/cluster/feature-levels.ts";
import { MetadataImage } from "../../src/cluster/image.ts";
import { message, repeated, string, submessage } from "../../src/protocol/codec/index.ts";
import { UnionType } from "../../src/protocol/codec/union.ts";
import { Cluster, disk } from "./cluster-fixture.ts";

const EARLIER: FeatureLevels = { min: 1, max: RAISED_LEVEL_MIN - 1 };
/** What a version of before there were levels says of them. */
const NOTHING: FeatureLevels = { min: 0, max: 0 };

function register(cluster: Cluster, id: number, levels: FeatureLevels, life = 1): void {
  cluster.done(registration(cluster, id, levels, life));
}

function registration(cluster: Cluster, id: number, { min, max }: FeatureLevels, life = 1) {
  return { ...cluster.registration(id, life), featureLevelMin: min, featureLevelMax: max };
}

function heartbeat(cluster: Cluster, id: number, { min, max }: FeatureLevels) {
  const brokerEpoch = cluster.image.brokers.get(toBrokerId(id))?.epoch ?? toLogIndex(0);
  return {
    kind: "brokerHeartbeat",
    brokerId: toBrokerId(id),
    incarnation: disk(id),
    brokerEpoch,
    featureLevelMin: min,
    featureLevelMax: max,
  } as const;
}

/** Formed by three seeds that have not registered. */
function formed(): Cluster {
  const cluster = new Cluster();
  cluster.form([1, 2, 3]);
  return cluster;
}

function errorOf(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof MillraceError, String(error));
    return error;
  }
  return assert.fail("nothing was thrown");
}

describe("The list of feature levels", () => {
  it("counts from 1 without a gap, and this version understands all of it", () => {
    assert.deepEqual(
      featureLevels.map(({ level }) => level),
      featureLevels.map((_, at) => at + 1),
    );
    assert.deepEqual(supportedLevels, { min: 1, max: featureLevels.length });
  });
});

describe("The cluster's feature level", () => {
  it("is 1 when the cluster is formed, and rises with the registration of the last broker that kept it down", () => {
    const cluster = formed();
    register(cluster, 1, supportedLevels);
    register(cluster, 2, supportedLevels);
    register(cluster, 4, supportedLevels);
    assert.equal(cluster.image.featureLevel, 1, "a seed that has not registered reads the log as well");
    register(cluster, 3, NOTHING);
    assert.equal(cluster.image.featureLevel, 1);
    register(cluster, 3, EARLIER);
    assert.equal(cluster.image.featureLevel, 1);
    register(cluster, 3, supportedLevels);
    assert.equal(cluster.image.featureLevel, supportedLevels.max);
    assert.notEqual(cluster.image.featureLevelSince, "");
  });

  it("is kept down by a broker that is away too: it comes back as it was", () => {
    const cluster = formed();
    register(cluster, 4, EARLIER);
    cluster.fence(4);
    for (const id of [1, 2, 3]) register(cluster, id, supportedLevels);
    assert.equal(cluster.image.featureLevel, 1);
    register(cluster, 4, supportedLevels, 2);
    assert.equal(cluster.image.featureLevel, supportedLevels.max);
  });

  it("rises no higher than whoever controls understands, whatever the brokers say", () => {
    const cluster = formed();
    for (const id of [1, 2, 3]) register(cluster, id, { min: 1, max: supportedLevels.max + 4 });
    assert.equal(cluster.image.featureLevel, supportedLevels.max);
    const before = new Cluster();
    before.image = new MetadataImage(undefined, EARLIER);
    before.form([1, 2, 3]);
    for (const id of [1, 2, 3]) register(before, id, supportedLevels);
    assert.equal(before.image.featureLevel, 1);
  });

  it("rises by a heartbeat too, once a controller of before, which knew nothing of levels, has made way", () => {
    const cluster = formed();
    for (const id of [1, 2]) register(cluster, id, supportedLevels);
    // That is what such a controller records.
    register(cluster, 3, NOTHING);
    assert.match(cluster.refused(heartbeat(cluster, 3, supportedLevels), "STALE_VERSION"), /register again/);
    cluster.done(heartbeat(cluster, 3, NOTHING));
    assert.equal(cluster.image.featureLevel, 1);
    register(cluster, 3, supportedLevels);
    assert.equal(cluster.image.featureLevel, supportedLevels.max);
    // Its metadata went on from a moment before that (ADR 0014).
    cluster.image = MetadataImage.restore(cluster.image.snapshot());
    cluster.done(heartbeat(cluster, 3, supportedLevels));

    const recovered = formed();
    recovered.image = new MetadataImage(undefined, EARLIER);
    recovered.form([1, 2, 3]);
    for (const id of [1, 2, 3]) register(recovered, id, supportedLevels);
    recovered.image = MetadataImage.restore(recovered.image.snapshot());
    recovered.done(heartbeat(recovered, 1, supportedLevels));
    assert.equal(recovered.image.featureLevel, supportedLevels.max);
  });

  it("is in snapshots, with what each broker understands", () => {
    const cluster = Cluster.ofThree();
    register(cluster, 4, { min: 2, max: supportedLevels.max });
    const restored = MetadataImage.restore(cluster.image.snapshot());
    assert.equal(restored.hash(), cluster.image.hash());
    assert.deepEqual(restored.brokers.get(toBrokerId(4))?.levels, { min: 2, max: supportedLevels.max });
    assert.deepEqual([restored.featureLevel, restored.featureLevelSince], [supportedLevels.max, cluster.image.featureLevelSince]);
    const slices = [...cluster.image.slices()];
    const joined = new Uint8Array(slices.reduce((bytes, slice) => bytes + slice.byteLength, 0));
    let at = 0;
    for (const slice of slices) {
      joined.set(slice, at);
      at += slice.byteLength;
    }
    assert.equal(MetadataImage.restore(joined).hash(), cluster.image.hash());
  });
});

describe("A broker whose feature levels do not include the cluster's", () => {
  it("is refused when it registers, by both levels and what to do", () => {
    const cluster = Cluster.ofThree();
    const { max } = supportedLevels;
    const text = cluster.refused(registration(cluster, 4, EARLIER), "UNSUPPORTED_FEATURE_LEVEL");
    assert.match(
      text,
      new RegExp(`broker 4 .*understands feature levels 1 to ${max - 1}, the cluster is at ${max}. .*start it with version \\d`),
    );
    const late = cluster.refused(registration(cluster, 4, { min: max + 1, max: max + 2 }), "UNSUPPORTED_FEATURE_LEVEL");
    assert.match(
      late,
      new RegExp(`levels ${max + 1} to ${max + 2}, the cluster is at ${max}. .*understands both ${max} and ${max + 1} first`),
    );
  });

  it("that knows nothing of levels is refused with a code that its version knows, and that ends it", () => {
    const cluster = Cluster.ofThree();
    assert.match(cluster.refused(registration(cluster, 2, NOTHING), "INVALID_REQUEST"), /feature levels 1 to 2/);
  });

  it("may not be one that was in the cluster before", () => {
    const cluster = Cluster.ofThree();
    cluster.refused(registration(cluster, 2, EARLIER), "UNSUPPORTED_FEATURE_LEVEL");
  });
});

describe("Metadata that a version cannot read", () => {
  it("ends it by name, also as a snapshot: what follows a level that is not understood is not known here", () => {
    const cluster = Cluster.ofThree();
    const follower = new MetadataImage(undefined, EARLIER);
    const error = errorOf(() => {
      for (const { index, facts } of cluster.log) for (const fact of facts) follower.replay(fact, index);
    });
    assert.equal(error.code, "UNSUPPORTED_FEATURE_LEVEL");
    assert.match(error.message, /at feature level 3, and this version understands feature levels 1 to 2. .*with version 0\.1\.0 or later/);
    assert.equal(follower.featureLevel, 1);
    const joining = new MetadataImage(undefined, EARLIER);
    assert.equal(errorOf(() => joining.become(cluster.image.snapshot())).code, "UNSUPPORTED_FEATURE_LEVEL");
    assert.equal(joining.clusterId, undefined, "nothing of it was taken");
  });

  it("is never passed over: a fact of an unknown kind has a name, bytes that are no facts have another", () => {
    const Later = new UnionType("Fact", { somethingNew: [99, message("SomethingNew", { what: string(1) })] });
    const Facts = message("Facts", { facts: repeated(submessage(1, Later.envelope)) });
    const payload = Facts.encode({ facts: [Later.wrap({ kind: "somethingNew", what: "it" })] });
    const error = errorOf(() => decodeFacts(payload));
    assert.equal(error.code, "UNSUPPORTED_FEATURE_LEVEL");
    assert.match(error.message, /kind that came later.*start this broker with a later version/);
    assert.equal(errorOf(() => decodeFacts(Uint8Array.of(255))).code, "INVALID_REQUEST");
  });
});

describe("Before the cluster is at level 3", () => {
  it("no fact says in whose place a forgotten survivor stands, or who else is out: such a recovery is refused by name", () => {
    const cluster = formed();
    for (const id of [1, 2]) register(cluster, id, supportedLevels);
    register(cluster, 3, EARLIER);
    const [partition] = cluster.create("t", 1);
    assert.ok(partition !== undefined);
    const { groupId, isrVersion } = partition;
    const survivor = partition.replicas[0]?.replicaId ?? toReplicaId(1);
    const others = partition.replicas.map(({ replicaId }) => replicaId).filter((id) => id !== survivor);
    const recovery = (fenced: readonly number[]) =>
      ({
        kind: "recoverPartitions",
        partitions: [{ groupId, survivor, term: toTerm(9), isrVersion, adopting: undefined, fenced: fenced.map(toReplicaId) }],
      }) as const;
    const text = cluster.refused(recovery([...others, 77]), "RECOVERY_REFUSED");
    assert.match(text, /feature level 1 of 3.*start every registered broker with this version/);
    cluster.done(recovery(others));
    const recorded = cluster.log.at(-1)?.facts[0];
    assert.deepEqual(recorded?.kind === "partitionRecovered" && [recorded.inPlaceOf, recorded.fenced], [0, []]);
    register(cluster, 3, supportedLevels);
    const again = cluster.partition(groupId);
    const later = recovery([...others, 77]).partitions.map((one) => ({ ...one, isrVersion: again.isrVersion }));
    cluster.done({ kind: "recoverPartitions", partitions: later });
    assert.ok(cluster.partition(groupId).recovery?.fenced.includes(toReplicaId(77)));
  });

  it("no new field but the report itself is in the log of a cluster that has one broker of before", () => {
    const cluster = formed();
    for (const id of [1, 2]) register(cluster, id, supportedLevels);
    register(cluster, 3, NOTHING);
    const facts = cluster.log.flatMap((frame) => frame.facts);
    assert.ok(facts.every(({ kind }) => kind !== "featureLevelRaised"));
    assert.deepEqual(decodeFacts(encodeFacts(facts)), facts);
    assert.deepEqual(levelsOf(0, 0), { min: 1, max: 2 });
    assert.deepEqual(levelsOf(0, 2), { min: 1, max: 2 });
  });
});
