import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type BrokerId,
  FIRST_ALLOCATED_ID,
  type LogIndex,
  type TopicId,
  toBrokerId,
  toGroupId,
  toReplicaId,
  toTerm,
} from "../../src/base/ids.ts";
import { type Command, decodeCommand, encodeCommand } from "../../src/cluster/commands.ts";
import { decide } from "../../src/cluster/decide.ts";
import { decodeFacts, encodeFacts } from "../../src/cluster/facts.ts";
import { MetadataImage } from "../../src/cluster/image.ts";
import { type PartitionImage, placedReplicas } from "../../src/cluster/image-state.ts";
import { decodeAnswer, encodeAnswer } from "../../src/cluster/replies.ts";
import { Cluster, disk, topicUuid } from "./cluster-fixture.ts";

const broker = fc.integer({ min: 1, max: 6 });
const small = fc.nat(6);
const intent = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("register" as const),
      broker,
      life: fc.integer({ min: 1, max: 4 }),
      rack: fc.constantFrom(undefined, "r1", "r2"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fence" as const), broker }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("heartbeat" as const), broker, life: fc.integer({ min: 1, max: 2 }), stale: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      name: small,
      partitions: fc.integer({ min: -1, max: 5 }),
      replicas: fc.integer({ min: 0, max: 5 }),
      seed: fc.nat(99),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("alter" as const), name: small, value: fc.constantFrom("1", "2", "7", "x") }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("grow" as const), name: small, partitions: fc.integer({ min: -1, max: 8 }), seed: fc.nat(99) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), name: small }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("confirm" as const), broker, topic: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      group: fc.nat(30),
      replica: fc.nat(4),
      term: fc.integer({ min: -1, max: 2 }),
      isr: fc.subarray([0, 1, 2, 3, 4]),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("isr" as const),
      group: fc.nat(30),
      term: fc.constantFrom(0, 0, 0, 1, -1),
      version: fc.constantFrom(0, 0, 0, 1, -1),
      isr: fc.subarray([0, 1, 2, 3, 4, 9]),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("replace" as const), group: fc.nat(30), replica: fc.nat(4) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("replaced" as const),
      group: fc.nat(30),
      term: fc.constantFrom(0, 0, 0, 1),
      other: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("keep" as const), group: fc.nat(30), term: fc.constantFrom(0, 0, 0, 1) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("adopt" as const),
      group: fc.nat(30),
      broker,
      life: fc.integer({ min: 1, max: 3 }),
      term: fc.constantFrom(0, 0, 1, -1),
      replica: fc.nat(9),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("seed" as const), broker }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("recover" as const),
      group: fc.nat(30),
      replica: fc.nat(4),
      term: fc.nat(3),
      version: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("recoverCluster" as const), broker, epoch: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("producers" as const), count: fc.integer({ min: 0, max: 2000 }) }) },
);
type Intent = typeof intent extends fc.Arbitrary<infer T> ? T : never;

