import assert from "node:assert/strict";
import { type BrokerId, toBrokerId, toTerm } from "../../src/base/ids.ts";
import type { PartitionImage } from "../../src/cluster/image-state.ts";
import { type PlacedMember, planRecovery, type RecoveryPlan, type Standing } from "../../src/cluster/recovery-plan.ts";
import { CLUSTER, Cluster, disk } from "./cluster-fixture.ts";

export const member = ({ replicaId, brokerId }: PlacedMember): PlacedMember => ({ replicaId, brokerId });

/** What the replica on a broker says; as a follower in good standing that has all of term 5. */
export function standing(partition: PartitionImage, broker: number, more: Partial<Standing> = {}): Standing {
  const replica = partition.replicas.find(({ brokerId }) => brokerId === broker);
  assert.ok(replica !== undefined);
  return {
    groupId: partition.groupId,
    ...member(replica),
    incarnation: disk(broker),
    term: toTerm(5),
    lastIndex: 10,
    lastTerm: toTerm(5),
    commit: 10,
    endOffset: 9,
    voters: partition.replicas.map(member),
    oldVoters: [],
    hasLeader: false,
    quarantined: false,
    holes: 0,
    recovery: 0,
    topicId: partition.topicId,
    topic: "t",
    partition: partition.partition,
    ...more,
  };
}

interface Known {
  readonly answered?: readonly number[];
  readonly connected?: readonly number[];
  readonly opening?: readonly number[];
  readonly clusterId?: string;
  readonly recoveryEpoch?: number;
}

export function planOf(
  cluster: Cluster,
  standings: readonly Standing[],
  { answered, connected = [], opening = [], clusterId = CLUSTER, recoveryEpoch = 0 }: Known = {},
): RecoveryPlan {
  const said = new Set<BrokerId>(answered?.map(toBrokerId) ?? standings.map(({ brokerId }) => brokerId));
  const alive = new Set([...said, ...connected.map(toBrokerId)]);
  return planRecovery({
    clusterId,
    recoveryEpoch,
    image: cluster.image,
    standings,
    answered: said,
    alive,
    opening: (_, broker) => opening.includes(broker),
    held: [],
  });
}

/** Five brokers, one partition on the first three; the replica on broker 1 leads term 5. */
export function five(replicas = 3): { cluster: Cluster; partition: () => PartitionImage; on: readonly number[] } {
  const cluster = Cluster.ofThree();
  cluster.register(4);
  cluster.register(5);
  const [made] = cluster.create("t", 1, replicas);
  assert.ok(made !== undefined);
  cluster.claim(made, 0, 5);
  return { cluster, partition: () => cluster.partition(made.groupId), on: made.replicas.map(({ brokerId }) => brokerId) };
}
