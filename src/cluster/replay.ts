import type { GroupId, Incarnation, LogIndex, ProducerId, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Fact, FactOf } from "./facts.ts";
import { levelsOf } from "./feature-levels.ts";
import { firstAfterRecovery } from "./given-ids.ts";
import {
  adoptedFor,
  type BrokerImage,
  type ImageState,
  indexPartition,
  type PartitionImage,
  placedReplicas,
  type ReplicaImage,
  type TopicImage,
  unindexPartition,
} from "./image-state.ts";

/** The same for the number of recoveries of partitions, which are by hand: whoever is in a later epoch knows of more. */
const RECOVERIES_JUMP = 1_000_000;
const NO_DISK = "" as Incarnation;
/** A broker whose replica of the metadata was fenced: its next registration gives it another. */
export const NO_REPLICA = 0 as ReplicaId;

type Replay<K extends Fact["kind"]> = (state: ImageState, fact: FactOf<K>, index: LogIndex) => void;

/** What each fact changes. Never refuses: what does not fit is a bug, and stops the process (D9). */
const replays: { readonly [K in Fact["kind"]]: Replay<K> } = {
  clusterFormed(state, fact) {
    invariant(state.clusterId === undefined, "a cluster is formed once");
    state.clusterId = fact.clusterId;
    state.recoveryEpoch = fact.recoveryEpoch;
    state.featureLevel = fact.featureLevel;
    state.seeds = [...fact.seeds].sort((a, b) => a.brokerId - b.brokerId);
  },

  brokerRegistered(state, fact, index) {
    state.brokers.set(fact.brokerId, {
      id: fact.brokerId,
      incarnation: fact.incarnation,
      epoch: index,
      clientAddress: fact.clientAddress,
      peerAddress: fact.peerAddress,
      rack: fact.rack,
      version: fact.version,
      levels: levelsOf(fact.featureLevelMin, fact.featureLevelMax),
      state: "live",
      metadataReplicaId: fact.metadataReplicaId,
    });
    spend(state, { replicaId: fact.metadataReplicaId });
  },

  brokerFenced(state, { brokerId }) {
    state.brokers.set(brokerId, { ...brokerOf(state, brokerId), state: "fenced" });
  },

  brokerUnfenced(state, { brokerId }) {
    state.brokers.set(brokerId, { ...brokerOf(state, brokerId), state: "live" });
  },

  topicCreated(state, fact) {
    invariant(!state.topics.has(fact.topicId) && !state.topicsByName.has(fact.name), () => `topic ${fact.name} exists`);
    state.topics.set(fact.topicId, { id: fact.topicId, name: fact.name, replicas: fact.replicas, configs: fact.configs, groups: [] });
    state.topicsByName.set(fact.name, fact.topicId);
  },

  partitionCreated(state, fact) {
    const topic = topicOf(state, fact);
    invariant(fact.partition === topic.groups.length, () => `partition ${fact.partition} of ${topic.name} follows ${topic.groups.length}`);
    invariant(fact.groupId >= state.nextGroupId, () => `group id ${fact.groupId} was given before`);
    const brokers = new Set(fact.replicas.map((replica) => replica.brokerId));
    invariant(brokers.size === fact.replicas.length, "replicas of a partition are on distinct brokers (M4)");
    for (const { replicaId } of fact.replicas) {
      invariant(replicaId >= state.nextReplicaId, () => `replica id ${replicaId} was given before`);
      spend(state, { replicaId });
    }
    spend(state, { groupId: fact.groupId });
    const partition: PartitionImage = {
      topicId: fact.topicId,
      partition: fact.partition,
      groupId: fact.groupId,
      replicas: fact.replicas.map(({ brokerId, replicaId }) => ({
        brokerId,
        replicaId,
        incarnation: brokerOf(state, brokerId).incarnation,
      })),
      isr: ascending(fact.replicas.map((replica) => replica.replicaId)),
      isrVersion: 1,
      claim: undefined,
    };
    state.partitions.set(fact.groupId, partition);
    state.topics.set(topic.id, { ...topic, groups: [...topic.groups, fact.groupId] });
    indexPartition(state, partition);
  },

  topicConfigChanged(state, fact) {
    const topic = topicOf(state, fact);
    state.topics.set(topic.id, { ...topic, configs: changed(topic.configs, fact) });
  },

  topicDeleted(state, fact, index) {
    const topic = topicOf(state, fact);
    const partitions = topic.groups.map((groupId) => partitionOf(state, { groupId }));
    for (const partition of partitions) {
      unindexPartition(state, partition);
      state.partitions.delete(partition.groupId);
    }
    state.topics.delete(topic.id);
    state.topicsByName.delete(topic.name);
    const replicas = partitions.flatMap((partition) =>
      placedReplicas(partition).map(({ brokerId, replicaId, incarnation }) => ({
        groupId: partition.groupId,
        brokerId,
        replicaId,
        incarnation,
      })),
    );
    state.tombstones.set(topic.id, {
      topicId: topic.id,
      name: topic.name,
      deletedAt: index,
      replicas,
      waitingFor: ascending([...new Set(replicas.map((replica) => replica.brokerId))]),
    });
  },

  deletionConfirmed(state, { topicId, brokerId }) {
    const tombstone = state.tombstones.get(topicId);
    invariant(tombstone?.waitingFor.includes(brokerId) === true, () => `no tombstone of ${topicId} waits for broker ${brokerId}`);
    const waitingFor = tombstone.waitingFor.filter((each) => each !== brokerId);
    if (waitingFor.length === 0) state.tombstones.delete(topicId);
    else state.tombstones.set(topicId, { ...tombstone, waitingFor });
  },

  isrChanged(state, fact) {
    const partition = partitionOf(state, fact);
    record(state, partition, { isr: fact.isr });
  },

  leaderClaimed(state, fact) {
    const partition = partitionOf(state, fact);
    invariant(partition.claim === undefined || fact.term > partition.claim.term, () => `claims of group ${fact.groupId} rise in term`);
    record(state, partition, { isr: fact.isr, claim: { replicaId: fact.replicaId, term: fact.term } });
  },

  replicaReplacing(state, { groupId, removing, replicaId, brokerId }) {
    const partition = partitionOf(state, { groupId });
    invariant(replicaId >= state.nextReplicaId, () => `replica id ${replicaId} was given before`);
    invariant(
      partition.replicas.some((replica) => replica.replicaId === removing && replica.brokerId === brokerId),
      () => `replica ${removing} of group ${groupId} is on broker ${brokerId}`,
    );
    spend(state, { replicaId });
    const adding = { brokerId, replicaId, incarnation: brokerOf(state, brokerId).incarnation, joined: true } as const;
    state.partitions.set(groupId, { ...partition, replacing: { removing, adding } });
  },

  replicaReplaced(state, { groupId, removing, replicaId }) {
    const { replacing, ...partition } = partitionOf(state, { groupId });
    invariant(
      replacing?.removing === removing && replacing.adding.replicaId === replicaId,
      () => `replica ${replicaId} of group ${groupId} takes the place of ${removing}`,
    );
    invariant(!partition.isr.includes(removing), () => `ISR of group ${groupId} is part of its replicas (M4)`);
    const replicas = partition.replicas.map((replica) => (replica.replicaId === removing ? replacing.adding : replica));
    state.partitions.set(groupId, { ...partition, replicas });
  },

  replicaKept(state, { groupId, removing, replicaId }) {
    const { replacing, ...partition } = partitionOf(state, { groupId });
    invariant(
      replacing?.removing === removing && replacing.adding.replicaId === replicaId,
      () => `replica ${replicaId} of group ${groupId} was to take the place of ${removing}`,
    );
    invariant(!partition.isr.includes(replicaId), () => `ISR of group ${groupId} is part of its replicas (M4)`);
    state.partitions.set(groupId, partition);
  },

  replicaAdopted(state, { groupId, removing, replicaId, brokerId }) {
    const { replacing, ...partition } = partitionOf(state, { groupId });
    const adopted = adoptedOn(state, brokerId, replicaId);
    const goes = (replica: ReplicaImage): boolean => replica.replicaId === removing && replica.brokerId === brokerId;
    invariant(partition.replicas.some(goes), () => `replica ${removing} of group ${groupId} is on broker ${brokerId}`);
    const replicas = partition.replicas.map((replica) => (goes(replica) ? adopted : replica));
    const stays = replacing === undefined || replacing.removing === removing ? {} : { replacing };
    // Their disks are gone: whoever else is in the ISR holds what they held.
    const out = adoptedFor({ ...partition, ...(replacing === undefined ? {} : { replacing }) }, removing);
    const isr = partition.isr.filter((member) => !out.includes(member));
    record(state, { ...partition, replicas, ...stays }, { isr });
  },

  seedReplaced(state, { brokerId, incarnation, replicaId }) {
    state.seeds = state.seeds.map((seed) => (seed.brokerId === brokerId ? { ...seed, incarnation, replicaId } : seed));
  },

  partitionRecovered(state, { groupId, survivor, term, inPlaceOf, fenced: others }) {
    const partition = partitionOf(state, { groupId });
    const placed = placedReplicas(partition);
    const forgotten = partition.replicas.find(({ replicaId }) => replicaId === inPlaceOf);
    invariant(
      forgotten !== undefined || placed.some(({ replicaId }) => replicaId === survivor),
      () => `replica ${survivor} of group ${groupId} is placed`,
    );
    state.recoveries += 1;
    // A successor that survives stands where the replica stood that it was to replace, one that was forgotten where it stood once.
    const { replacing, ...rest } = partition;
    const replicas = rest.replicas
      .map((replica) => (replacing?.adding.replicaId === survivor && replica.replicaId === replacing.removing ? replacing.adding : replica))
      .map((replica) => (replica === forgotten ? adoptedOn(state, replica.brokerId, survivor) : replica))
      .map((replica): ReplicaImage => (replica.replicaId === survivor ? replica : { ...replica, lost: true }));
    const out = placed.map(({ replicaId }) => replicaId).filter((replicaId) => replicaId !== survivor);
    const fenced = ascending([...new Set([...(partition.recovery?.fenced ?? []), ...out, ...others])]);
    state.partitions.set(groupId, {
      ...rest,
      replicas,
      isr: [survivor],
      isrVersion: partition.isrVersion + 1,
      claim: { replicaId: survivor, term },
      recovery: { number: state.recoveries, survivor, term, fenced },
    });
  },

  clusterRecovered(state, { recoveryEpoch, survivor, brokerId }) {
    invariant(recoveryEpoch > state.recoveryEpoch, () => `recovery epoch ${recoveryEpoch} follows ${state.recoveryEpoch}`);
    state.recoveryEpoch = recoveryEpoch;
    const jumped = (next: number): number => firstAfterRecovery(next, recoveryEpoch);
    state.nextGroupId = jumped(state.nextGroupId) as GroupId;
    state.nextReplicaId = jumped(state.nextReplicaId) as ReplicaId;
    state.nextProducerId = jumped(state.nextProducerId) as ProducerId;
    state.recoveries = Math.max(state.recoveries + RECOVERIES_JUMP, recoveryEpoch * RECOVERIES_JUMP);
    // No other replica of the metadata counts any more: their brokers get new ones, on whatever disk.
    state.seeds = state.seeds.map((seed) =>
      seed.brokerId === brokerId ? { ...seed, replicaId: survivor } : { ...seed, incarnation: NO_DISK },
    );
    for (const broker of state.brokers.values())
      if (broker.id !== brokerId) state.brokers.set(broker.id, { ...broker, metadataReplicaId: NO_REPLICA });
  },

  producerIdsAllocated(state, { first, count }) {
    invariant(first === state.nextProducerId && count >= 1, () => `producer ids from ${first} do not follow`);
    state.nextProducerId = (first + count) as ProducerId;
  },

  clusterConfigChanged(state, fact) {
    state.clusterConfigs = changed(state.clusterConfigs, fact);
  },

  featureLevelRaised(state, { level, since }) {
    invariant(level > state.featureLevel, () => `feature level ${level} follows ${state.featureLevel}`);
    state.featureLevel = level;
    state.featureLevelSince = since;
  },
};

