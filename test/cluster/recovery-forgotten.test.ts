import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ReplicaId, toBrokerId, toReplicaId, toTerm } from "../../src/base/ids.ts";
import type { PartitionImage } from "../../src/cluster/image-state.ts";
import { type GroupPlan, type PlacedMember, type Standing, sameGroupPlan } from "../../src/cluster/recovery-plan.ts";
import { type Cluster, disk } from "./cluster-fixture.ts";
import { five, member, planOf, standing } from "./recovery-fixture.ts";

/** Ends at this entry; all of it is committed. */
const upTo = (lastIndex: number): Partial<Standing> => ({ lastIndex, endOffset: lastIndex - 1, commit: lastIndex });

interface Beside {
  readonly cluster: Cluster;
  readonly partition: () => PartitionImage;
  readonly one: number;
  readonly three: number;
  /** Voters of whom the second one is replica 77. */
  readonly voters: readonly PlacedMember[];
  /** What replica 77 says, on the new disk of the second broker. */
  readonly forgotten: (more?: Partial<Standing>) => Standing;
}

/** The metadata has gone on from a moment before replica 77 was placed on the second broker's new disk. */
function beside(replicas = 3): Beside {
  const { cluster, partition, on } = five(replicas);
  const [one, two, three] = on as [number, number, number];
  const id = { replicaId: toReplicaId(77), brokerId: toBrokerId(two) };
  const voters = partition().replicas.map((each) => member(each.brokerId === two ? id : each));
  cluster.fence(two);
  cluster.register(two, 2);
  const forgotten = (more = upTo(50)): Standing => ({ ...standing(partition(), two), ...id, incarnation: disk(two, 2), voters, ...more });
  return { cluster, partition, one, three, voters, forgotten };
}

const price = (group: GroupPlan | undefined): string => group?.mayBeLost.join("\n") ?? "";

