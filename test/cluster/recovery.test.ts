import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METADATA_GROUP, type ReplicaId, toBrokerId, toReplicaId, toTerm } from "../../src/base/ids.ts";
import type { PartitionImage } from "../../src/cluster/image-state.ts";
import { type PlacedMember, type RecoveryPlan, type Standing, sameGroupPlan } from "../../src/cluster/recovery-plan.ts";
import { Cluster, disk } from "./cluster-fixture.ts";
import { five, member, planOf, standing } from "./recovery-fixture.ts";

const survivors = (plan: RecoveryPlan): readonly number[] => plan.partitions.map(({ survivor }) => survivor.brokerId);

describe("A plan of recovery after a lost majority (scenario 62)", () => {
  it("names a partition only when no quorum of anybody's configuration can be alive", () => {
    const { cluster, partition, on } = five();
    const [one, two, three] = on as [number, number, number];
    const here = standing(partition(), three);
    assert.deepEqual(survivors(planOf(cluster, [here])), [three]);
    assert.deepEqual(survivors(planOf(cluster, [here, standing(partition(), two)])), [], "two of three");
    assert.deepEqual(survivors(planOf(cluster, [{ ...here, hasLeader: true }])), [], "it hears a leader");
    assert.deepEqual(survivors(planOf(cluster, [here], { connected: [one] })), [], "somebody reaches another one");
    assert.deepEqual(
      survivors(planOf(cluster, [here], { answered: [three, one] })),
      [three],
      "who answers, and does not have it, lacks it",
    );
    assert.deepEqual(survivors(planOf(cluster, [here], { answered: [three, one], opening: [one] })), [], "it is just opening it");
    assert.deepEqual(survivors(planOf(cluster, [{ ...here, voters: [member(here)] }])), [], "it is alone by its own configuration");
    const joint = { ...here, voters: [member(here)], oldVoters: partition().replicas.map(member) };
    assert.deepEqual(survivors(planOf(cluster, [joint])), [three], "the old set of a joint configuration counts too");
  });

  it("counts a voter that the metadata has forgotten: it is placed again by itself, and until then nobody is to be given up", () => {
    const { cluster, partition, on } = five();
    const [one, two, three] = on as [number, number, number];
    const forgotten = { replicaId: toReplicaId(77), brokerId: toBrokerId(two) };
    const voters = partition().replicas.map((each) => member(each.brokerId === two ? forgotten : each));
    const here = { ...standing(partition(), three), voters };
    const there = { ...standing(partition(), two), ...forgotten, voters };
    assert.deepEqual(survivors(planOf(cluster, [here, there])), []);
    assert.deepEqual(survivors(planOf(cluster, [here, { ...there, quarantined: true }])), [three]);
    assert.deepEqual(survivors(planOf(cluster, [here], { answered: [one, two, three] })), [three]);
    assert.deepEqual(planOf(cluster, [there]).gone, [], "nor is it lost when others are away");
  });

  it("goes on from a voter that the metadata has forgotten, if nobody else is left, on the disk its broker is registered with", () => {
    const { cluster, partition, on } = five();
    const [one, two, three] = on as [number, number, number];
    const forgotten = { replicaId: toReplicaId(77), brokerId: toBrokerId(two) };
    const third = { replicaId: toReplicaId(78), brokerId: toBrokerId(three) };
    const [first] = partition().replicas as [PartitionImage["replicas"][0]];
    const here = { ...standing(partition(), two), ...forgotten, incarnation: disk(two, 2), voters: [member(first), forgotten, third] };
    const named = (said: Standing = here): string => {
      const { partitions, gone, unplaced } = planOf(cluster, [said]);
      assert.deepEqual([partitions, gone, unplaced.map(({ name, replicas }) => [name, replicas])], [[], [], [["t-0", [forgotten]]]]);
      return unplaced[0]?.why ?? "";
    };
    assert.match(named(), /replica 77 on broker \d: its broker is not registered with this disk/);
    cluster.fence(two);
    cluster.register(two, 2);
    assert.match(named({ ...here, voters: [member(first), third] }), /has never voted/);
    assert.match(named({ ...here, incarnation: disk(two, 3) }), /not registered with this disk/);
    assert.deepEqual(planOf(cluster, [here], { connected: [one] }).unplaced, [], "somebody reaches another voter");
    const plan = planOf(cluster, [here]);
    const [group] = plan.partitions;
    assert.deepEqual([group?.survivor.replicaId, group?.adopting, plan.unplaced, plan.gone], [77, disk(two, 2), [], []]);
    assert.deepEqual(group?.fenced, [third.replicaId, first.replicaId], "also another one that the metadata has forgotten");
    assert.match(group?.mayBeLost.join() ?? "", /the metadata does not place this replica/);
    const beside = planOf(cluster, [here, standing(partition(), three)]);
    assert.deepEqual(survivors(beside), [three], "of equals who is placed goes before");
  });

  it("counts nobody whose disk forgot, so that two of three in quarantine are a lost majority", () => {
    const { cluster, partition, on } = five();
    const all = on.map((broker, i) => standing(partition(), broker, { quarantined: i > 0 }));
    const plan = planOf(cluster, all);
    assert.deepEqual(survivors(plan), [on[0]]);
    assert.equal(plan.partitions[0]?.others.length, 2);
    const forgot = planOf(
      cluster,
      all.map((one) => ({ ...one, quarantined: true, lastIndex: one.brokerId === on[2] ? 12 : 10 })),
    );
    assert.deepEqual(survivors(forgot), [on[2]], "of all in quarantine the longest log");
    assert.match(forgot.partitions[0]?.mayBeLost.join() ?? "", /its disk forgot/);
  });

  it("names a partition whose recovery the metadata does not know: those it gave up would elect one another", () => {
    const { cluster, partition, on } = five();
    const [one, two, three] = on as [number, number, number];
    const alone = standing(partition(), three, { recovery: 4, hasLeader: true });
    const others = [one, two].map((broker) => standing(partition(), broker, { lastIndex: 50 }));
    const plan = planOf(cluster, [alone, ...others]);
    assert.deepEqual(survivors(plan), [three]);
    assert.equal(planOf(cluster, [{ ...alone, lastIndex: 11 }, ...others]).digest, plan.digest, "it may be written to");
    assert.match(plan.partitions[0]?.mayBeLost.join() ?? "", /do not know of an earlier recovery: it gave them up/);
    const { groupId, isrVersion } = partition();
    const recorded = { groupId, isrVersion, survivor: alone.replicaId, term: toTerm(7), adopting: undefined, fenced: [] };
    for (let i = 0; i < 4; i++)
      cluster.done({ kind: "recoverPartitions", partitions: [{ ...recorded, isrVersion: partition().isrVersion }] });
    assert.deepEqual(survivors(planOf(cluster, [alone])), [], "it does");
  });

  const prefers = (what: string, better: Partial<Standing>, worse: Partial<Standing>, isr = [0, 1]): void => {
    it(`prefers ${what}`, () => {
      const { cluster, partition, on } = five(5);
      const ids = isr.map((at) => partition().replicas[at]?.replicaId as ReplicaId);
      cluster.alter(partition(), 5, partition().isrVersion, [partition().replicas[2]?.replicaId as ReplicaId, ...ids]);
      const [a, b] = on as [number, number];
      for (const [good, bad] of [
        [a, b],
        [b, a],
      ] as const) {
        if (isr.length === 1 && good !== a) continue;
        const plan = planOf(cluster, [standing(partition(), bad, worse), standing(partition(), good, better)]);
        assert.deepEqual(survivors(plan), [good]);
      }
    });
  };
  prefers("a member of the ISR to a longer log outside", { lastIndex: 5 }, { lastIndex: 50 }, [0]);
  prefers("a later last term to a longer log", { lastTerm: toTerm(6), lastIndex: 5 }, { lastTerm: toTerm(5), lastIndex: 50 });
  prefers("a longer log of the same last term", { lastIndex: 11 }, { lastIndex: 10 });
  prefers("a whole member of the ISR to a damaged one that has more", { lastIndex: 10 }, { lastIndex: 12, holes: 1 });
  prefers("good standing to a place in the ISR that was forgotten", { lastIndex: 10 }, { lastIndex: 12, quarantined: true });
  prefers("good standing to a longer log on a disk that forgot", { lastIndex: 5 }, { lastIndex: 12, quarantined: true }, []);
  prefers("one that has voted to a copy that never did", { lastIndex: 5 }, { lastIndex: 12, voters: [] });

  it("says what may be lost: nothing at ALL with a member of the ISR; whatever came later without", () => {
    const { cluster, partition, on } = five();
    const [, , three] = on as [number, number, number];
    const sync = planOf(cluster, [standing(partition(), three, { lastIndex: 12 })]).partitions[0];
    assert.match(sync?.mayBeLost[0] ?? "", /^nothing that was acknowledged at ALL/);
    assert.match(sync?.mayBeLost.join() ?? "", /2 of its last entries may become readable/);
    const [first, second] = partition().replicas;
    cluster.alter(partition(), 5, partition().isrVersion, [first?.replicaId as ReplicaId, second?.replicaId as ReplicaId]);
    const late = planOf(cluster, [standing(partition(), three, { lastTerm: toTerm(4), holes: 2 })]).partitions[0];
    assert.match(late?.mayBeLost[0] ?? "", /acknowledged after this replica left the ISR .*from offset 9 on/);
    assert.match(late?.mayBeLost.join() ?? "", /a leader of term 5 came after .* term 4/);
    assert.match(late?.mayBeLost.join() ?? "", /2 damaged places/);
  });

  it("says of whom it cannot be proved that they are gone, and leaves what has no survivor alone", () => {
    const { cluster, on } = five(1);
    const plan = planOf(cluster, [], { answered: [1, 2, 3, 4, 5].filter((n) => n !== on[0]) });
    assert.deepEqual([plan.partitions, plan.gone.map(({ name }) => name), plan.unreachable], [[], ["t-0"], on]);
    assert.match(plan.notProved[0] ?? "", new RegExp(`1 broker \\(${on[0]}\\) will not come back`));
    const slow = planOf(cluster, [], { answered: [1, 2, 3, 4, 5].filter((n) => n !== on[0]), connected: on });
    assert.deepEqual(slow.gone, [], "somebody reaches its broker");
  });

  it("plans for the metadata first, by its own members", () => {
    const { cluster } = five();
    const voters = [1, 2, 3].map((n) => ({ replicaId: toReplicaId(n), brokerId: toBrokerId(n) }));
    const said = (n: number, lastIndex: number): Standing => ({
      ...standing(
        cluster.partitionsOf("t")[0] as PartitionImage,
        (cluster.partitionsOf("t")[0] as PartitionImage).replicas[0]?.brokerId as number,
      ),
      ...member(voters[n - 1] as PlacedMember),
      groupId: METADATA_GROUP,
      voters,
      lastIndex,
    });
    assert.equal(planOf(cluster, [said(1, 7), said(2, 8)]).metadata, undefined);
    assert.equal(planOf(cluster, [said(2, 8)]).metadata?.survivor.brokerId, 2);
  });

  it("has another digest when anything is different that counts, and the same when only terms moved", () => {
    const { cluster, partition, on } = five();
    const [, , three] = on as [number, number, number];
    const here = standing(partition(), three);
    const { digest } = planOf(cluster, [here]);
    assert.equal(planOf(cluster, [{ ...here, term: toTerm(9) }]).digest, digest);
    const others = [
      planOf(cluster, [{ ...here, lastIndex: 11 }]),
      planOf(cluster, [{ ...here, holes: 1 }]),
      planOf(cluster, [here], { clusterId: "another" }),
    ];
    cluster.alter(partition(), 5, partition().isrVersion, [here.replicaId]);
    others.push(planOf(cluster, [here]));
    assert.equal(new Set([digest, ...others.map((plan) => plan.digest)]).size, 5);
    const halves = [11, 12, 13].map((lastIndex) => planOf(cluster, [{ ...here, lastIndex }]).digest.match(/.{8}/g) ?? []);
    const apart = halves.map(([one, two]) => Number.parseInt(one ?? "", 16) ^ Number.parseInt(two ?? "", 16));
    assert.equal(new Set(apart).size, 3, "no half follows from the other");
    const [before] = planOf(cluster, [here]).partitions;
    const [grown] = planOf(cluster, [{ ...here, lastIndex: 11 }]).partitions;
    assert.ok(before !== undefined && grown !== undefined);
    assert.equal(sameGroupPlan(before, before), true);
    assert.equal(sameGroupPlan(before, grown), false);
  });
});