/** Names things that (mostly) exist in the image. */
function commandOf(each: Intent, image: MetadataImage, step: number): Command {
  const partitions = [...image.partitions.values()];
  const at = (n: number): PartitionImage | undefined => partitions[n % Math.max(1, partitions.length)];
  const members = (partition: PartitionImage | undefined, places: readonly number[]) =>
    // A replica that is coming is among them, behind the others.
    places.flatMap((place) => {
      const placed = partition === undefined ? [] : placedReplicas(partition);
      return placed[place]?.replicaId ?? (place === 9 ? toReplicaId(77) : []);
    });
  switch (each.do) {
    case "register": {
      const command = new Cluster().registration(each.broker, each.life, each.rack);
      return command;
    }
    case "fence":
      return {
        kind: "fenceBroker",
        brokerId: toBrokerId(each.broker),
        brokerEpoch: image.brokers.get(toBrokerId(each.broker))?.epoch ?? (0 as LogIndex),
      };
    case "heartbeat": {
      const epoch = image.brokers.get(toBrokerId(each.broker))?.epoch ?? 0;
      return {
        kind: "brokerHeartbeat",
        brokerId: toBrokerId(each.broker),
        incarnation: disk(each.broker, each.life),
        brokerEpoch: Math.max(0, epoch - (each.stale ? 1 : 0)) as LogIndex,
        featureLevelMin: 0,
        featureLevelMax: 0,
      };
    }
    case "create":
      return {
        kind: "createTopic",
        name: `t${each.name}`,
        partitions: each.partitions,
        replicas: each.replicas,
        configs: new Map(),
        validateOnly: false,
        topicId: topicUuid(step),
        seed: each.seed,
      };
    case "alter":
      return {
        kind: "alterTopic",
        name: `t${each.name}`,
        set: new Map([["min.insync.replicas", each.value]]),
        delete: [],
        validateOnly: false,
        topicId: undefined,
      };
    case "grow":
      return {
        kind: "addPartitions",
        name: `t${each.name}`,
        partitions: each.partitions,
        validateOnly: false,
        seed: each.seed,
        topicId: undefined,
      };
    case "delete":
      return { kind: "deleteTopic", name: `t${each.name}`, topicId: undefined };
    case "confirm": {
      const known = image.brokers.get(toBrokerId(each.broker));
      const topics = [...image.tombstones.keys()];
      const topic: TopicId | undefined = topics[each.topic % Math.max(1, topics.length)];
      return {
        kind: "confirmDeleted",
        brokerId: toBrokerId(each.broker),
        incarnation: known?.incarnation ?? disk(each.broker),
        topicIds: topic === undefined ? [] : [topic],
      };
    }
    case "claim": {
      const partition = at(each.group);
      const replicaId = partition?.replicas[each.replica]?.replicaId ?? toReplicaId(77);
      const term = toTerm(Math.max(1, (partition?.claim?.term ?? 0) + each.term));
      return {
        kind: "leaderClaim",
        claims: partition === undefined ? [] : [{ groupId: partition.groupId, replicaId, term, isr: members(partition, each.isr) }],
      };
    }
    case "isr": {
      const partition = at(each.group);
      if (partition === undefined) return { kind: "alterIsr", proposals: [] };
      const term = toTerm(Math.max(1, (partition.claim?.term ?? 0) + each.term));
      return {
        kind: "alterIsr",
        proposals: [
          { groupId: partition.groupId, term, isrVersion: partition.isrVersion + each.version, isr: members(partition, each.isr) },
        ],
      };
    }
    case "replace": {
      // Often one that is lost, so that something comes of it.
      const lost = image.replaceable()[each.replica];
      const partition = lost?.partition ?? at(each.group);
      const removing = lost?.replica.replicaId ?? partition?.replicas[each.replica]?.replicaId ?? toReplicaId(77);
      return { kind: "replaceReplica", groupId: partition?.groupId ?? toGroupId(77), removing };
    }
    case "replaced": {
      const partition = partitions.filter(({ replacing }) => replacing !== undefined)[each.group % 3] ?? at(each.group);
      const term = toTerm((partition?.claim?.term ?? 0) + each.term);
      const removing = partition?.replacing?.removing ?? toReplicaId(77);
      const replicaId = each.other ? toReplicaId(78) : (partition?.replacing?.adding.replicaId ?? toReplicaId(77));
      return { kind: "reportReplaced", groupId: partition?.groupId ?? toGroupId(77), term, removing, replicaId };
    }
    case "keep": {
      const partition = partitions.filter(({ replacing }) => replacing !== undefined)[each.group % 3] ?? at(each.group);
      const term = toTerm((partition?.claim?.term ?? 0) + each.term);
      const removing = partition?.replacing?.removing ?? toReplicaId(77);
      const replicaId = partition?.replacing?.adding.replicaId ?? toReplicaId(77);
      return { kind: "keepReplica", groupId: partition?.groupId ?? toGroupId(77), term, removing, replicaId };
    }
    case "adopt": {
      // Often on a disk that its broker has now, where another one is named.
      const lost = image.replaceable()[each.replica];
      const partition = lost?.partition ?? at(each.group);
      const brokerId = lost?.replica.brokerId ?? toBrokerId(each.broker);
      const incarnation = (lost === undefined ? undefined : image.brokers.get(brokerId)?.incarnation) ?? disk(brokerId, each.life);
      const term = toTerm(Math.max(0, (partition?.claim?.term ?? 0) + each.term));
      const replicaId = toReplicaId(700 + step);
      return { kind: "adoptReplica", groupId: partition?.groupId ?? toGroupId(77), term, replicaId, brokerId, incarnation };
    }
    case "seed":
      return { kind: "replaceSeed", brokerId: toBrokerId(each.broker) };
    case "recover": {
      const partition = at(each.group);
      if (partition === undefined) return { kind: "recoverPartitions", partitions: [] };
      const placed = placedReplicas(partition)[each.replica];
      const survivor = placed?.replicaId ?? toReplicaId(800 + step);
      const { groupId, isrVersion } = partition;
      // Some that the metadata has forgotten, on whatever disk stands in the place of one that is gone.
      const host = partition.replicas[each.term % partition.replicas.length];
      const incarnation = image.brokers.get(host?.brokerId ?? toBrokerId(1))?.incarnation;
      const adopting =
        placed !== undefined || host === undefined || incarnation === undefined ? undefined : { brokerId: host.brokerId, incarnation };
      return {
        kind: "recoverPartitions",
        partitions: [
          {
            groupId,
            survivor,
            term: toTerm(each.term),
            isrVersion: isrVersion + each.version,
            adopting,
            fenced: [toReplicaId(900 + step)],
          },
        ],
      };
    }
    case "recoverCluster": {
      const brokerId = toBrokerId(Math.min(3, each.broker));
      return { kind: "recoverCluster", recoveryEpoch: image.recoveryEpoch + each.epoch, survivor: toReplicaId(brokerId), brokerId };
    }
    case "producers":
      return { kind: "allocateProducerIds", count: each.count };
  }
}