describe("A voter that the metadata has forgotten, beside one that it places, when the majority is lost (scenario 62)", () => {
  it("goes before one whose disk forgot, and before one that never voted, however much those hold", () => {
    const { cluster, partition, three, voters, forgotten } = beside();
    const forgot = standing(partition(), three, { voters, quarantined: true, ...upTo(60) });
    const empty = standing(partition(), three, { voters: voters.filter(({ brokerId }) => brokerId !== three), ...upTo(60) });
    for (const other of [forgot, { ...forgot, ...upTo(3) }, empty]) {
      const [group] = planOf(cluster, [forgotten(), other]).partitions;
      assert.deepEqual([group?.survivor.replicaId, group?.adopting], [77, forgotten().incarnation]);
      assert.deepEqual(
        group?.others.map(({ brokerId }) => brokerId),
        [three],
      );
      const more = /holds after that, up to entry 60 of term 5: (its disk forgot something|it has never voted)/;
      assert.equal(more.test(price(group)), other.lastIndex === 60);
    }
    const [alone] = planOf(cluster, [empty]).partitions;
    assert.match(price(alone), /never voted/, "who is all that is left is gone on from all the same");
  });

  it("goes before a healthy one only if it holds more, and never damaged before a whole member of the ISR", () => {
    const { cluster, partition, three, voters, forgotten } = beside(5);
    const placed = standing(partition(), three, { voters });
    const from = (one: Standing, other = placed): GroupPlan => planOf(cluster, [one, other]).partitions[0] ?? assert.fail("none");
    const further = from(forgotten());
    assert.deepEqual([further.survivor.replicaId, further.adopting], [77, disk(forgotten().brokerId, 2)]);
    assert.match(price(further), /the metadata does not place this replica/);
    assert.equal(from(forgotten({ lastTerm: toTerm(6), lastIndex: 5 })).survivor.replicaId, 77);
    const equal = from(forgotten(upTo(10)));
    assert.deepEqual([equal.survivor.brokerId, equal.adopting], [three, undefined]);
    assert.match(price(equal), /^nothing that was acknowledged at ALL/);
    assert.equal(from(forgotten(upTo(10)), { ...placed, holes: 1 }).survivor.replicaId, 77);
    const damaged = from(forgotten({ ...upTo(50), holes: 1 }));
    assert.equal(damaged.survivor.brokerId, three);
    assert.match(
      price(damaged),
      /also at ALL.*\n.*replica 77 .* up to entry 50 of term 5: the metadata has forgotten it; it has 1 damaged/,
    );
  });

  it("is named with the reason if it cannot be placed, is given up with all it votes with, and its price is said", () => {
    const { cluster, partition, three, voters, forgotten } = beside(5);
    const placed = standing(partition(), three);
    const its = [...voters, { replicaId: toReplicaId(78), brokerId: toBrokerId(three) }];
    const away = forgotten({ ...upTo(50), voters: its, incarnation: disk(9, 9) });
    const [group] = planOf(cluster, [away, placed]).partitions;
    assert.deepEqual([group?.survivor.brokerId, group?.others.map(({ replicaId }) => replicaId)], [three, [77]]);
    for (const { replicaId } of its) assert.equal(group?.fenced.includes(replicaId), replicaId !== placed.replicaId);
    assert.match(price(group), /^what was acknowledged from offset 9 on, also at ALL/);
    assert.match(
      price(group),
      /replica 77 .*entry 50 of term 5: the metadata has forgotten it; its broker is not registered with this disk/,
    );
    const [behind] = planOf(cluster, [{ ...away, ...upTo(4) }, placed]).partitions;
    assert.match(price(behind), /^nothing that was acknowledged at ALL/);
    assert.match(price(behind), /nothing with replica 77 .*: its broker is not registered with this disk/);
    assert.ok(group !== undefined && behind !== undefined);
    assert.equal(sameGroupPlan(behind, { ...behind, mayBeLost: behind.mayBeLost.slice(0, 1) }), true, "it is being started again");
    assert.equal(sameGroupPlan(behind, group), false, "a price that nobody confirmed");
  });

  it("is a majority that lives, with others that are forgotten, if one leads or could be elected; a stale one that is placed is not", () => {
    const { cluster, partition, on } = five();
    const [one, two, three] = on as [number, number, number];
    const voters = [two, three, 4].map((broker, i) => ({ replicaId: toReplicaId(77 + i), brokerId: toBrokerId(broker) }));
    const said = (each: PlacedMember): Standing => ({ ...standing(partition(), two), ...each, voters, lastTerm: toTerm(9) });
    const [a, b] = [said(voters[0] as PlacedMember), said(voters[1] as PlacedMember)];
    const stale = standing(partition(), one);
    const planned = (...standings: Standing[]): readonly number[] =>
      planOf(cluster, standings, { answered: [one, two, three] }).partitions.map(({ survivor }) => survivor.replicaId);
    assert.deepEqual(planned({ ...a, hasLeader: true }, stale), [], "it hears a leader");
    assert.deepEqual(planned(a, b, stale), [], "two of three");
    assert.deepEqual(planned(a, { ...b, quarantined: true }, stale), [stale.replicaId]);
    const behind = { ...stale, voters: [member(stale), ...voters.slice(0, 2)] };
    assert.deepEqual(planned(a, behind), [stale.replicaId], "whom it would ask holds more, and refuses");
  });

  it("counts for nothing once a recovery that is recorded has given it up, whatever leader it hears", () => {
    const { cluster, partition, on } = five();
    const [one, , three] = on as [number, number, number];
    const given = standing(partition(), one, { hasLeader: true });
    const left = standing(partition(), three, { quarantined: true });
    const { groupId, isrVersion } = partition();
    const recovered = { groupId, isrVersion, survivor: left.replicaId, term: toTerm(7), adopting: undefined, fenced: [] };
    cluster.done({ kind: "recoverPartitions", partitions: [recovered] });
    const [group] = planOf(cluster, [given, { ...left, recovery: 1 }]).partitions;
    assert.deepEqual([group?.survivor.brokerId, group?.others], [three, []]);
  });
});