describe("A partition that was recovered (scenario 62)", () => {
  const recover = ({ groupId, isrVersion }: PartitionImage, survivor: ReplicaId, term = 7) =>
    ({
      kind: "recoverPartitions",
      partitions: [{ groupId, survivor, term: toTerm(term), isrVersion, adopting: undefined, fenced: [] as readonly ReplicaId[] }],
    }) as const;

  it("is the survivor's alone: everybody else is fenced by id, claims nothing, and is replaced on whatever disk its broker has", () => {
    const { cluster, partition, on } = five();
    const [first, second, third] = partition().replicas.map(({ replicaId }) => replicaId) as [ReplicaId, ReplicaId, ReplicaId];
    const version = partition().isrVersion;
    cluster.done(recover(partition(), third));
    assert.deepEqual(partition().recovery, { number: 1, survivor: third, term: 7, fenced: [first, second] });
    assert.deepEqual([partition().isr, partition().isrVersion, partition().claim], [[third], version + 1, { replicaId: third, term: 7 }]);
    assert.equal(cluster.image.recoveries, 1);
    assert.match(cluster.claim(partition(), 0, 99).reason, /given up by recovery 1/);
    assert.deepEqual(
      cluster.image.replaceable().map(({ replica }) => replica.replicaId),
      [first],
      "its disk is there, and it is lost all the same",
    );
    cluster.claim(partition(), 2, 9, [third]);
    for (const removing of [first, second]) {
      cluster.done({ kind: "replaceReplica", groupId: partition().groupId, removing });
      const { adding } = partition().replacing ?? assert.fail("it is being replaced");
      assert.equal(adding.incarnation, disk(adding.brokerId));
      cluster.done({ kind: "reportReplaced", groupId: partition().groupId, term: toTerm(9), removing, replicaId: adding.replicaId });
    }
    assert.deepEqual(
      partition().replicas.map(({ brokerId, lost }) => [brokerId, lost]),
      on.map((broker) => [broker, undefined]),
    );
    assert.deepEqual(partition().recovery?.fenced, [first, second], "for good");
  });

  it("is refused when anything was recorded since the plan, or the survivor is nobody; nothing is changed", () => {
    const { cluster, partition } = five();
    const [first] = partition().replicas.map(({ replicaId }) => replicaId) as [ReplicaId];
    const planned = recover(partition(), first);
    cluster.alter(partition(), 5, partition().isrVersion, [first]);
    assert.match(cluster.refused(planned, "RECOVERY_REFUSED"), /ISR version/);
    cluster.refused(recover(partition(), toReplicaId(77)), "RECOVERY_REFUSED");
    const twice = recover(partition(), first).partitions;
    cluster.refused({ kind: "recoverPartitions", partitions: [...twice, ...twice] }, "RECOVERY_REFUSED");
    cluster.done(recover(partition(), first));
    cluster.refused(planned, "RECOVERY_REFUSED");
  });

  it("goes on from one that the metadata had forgotten: it is placed where the disk of another is gone, and whoever voted with it is out", () => {
    const { cluster, partition, on } = five();
    const [, two] = on as [number, number];
    const [first, second, third] = partition().replicas.map(({ replicaId }) => replicaId) as [ReplicaId, ReplicaId, ReplicaId];
    const survivor = 900_000 as ReplicaId;
    const [planned] = recover(partition(), survivor).partitions;
    const adopting = (life: number, broker = two) => ({
      kind: "recoverPartitions" as const,
      partitions: [
        { ...planned, adopting: { brokerId: toBrokerId(broker), incarnation: disk(broker, life) }, fenced: [survivor, toReplicaId(78)] },
      ],
    });
    cluster.refused(adopting(1), "RECOVERY_REFUSED");
    cluster.fence(two);
    cluster.register(two, 2);
    cluster.refused(adopting(1), "RECOVERY_REFUSED");
    cluster.refused(adopting(1, on[0]), "RECOVERY_REFUSED");
    cluster.done({ kind: "replaceReplica", groupId: partition().groupId, removing: second });
    const successor = partition().replacing?.adding.replicaId ?? assert.fail();
    cluster.done(adopting(2));
    const { recovery, replicas, replacing, isr, claim } = partition();
    assert.deepEqual(recovery, { number: 1, survivor, term: 7, fenced: [toReplicaId(78), first, second, third, successor] });
    assert.deepEqual(replicas[1], { brokerId: two, replicaId: survivor, incarnation: disk(two, 2), joined: true });
    assert.deepEqual([replacing, isr, claim], [undefined, [survivor], { replicaId: survivor, term: 7 }]);
    assert.ok(cluster.image.nextIds.replica > survivor, "its id is not given again");
    cluster.fence(two);
    cluster.register(two, 3);
    const given = adopting(3).partitions.map((one) => ({ ...one, survivor: toReplicaId(78), isrVersion: partition().isrVersion }));
    cluster.refused({ kind: "recoverPartitions", partitions: given }, "RECOVERY_REFUSED");
  });

  it("goes on from a successor, too, that was to take the place of one that is lost", () => {
    const { cluster, partition, on } = five();
    const [, second] = partition().replicas;
    assert.ok(second !== undefined);
    cluster.fence(second.brokerId);
    cluster.register(second.brokerId, 2);
    cluster.done({ kind: "replaceReplica", groupId: partition().groupId, removing: second.replicaId });
    const { adding } = partition().replacing ?? assert.fail("it is being replaced");
    cluster.done(recover(partition(), adding.replicaId));
    assert.equal(partition().replacing, undefined);
    assert.deepEqual(
      partition().replicas.map(({ brokerId, lost }) => [brokerId, lost === true]),
      [
        [on[0], true],
        [on[1], false],
        [on[2], true],
      ],
    );
  });
});

