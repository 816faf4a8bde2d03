import {
  type BrokerId,
  type ClusterId,
  FIRST_ALLOCATED_ID,
  type GroupId,
  type Incarnation,
  type LogIndex,
  type ProducerId,
  type ReplicaId,
  type Term,
  type TopicId,
} from "../base/ids.ts";
import type { FeatureLevels } from "./feature-levels.ts";
import type { ConfigMap } from "./topic-config.ts";

/** The values in the maps below are never changed, only replaced: a clone copies maps, and whoever keeps one keeps a moment. */

export interface SeedImage {
  readonly brokerId: BrokerId;
  readonly incarnation: Incarnation;
  readonly replicaId: ReplicaId;
  readonly peerAddress: string;
}

export interface BrokerImage {
  readonly id: BrokerId;
  readonly incarnation: Incarnation;
  /** Broker epoch: index of the newest registration. */
  readonly epoch: LogIndex;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly rack: string | undefined;
  readonly version: string;
  /** Feature levels it understands, as it said when it registered. */
  readonly levels: FeatureLevels;
  readonly state: "live" | "fenced";
  /** Its replica of the metadata group, voter or learner. */
  readonly metadataReplicaId: ReplicaId;
}

export interface ReplicaImage {
  readonly brokerId: BrokerId;
  readonly replicaId: ReplicaId;
  /** The disk it was placed on: the replica is bound to it (D5). */
  readonly incarnation: Incarnation;
  /** It came later than the partition: it starts empty and silent, never as a voter from nothing (design §5). */
  readonly joined?: true;
  /** A recovery has given it up (ADR 0014): it is to be replaced, whether its disk is there or not. */
  readonly lost?: true;
}

/** The newest recovery of a partition after a lost majority. */
export interface RecoveryImage {
  /** Rises over all partitions. */
  readonly number: number;
  readonly survivor: ReplicaId;
  /** The survivor goes on in a later one. */
  readonly term: Term;
  /** All replica ids that recoveries of this partition have given up, ascending. */
  readonly fenced: readonly ReplicaId[];
}

/** A replica on a new disk takes the place of one whose disk is gone. */
export interface Replacing {
  /** Among the partition's replicas until it is replaced. */
  readonly removing: ReplicaId;
  readonly adding: ReplicaImage;
}

export interface PartitionImage {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly groupId: GroupId;
  /** In order of priority. All of them vote, but for one that is being replaced. */
  readonly replicas: readonly ReplicaImage[];
  readonly replacing?: Replacing;
  /** Ascending. */
  readonly isr: readonly ReplicaId[];
  /** Starts at 1, rises by one with every record of the ISR. */
  readonly isrVersion: number;
  /** The newest leader known, with its term; undefined before the first claim. */
  readonly claim: { readonly replicaId: ReplicaId; readonly term: Term } | undefined;
  readonly recovery?: RecoveryImage;
}

export interface TopicImage {
  readonly id: TopicId;
  readonly name: string;
  /** Replicas of each partition as asked for. */
  readonly replicas: number;
  readonly configs: ConfigMap;
  /** Group of each partition; the place in the array is the partition's number. */
  readonly groups: readonly GroupId[];
}

/** A deleted topic whose data some broker may still hold. Ends when nobody is waited for. */
export interface TombstoneImage {
  readonly topicId: TopicId;
  readonly name: string;
  readonly deletedAt: LogIndex;
  readonly replicas: readonly (ReplicaImage & { readonly groupId: GroupId })[];
  /** Brokers that have not confirmed yet. */
  readonly waitingFor: readonly BrokerId[];
}

/** Everything that follows from the facts; nothing else is in here. */
export interface ImageState {
  /** Index of the last fact replayed. */
  version: LogIndex;
  /** undefined before the first fact. */
  clusterId: ClusterId | undefined;
  recoveryEpoch: number;
  /** What every broker understands, and so what may be written; 0 before the first fact. It only rises. */
  featureLevel: number;
  /** First version that understands it, as whoever raised it said; empty: it was never raised. */
  featureLevelSince: string;
  /** In order of broker id. */
  seeds: readonly SeedImage[];
  brokers: Map<BrokerId, BrokerImage>;
  topics: Map<TopicId, TopicImage>;
  partitions: Map<GroupId, PartitionImage>;
  tombstones: Map<TopicId, TombstoneImage>;
  clusterConfigs: ConfigMap;
  /** Next ids to hand out; they only rise (design §7). */
  nextGroupId: GroupId;
  nextReplicaId: ReplicaId;
  nextProducerId: ProducerId;
  /** Number of the newest recovery of a partition; it only rises. */
  recoveries: number;
  // Derived, rebuilt by `derive`:
  topicsByName: Map<string, TopicId>;
  groupsByBroker: Map<BrokerId, Set<GroupId>>;
}

export function emptyState(): ImageState {
  return {
    version: 0 as LogIndex,
    clusterId: undefined,
    recoveryEpoch: 0,
    featureLevel: 0,
    featureLevelSince: "",
    seeds: [],
    brokers: new Map(),
    topics: new Map(),
    partitions: new Map(),
    tombstones: new Map(),
    clusterConfigs: new Map(),
    nextGroupId: FIRST_ALLOCATED_ID as GroupId,
    nextReplicaId: FIRST_ALLOCATED_ID as ReplicaId,
    nextProducerId: FIRST_ALLOCATED_ID as ProducerId,
    recoveries: 0,
    topicsByName: new Map(),
    groupsByBroker: new Map(),
  };
}

export function cloneState(state: ImageState): ImageState {
  return {
    ...state,
    brokers: new Map(state.brokers),
    topics: new Map(state.topics),
    partitions: new Map(state.partitions),
    tombstones: new Map(state.tombstones),
    topicsByName: new Map(state.topicsByName),
    groupsByBroker: new Map([...state.groupsByBroker].map(([broker, groups]) => [broker, new Set(groups)])),
  };
}

/** Whoever may hold data of the partition: its replicas, and the one that is to take a place among them. */
export function placedReplicas({ replicas, replacing }: PartitionImage): readonly ReplicaImage[] {
  return replacing === undefined ? replicas : [...replicas, replacing.adding];
}

/** The replica of this broker whose disk is gone: another one may stand in its place. */
export function lostOn(
  image: { readonly isPresent: (replica: ReplicaImage) => boolean },
  { replicas }: PartitionImage,
  broker: BrokerId,
): ReplicaImage | undefined {
  return replicas.find((replica) => replica.brokerId === broker && !image.isPresent(replica));
}

/** Who goes when a replica is adopted in the place of this one: it, and who was to come for it. */
export function adoptedFor({ replacing }: PartitionImage, lost: ReplicaId): readonly ReplicaId[] {
  return replacing?.removing === lost ? [lost, replacing.adding.replicaId] : [lost];
}

/** Adds a partition to the derived index. */
export function indexPartition(state: ImageState, partition: PartitionImage): void {
  for (const { brokerId } of partition.replicas) {
    const groups = state.groupsByBroker.get(brokerId) ?? new Set();
    groups.add(partition.groupId);
    state.groupsByBroker.set(brokerId, groups);
  }
}

export function unindexPartition(state: ImageState, partition: PartitionImage): void {
  for (const { brokerId } of partition.replicas) state.groupsByBroker.get(brokerId)?.delete(partition.groupId);
}