describe("A recovery that the metadata does not know, when others were copied since (scenario 62)", () => {
  const copied = (): Beside & { readonly kept: Standing; readonly x: Standing; readonly y: Standing; readonly old: Standing } => {
    const all = beside();
    const { partition, one, three, forgotten } = all;
    const kept = standing(partition(), one, { recovery: 7 });
    const [x, y] = [member(forgotten()), { replicaId: toReplicaId(78), brokerId: toBrokerId(5) }];
    const more = { voters: [member(kept), x, y], recovery: 7, term: toTerm(9) };
    const [of, other] = [forgotten({ ...upTo(50), ...more }), forgotten({ ...upTo(50), ...more, ...y, incarnation: disk(5) })];
    return { ...all, kept: { ...kept, ...more }, x: of, y: other, old: standing(partition(), three, upTo(70)) };
  };
  const led = (...those: Standing[]): readonly Standing[] => those.map((one) => ({ ...one, hasLeader: true }));

  it("is recorded again from the one that holds most, not from a straggler that the old ISR names", () => {
    const { cluster, kept, x, y, old } = copied();
    const [group] = planOf(cluster, [...led(kept, x, y), old]).partitions;
    assert.deepEqual([group?.survivor.replicaId, group?.again, group?.adopting], [77, true, x.incarnation]);
    assert.deepEqual(
      group?.others.map(({ replicaId }) => replicaId),
      [kept.replicaId, old.replicaId, y.replicaId],
    );
    assert.match(price(group), /others vote with it, and are copied anew/);
    assert.match(price(group), /the metadata does not place this replica/);
  });

  it("is recorded again from the one that holds most also where all are placed: the recorded ISR is of before", () => {
    const { cluster, partition, kept, old } = copied();
    cluster.alter(partition(), 5, partition().isrVersion, [kept.replicaId]);
    const voters = [kept, old].map(member);
    const [group] = planOf(cluster, led({ ...kept, voters }, { ...old, recovery: 7, voters })).partitions;
    assert.deepEqual([group?.survivor.replicaId, group?.again, group?.adopting], [old.replicaId, true, undefined]);
  });

  it("is left alone and named, while its majority lives and who holds most cannot be placed", () => {
    const { cluster, kept, x, y, old } = copied();
    const away = { ...x, incarnation: disk(9, 9) };
    const plan = planOf(cluster, [...led(kept, away, y), old]);
    assert.deepEqual(plan.partitions, []);
    assert.match(plan.unplaced[0]?.why ?? "", /replica 77 .*not registered with this disk; replica 78 .*names no replica on its broker/);
    const none = planOf(cluster, [...led(away), old]);
    assert.deepEqual([none.partitions, none.unplaced.length], [[], 1], "nobody but those it gave up is placed");
    for (const [{ unplaced }, those, left] of [
      [plan, [away, y], kept],
      [none, [away], old],
    ] as const) {
      const ways = unplaced[0]?.ways.join("\n") ?? "";
      const brokers = those.map(({ brokerId }) => brokerId).sort();
      assert.match(ways, new RegExp(`^to go on without what .*: stop brokers? ${brokers.join(", ")}, and make another plan`, "m"));
      assert.match(ways, /^or delete the topic$/m);
      // As it says: without those brokers there is a plan.
      const without = planOf(
        cluster,
        [kept, old].filter((one) => plan.unplaced === unplaced || one === left),
      );
      assert.deepEqual([without.partitions[0]?.survivor.replicaId, without.unplaced], [left.replicaId, []]);
    }
  });

  it("names who could help, and who is only to be waited for, where a copy that never voted is all that knows of it", () => {
    const { cluster, x } = copied();
    const learner = { ...x, voters: x.voters.filter(({ replicaId }) => replicaId !== x.replicaId) };
    const { partitions, unplaced } = planOf(cluster, [learner]);
    assert.deepEqual([partitions, unplaced.length], [[], 1]);
    assert.match(unplaced[0]?.why ?? "", /has never voted/);
    const away = [...new Set(learner.voters.map(({ brokerId }) => brokerId))].sort();
    assert.match(unplaced[0]?.ways.join("\n") ?? "", new RegExp(`^start brokers ${away.join(", ")}, which voted with it`, "m"));
    const [some] = planOf(cluster, [learner], { answered: [learner.brokerId, 5] }).unplaced;
    const [other] = away.filter((broker) => broker !== 5);
    assert.match(some?.ways.join("\n") ?? "", new RegExp(`^start broker ${other}, which`, "m"), "who answers need not be started");
  });

  it("has its whole price, when its majority is lost once more", () => {
    const { cluster, kept, old } = copied();
    const [group] = planOf(cluster, [{ ...kept, lastTerm: toTerm(4) }, old], { answered: [kept.brokerId, old.brokerId] }).partitions;
    assert.deepEqual([group?.survivor.replicaId, group?.again], [kept.replicaId as ReplicaId, undefined]);
    assert.match(price(group), /a leader of term 5 came after .* term 4/);
    assert.match(price(group), /do not know of an earlier recovery/);
  });
});

describe("A plan on metadata that was recovered before (scenario 62)", () => {
  it("says that what it rests on may be old", () => {
    const { cluster, partition, three } = beside();
    const said = (recoveryEpoch: number): string => planOf(cluster, [standing(partition(), three)], { recoveryEpoch }).notProved.join("\n");
    assert.match(said(3), /ISRs and leaders used here are the newest: this metadata was recovered once/);
    assert.doesNotMatch(said(0), /recovered once/);
  });
});