/** @param index of the frame the fact lies in; facts of one frame share it */
export function replayFact(state: ImageState, fact: Fact, index: LogIndex): void {
  invariant(index >= state.version, () => `fact at index ${index} comes after ${state.version}`);
  invariant(fact.kind === "clusterFormed" || state.clusterId !== undefined, "the first fact forms the cluster");
  // The table pairs each kind with the function for it; that the pair belongs together cannot be said to the compiler.
  (replays[fact.kind] as Replay<Fact["kind"]>)(state, fact as never, index);
  state.version = index;
}

function record(state: ImageState, partition: PartitionImage, to: Partial<Pick<PartitionImage, "isr" | "claim">>): void {
  const next: PartitionImage = { ...partition, ...to, isrVersion: partition.isrVersion + 1 };
  const voters = new Set(placedReplicas(next).map((replica) => replica.replicaId));
  invariant(
    next.isr.length > 0 && next.isr.every((member) => voters.has(member)),
    () => `ISR of group ${next.groupId} is part of its replicas (M4)`,
  );
  state.partitions.set(next.groupId, { ...next, isr: ascending(next.isr) });
}

/** Ids are never given twice (D5): whatever a fact used is spent. */
function spend(state: ImageState, { groupId, replicaId }: { groupId?: GroupId; replicaId?: ReplicaId }): void {
  if (groupId !== undefined && groupId >= state.nextGroupId) state.nextGroupId = (groupId + 1) as GroupId;
  if (replicaId !== undefined && replicaId >= state.nextReplicaId) state.nextReplicaId = (replicaId + 1) as ReplicaId;
}

