import type { BrokerId, ClusterId, GroupId, Incarnation, LogIndex, ProducerId, ReplicaId, TopicId } from "../base/ids.ts";
import type { Fact } from "./facts.ts";
import { type FeatureLevels, supportedLevels, unreadable } from "./feature-levels.ts";
import { isOnRecord } from "./given-ids.ts";
import {
  type BrokerImage,
  cloneState,
  emptyState,
  type ImageState,
  type PartitionImage,
  placedReplicas,
  type ReplicaImage,
  type SeedImage,
  type TombstoneImage,
  type TopicImage,
} from "./image-state.ts";
import { replayFact } from "./replay.ts";
import { decodeState, encodeState, encodeStateSlices, hashState } from "./snapshot.ts";
import { type ConfigMap, type TopicConfig, topicConfig } from "./topic-config.ts";

/** A replica on a broker's present disk. */
export interface HostedReplica {
  readonly partition: PartitionImage;
  readonly replica: ReplicaImage;
}

/** Who leads a partition as far as the metadata knows: a hint, Raft decides. */
export interface LeaderHint {
  readonly replicaId: ReplicaId;
  readonly term: number;
  /** undefined: its broker is not registered. */
  readonly broker: BrokerImage | undefined;
}

/**
 * The cluster as the metadata log tells it (design §7): equal facts in equal order give equal images, with equal `hash()`, on every
 * broker. Changed only by `replay`.
 *
 * Every broker keeps one of *committed* facts. The controller keeps a second, speculative one: it replays facts when it appends them,
 * so that the next command is decided on them, and holds every answer, also a refusal, until what it rests on is committed. There is
 * no rollback: when an append is refused or leadership is lost, the speculative image is thrown away and made anew by `clone()` of the
 * committed one.
 */
export class MetadataImage {
  /** Feature levels that whoever reads the log understands. */
  readonly supported: FeatureLevels;
  #state: ImageState;

  constructor(state: ImageState = emptyState(), supported: FeatureLevels = supportedLevels) {
    this.#state = state;
    this.supported = supported;
  }

  /**
   * @param index of the frame the fact lies in; facts of one frame share it
   * @throws {MillraceError} UNSUPPORTED_FEATURE_LEVEL: what follows may be of kinds, or have fields, that are not known here
   */
  replay(fact: Fact, index: LogIndex): void {
    if (fact.kind === "featureLevelRaised") this.#refuseAbove(fact.level, fact.since);
    replayFact(this.#state, fact, index);
  }

  #refuseAbove(level: number, since: string): void {
    if (level > this.supported.max) throw unreadable(`it is at feature level ${level}`, this.supported, `version ${since} or later`);
  }