/** Ids seen so far, over the whole history: none may come twice. */
class History {
  readonly groups = new Set<number>();
  readonly replicas = new Set<number>();
  readonly producers: [first: number, after: number][] = [];
  readonly versions = new Map<number, number>();
  readonly terms = new Map<number, number>();

  check(before: MetadataImage, after: MetadataImage): void {
    for (const partition of after.partitions.values()) {
      const known = before.partitionOfGroup(partition.groupId);
      if (known === undefined) {
        assert.ok(!this.groups.has(partition.groupId), "a group id is never reused");
        this.groups.add(partition.groupId);
      }
      for (const { replicaId } of placedReplicas(partition)) {
        if (known !== undefined && placedReplicas(known).some((one) => one.replicaId === replicaId)) continue;
        assert.ok(!this.replicas.has(replicaId), "a replica id is never reused (D5)");
        this.replicas.add(replicaId);
      }
      const brokers: BrokerId[] = partition.replicas.map(({ brokerId }) => brokerId);
      assert.equal(new Set(brokers).size, brokers.length, "replicas are on distinct brokers (M4)");
      const ids = placedReplicas(partition).map(({ replicaId }) => replicaId);
      assert.ok(partition.isr.length > 0 && partition.isr.every((member) => ids.includes(member)), "ISR is a part of the replicas (M4)");
      if (known !== undefined && known.recovery !== partition.recovery) {
        const { survivor, term, fenced, number } = partition.recovery ?? assert.fail("a recovery is never forgotten");
        assert.deepEqual([partition.isr, partition.isrVersion], [[survivor], known.isrVersion + 1]);
        assert.ok(term >= (known.claim?.term ?? 0) && number > (known.recovery?.number ?? 0));
        assert.ok(!fenced.includes(survivor), "who survives is not fenced");
        for (const { replicaId } of [...placedReplicas(known), ...(known.recovery?.fenced ?? []).map((replicaId) => ({ replicaId }))])
          assert.ok(replicaId === survivor || fenced.includes(replicaId), "everybody else is, for good");
        assert.deepEqual(
          partition.replicas.filter((one) => after.isPresent(one)).map(({ replicaId }) => replicaId),
          [survivor],
        );
      } else if (known !== undefined && (known.replicas !== partition.replicas || known.replacing !== partition.replacing)) {
        // Replicas that come and go change nothing else, and only one whose disk is gone goes.
        const stay = new Set(placedReplicas(partition).map(({ replicaId }) => replicaId));
        const adopted = [...stay].some((id) => id < FIRST_ALLOCATED_ID && !placedReplicas(known).some(({ replicaId }) => replicaId === id));
        // One that is adopted takes its place from one that may still be in the ISR.
        if (adopted)
          assert.deepEqual([partition.isr, partition.isrVersion], [known.isr.filter((id) => stay.has(id)), known.isrVersion + 1]);
        else assert.deepEqual([partition.isr, partition.isrVersion], [known.isr, known.isrVersion]);
        assert.deepEqual(partition.claim, known.claim);
        assert.equal(partition.replicas.length, known.replicas.length);
        const gone = known.replicas.filter(({ replicaId }) => !partition.replicas.some((one) => one.replicaId === replicaId));
        assert.ok(gone.length <= 1 && gone.every((one) => !after.isPresent(one)));
      } else if (known !== undefined && known !== partition) {
        assert.equal(partition.isrVersion, known.isrVersion + 1, "versions rise one by one");
        assert.ok((partition.claim?.term ?? 0) >= (known.claim?.term ?? 0), "terms never fall");
        if (partition.claim !== known.claim) assert.ok((partition.claim?.term ?? 0) > (known.claim?.term ?? 0), "one leader per term (M1)");
        const leader = partition.claim?.replicaId;
        const joined = partition.isr.filter((member) => !known.isr.includes(member));
        if (partition.claim === known.claim) assert.ok(leader !== undefined, "only the leader changes the ISR");
        else
          assert.ok(
            joined.every((member) => member === leader),
            "a claim adds nobody but the leader",
          );
      }
    }
    if (after.nextIds.producer !== before.nextIds.producer) this.producers.push([before.nextIds.producer, after.nextIds.producer]);
    for (const at of [
      after.nextIds.group - before.nextIds.group,
      after.nextIds.replica - before.nextIds.replica,
      after.nextIds.producer - before.nextIds.producer,
    ]) {
      assert.ok(at >= 0, "counters only rise");
    }
    const names = [...after.topics.values()].map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, "names are unique");
    for (const topic of after.topics.values()) assert.equal(after.topicByName(topic.name), topic);
    for (const tombstone of after.tombstones.values()) {
      assert.ok(tombstone.waitingFor.length > 0 && !after.topics.has(tombstone.topicId));
      assert.ok(tombstone.waitingFor.every((id) => tombstone.replicas.some(({ brokerId }) => brokerId === id)));
    }
  }
}