/** A replica that was placed nowhere, on the disk its broker has now. */
function adoptedOn(state: ImageState, brokerId: BrokerImage["id"], replicaId: ReplicaId): ReplicaImage {
  spend(state, { replicaId });
  return { brokerId, replicaId, incarnation: brokerOf(state, brokerId).incarnation, joined: true };
}

function changed(
  before: ReadonlyMap<string, string>,
  fact: FactOf<"topicConfigChanged" | "clusterConfigChanged">,
): ReadonlyMap<string, string> {
  const after = new Map(before);
  for (const key of fact.delete) after.delete(key);
  for (const [key, value] of fact.set) after.set(key, value);
  return after;
}

function ascending<T extends number>(ids: readonly T[]): readonly T[] {
  return [...ids].sort((a, b) => a - b);
}

function brokerOf(state: ImageState, id: BrokerImage["id"]): BrokerImage {
  const broker = state.brokers.get(id);
  invariant(broker !== undefined, () => `broker ${id} is registered`);
  return broker;
}

function topicOf(state: ImageState, { topicId }: { readonly topicId: TopicImage["id"] }): TopicImage {
  const topic = state.topics.get(topicId);
  invariant(topic !== undefined, () => `topic ${topicId} exists`);
  return topic;
}

function partitionOf(state: ImageState, { groupId }: { readonly groupId: GroupId }): PartitionImage {
  const partition = state.partitions.get(groupId);
  invariant(partition !== undefined, () => `group ${groupId} exists`);
  return partition;
}