describe("Metadata that was recovered (scenario 62)", () => {
  it("gives ids in one epoch that no other epoch gives, and knows of more recoveries in a later one, whatever happened in the others", () => {
    const [lower, higher] = [3, 9].map((drawn) => {
      const cluster = Cluster.ofThree();
      cluster.done({ kind: "recoverCluster", recoveryEpoch: 2 ** 20 + drawn, survivor: toReplicaId(3), brokerId: toBrokerId(3) });
      return cluster.image;
    });
    assert.ok(lower !== undefined && higher !== undefined);
    for (const kind of ["group", "replica", "producer"] as const) assert.ok(higher.nextIds[kind] - lower.nextIds[kind] >= 2 ** 20, kind);
    assert.ok(higher.recoveries - lower.recoveries >= 1_000_000);
  });

  it("jumps every id, and gives the metadata's replicas of all other brokers up, whatever disk they have", () => {
    const cluster = Cluster.ofThree();
    cluster.create("t");
    const before = cluster.image.nextIds;
    const command = { kind: "recoverCluster", recoveryEpoch: 1, survivor: toReplicaId(3), brokerId: toBrokerId(3) } as const;
    cluster.done(command);
    const { group, replica, producer } = cluster.image.nextIds;
    assert.deepEqual([group - before.group, replica - before.replica, producer - before.producer], [2 ** 32, 2 ** 32, 2 ** 32]);
    assert.equal(cluster.image.recoveryEpoch, 1);
    const { version } = cluster.image;
    cluster.done(command);
    assert.equal(cluster.image.version, version, "said again it changes nothing");
    cluster.register(1);
    assert.equal(cluster.image.brokers.get(toBrokerId(1))?.metadataReplicaId, replica, "the same disk gets a new one");
    cluster.register(3);
    assert.equal(cluster.image.brokers.get(toBrokerId(3))?.metadataReplicaId, 3, "the survivor keeps its own");
    cluster.done({ kind: "replaceSeed", brokerId: toBrokerId(1) });
    assert.equal(cluster.image.seeds[0]?.replicaId, replica);
  });
});