describe("the metadata machine under random commands", () => {
  it("decides without changing anything, keeps its promises, and replays to equal images everywhere (R9)", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(intent, { minLength: 10, maxLength: 60, size: "max" }), (intents) => {
        const cluster = Cluster.ofThree();
        const history = new History();
        const follower = new MetadataImage();
        let applied = 0;
        for (const [step, each] of intents.entries()) {
          const command = commandOf(each, cluster.image, step + 1);
          assert.deepEqual(decodeCommand(encodeCommand(command)), command);
          const before = cluster.image.clone();
          const hash = before.hash();
          const now = { monotonic: step, wall: 0 };
          const decision = decide(cluster.image, command, now);
          assert.equal(cluster.image.hash(), hash, "decide changes nothing");
          assert.deepEqual(decide(before, command, now), decision, "and depends on nothing else");
          const answer = "error" in decision ? decision : { reply: decision.reply, metadataVersion: cluster.image.version };
          const sent = decodeAnswer(encodeAnswer(answer));
          if ("error" in answer) assert.equal("error" in sent && sent.error.code, answer.error.code);
          else assert.deepEqual(sent, answer);
          cluster.run(command);
          if (!("error" in decision) && decision.facts.length > 0) accepted += 1;
          assert.equal(before.hash(), hash, "a clone stands alone");
          history.check(before, cluster.image);
          // The other broker reads the bytes, and must see the same.
          for (; applied < cluster.log.length; applied++) {
            const frame = cluster.log[applied];
            for (const fact of decodeFacts(encodeFacts(frame?.facts ?? []))) follower.replay(fact, frame?.index ?? (0 as LogIndex));
          }
          assert.equal(follower.hash(), cluster.image.hash());
        }
        const restored = MetadataImage.restore(cluster.image.snapshot());
        const slices = [...cluster.image.slices()];
        assert.deepEqual(Buffer.concat(slices).equals(cluster.image.snapshot()), true, "the slices of a snapshot are the snapshot");
        assert.equal(restored.hash(), cluster.image.hash());
        assert.deepEqual(restored, restored.clone());
        for (const id of [1, 2, 3, 4, 5, 6].map(toBrokerId)) {
          assert.deepEqual(restored.hostedBy(id), cluster.image.hostedBy(id), "what is derived is rebuilt");
          assert.deepEqual(restored.lostBy(id), cluster.image.lostBy(id));
        }
        assert.deepEqual(
          decide(restored, { kind: "allocateProducerIds", count: 5 }, { monotonic: 0, wall: 0 }),
          decide(cluster.image, { kind: "allocateProducerIds", count: 5 }, { monotonic: 0, wall: 0 }),
        );
      }),
      { numRuns: 50 },
    );
    // Some 260 as a rule; the draw differs each time.
    assert.ok(accepted > 130, `the commands mean something: ${accepted} were accepted`);
  });

  it("has another hash for another image", () => {
    const cluster = Cluster.ofThree();
    const hashes = new Set([cluster.image.hash()]);
    cluster.create("a");
    hashes.add(cluster.image.hash());
    cluster.fence(1);
    hashes.add(cluster.image.hash());
    cluster.done({
      kind: "alterTopic",
      name: "a",
      set: new Map([["acks.min", "ALL"]]),
      delete: [],
      validateOnly: false,
      topicId: undefined,
    });
    hashes.add(cluster.image.hash());
    assert.equal(hashes.size, 4);
  });
});