  clone(): MetadataImage {
    return new MetadataImage(cloneState(this.#state), this.supported);
  }

  /** The snapshot in slices of about a millisecond; what is replayed meanwhile is not in it. */
  slices(): Generator<Uint8Array> {
    return encodeStateSlices(cloneState(this.#state));
  }

  /**
   * Whoever holds this image sees another state from now on: that of a snapshot.
   * @throws {MillraceError} INVALID_REQUEST · UNSUPPORTED_FEATURE_LEVEL, as of `replay`
   */
  become(snapshot: Uint8Array): void {
    const state = decodeState(snapshot);
    this.#refuseAbove(state.featureLevel, state.featureLevelSince);
    this.#state = state;
  }

  snapshot(): Uint8Array {
    return encodeState(this.#state);
  }

  /** @throws {MillraceError} INVALID_REQUEST when the bytes are no image */
  static restore(snapshot: Uint8Array): MetadataImage {
    return new MetadataImage(decodeState(snapshot));
  }

  /** 16 hex digits over all that facts made; equal on all brokers at equal `version`. Walks everything. */
  hash(): string {
    return hashState(this.#state);
  }

  /** Metadata version: index of the last fact. */
  get version(): LogIndex {
    return this.#state.version;
  }
  get clusterId(): ClusterId | undefined {
    return this.#state.clusterId;
  }
  get recoveryEpoch(): number {
    return this.#state.recoveryEpoch;
  }
  /** Number of the newest recovery of a partition after a lost majority; 0: there was none. */
  get recoveries(): number {
    return this.#state.recoveries;
  }
  /** What every broker understands, and so what may be written (ADR 0020); 0 before the first fact. */
  get featureLevel(): number {
    return this.#state.featureLevel;
  }
  /** First version that understands it; empty while it was never raised. */
  get featureLevelSince(): string {
    return this.#state.featureLevelSince;
  }
  /** The first voters of the metadata group, by broker id. */
  get seeds(): readonly SeedImage[] {
    return this.#state.seeds;
  }
  get clusterConfigs(): ConfigMap {
    return this.#state.clusterConfigs;
  }
  get brokers(): ReadonlyMap<BrokerId, BrokerImage> {
    return this.#state.brokers;
  }
  get topics(): ReadonlyMap<TopicId, TopicImage> {
    return this.#state.topics;
  }
  get partitions(): ReadonlyMap<GroupId, PartitionImage> {
    return this.#state.partitions;
  }
  get tombstones(): ReadonlyMap<TopicId, TombstoneImage> {
    return this.#state.tombstones;
  }
  get nextIds(): { readonly group: GroupId; readonly replica: ReplicaId; readonly producer: ProducerId } {
    const { nextGroupId, nextReplicaId, nextProducerId } = this.#state;
    return { group: nextGroupId, replica: nextReplicaId, producer: nextProducerId };
  }

  topicByName(name: string): TopicImage | undefined {
    const id = this.#state.topicsByName.get(name);
    return id === undefined ? undefined : this.#state.topics.get(id);
  }

  partition(topicId: TopicId, partition: number): PartitionImage | undefined {
    const groupId = this.#state.topics.get(topicId)?.groups[partition];
    return groupId === undefined ? undefined : this.#state.partitions.get(groupId);
  }

  partitionOfGroup(groupId: GroupId): PartitionImage | undefined {
    return this.#state.partitions.get(groupId);
  }

  /** Settings of a topic, defaults filled in. */
  configOf(topic: TopicImage): TopicConfig {
    return topicConfig(topic.configs, this.#state.clusterConfigs);
  }

  /** Replicas the broker holds on its present disk, by group id: what it must open. */
  hostedBy(broker: BrokerId): readonly HostedReplica[] {
    return this.#placedOn(broker).filter(({ replica }) => this.isPresent(replica));
  }

  /** Replicas placed on the broker's former disk: gone until they are replaced. */
  lostBy(broker: BrokerId): readonly HostedReplica[] {
    return this.#placedOn(broker).filter(({ replica }) => !this.isPresent(replica));
  }

  /** Where that replica was placed; undefined when the metadata names none of this id. */
  brokerOf(groupId: GroupId, replica: ReplicaId): BrokerId | undefined {
    const partition = this.#state.partitions.get(groupId);
    return partition === undefined ? undefined : placedReplicas(partition).find(({ replicaId }) => replicaId === replica)?.brokerId;
  }

  /** Replicas that could be replaced now and nobody has begun to: their disk is gone, and their broker is there with another one. */
  replaceable(): readonly HostedReplica[] {
    const found: HostedReplica[] = [];
    for (const partition of this.#state.partitions.values()) {
      const { replacing, replicas } = partition;
      if (replacing !== undefined && this.isPresent(replacing.adding)) continue;
      // Without a majority there is no leader that could do it: that takes an operator (`recover`). Who was given up votes no more.
      const voters = replicas.filter(({ lost }) => lost === undefined);
      if (voters.filter((one) => this.isPresent(one)).length * 2 <= voters.length) continue;
      const replica = replicas.find((one) =>
        replacing === undefined ? !this.isPresent(one) && this.#isLive(one.brokerId) : one.replicaId === replacing.removing,
      );
      // One whose disk is back is kept, or what replaced it is reported: its leader says which.
      if (replica !== undefined && !this.isPresent(replica) && this.#isLive(replica.brokerId)) found.push({ partition, replica });
    }
    return found;
  }

  #isLive(broker: BrokerId): boolean {
    return this.#state.brokers.get(broker)?.state === "live";
  }

  /** The disk this replica was placed on is the one its broker has now, and it was not given up. */
  isPresent(replica: ReplicaImage): boolean {
    if (replica.lost === true) return false;
    return this.#state.brokers.get(replica.brokerId)?.incarnation === replica.incarnation;
  }

  leaderOf(partition: PartitionImage): LeaderHint | undefined {
    const { claim } = partition;
    if (claim === undefined) return undefined;
    const replica = placedReplicas(partition).find(({ replicaId }) => replicaId === claim.replicaId);
    return { ...claim, broker: replica === undefined ? undefined : this.#state.brokers.get(replica.brokerId) };
  }

  /** Brokers that have their session, by id. */
  liveBrokers(): readonly BrokerImage[] {
    return [...this.#state.brokers.values()].filter((broker) => broker.state === "live").sort((a, b) => a.id - b.id);
  }

  /** The disk that is registered under this id, while its session lasts. */
  liveDisk(broker: BrokerId): Incarnation | undefined {
    const known = this.#state.brokers.get(broker);
    return known?.state === "live" ? known.incarnation : undefined;
  }

  /**
   * The topic of this group was deleted, whether or not its tombstone still stands: the metadata gave the group out, and has it no more. Only
   * of an image that is as new as whoever made a replica of it.
   */
  wasDeleted(groupId: GroupId): boolean {
    return !this.#state.partitions.has(groupId) && isOnRecord(groupId, this.#state.nextGroupId, this.#state.recoveryEpoch);
  }

  /** Deleted topics of which the broker must delete its replicas, and then confirm. */
  tombstonesFor(broker: BrokerId): readonly TombstoneImage[] {
    return [...this.#state.tombstones.values()].filter((tombstone) => tombstone.waitingFor.includes(broker));
  }

  #placedOn(broker: BrokerId): HostedReplica[] {
    const hosted: HostedReplica[] = [];
    for (const groupId of this.#state.groupsByBroker.get(broker) ?? []) {
      const partition = this.#state.partitions.get(groupId);
      if (partition === undefined) continue;
      for (const replica of placedReplicas(partition)) if (replica.brokerId === broker) hosted.push({ partition, replica });
    }
    return hosted.sort((a, b) => a.partition.groupId - b.partition.groupId);
  }
}
