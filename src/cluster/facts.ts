import { int32, int64, map, message, optional, repeated, string, submessage } from "../protocol/codec/index.ts";
import { type UnionOf, UnionType } from "../protocol/codec/union.ts";
import { supportedLevels, unreadable } from "./feature-levels.ts";
import {
  brokerIdField,
  clusterIdField,
  groupIdField,
  incarnationField,
  producerIdField,
  replicaIdField,
  termField,
  topicIdField,
} from "./fields.ts";

/**
 * What the metadata log says happened (design §7). A fact is recorded only by the controller, after `decide` allowed it; replaying it
 * never fails. Field and case numbers are for ever.
 */

/** A seed as the formation named it: its first disk and its replica of the metadata group. */
export const SeedFact = message("millrace.internal.v1.Seed", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  replicaId: replicaIdField(3),
  peerAddress: string(4),
});

/** The cluster exists. First fact of every metadata log, and the only one of its kind. */
export const ClusterFormed = message("millrace.internal.v1.ClusterFormed", {
  clusterId: clusterIdField(1),
  seeds: repeated(submessage(2, SeedFact)),
  recoveryEpoch: int64(3),
  featureLevel: int32(4),
});

/** A broker started. The index of this fact is its broker epoch. */
export const BrokerRegistered = message("millrace.internal.v1.BrokerRegistered", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  clientAddress: string(3),
  peerAddress: string(4),
  rack: optional(string(5)),
  version: string(6),
  /** Its replica of the metadata group: a voter if the formation named this disk, else a learner. */
  metadataReplicaId: replicaIdField(7),
  /**
   * What it understands; both 0: it says nothing. Written at whatever level the cluster is, because the level is raised by it: who does not
   * know the fields passes over them, and the next heartbeat finds them missing.
   */
  featureLevelMin: int32(8),
  featureLevelMax: int32(9),
});

/** Every broker understands the level: from here on what it brought may be written. Level 3. */
export const FeatureLevelRaised = message("millrace.internal.v1.FeatureLevelRaised", {
  level: int32(1),
  /** First version that understands it: for one that does not. */
  since: string(2),
});

/** Missed its session: gets no new replicas, joins no ISR. Raft goes on. */
export const BrokerFenced = message("millrace.internal.v1.BrokerFenced", { brokerId: brokerIdField(1) });
export const BrokerUnfenced = message("millrace.internal.v1.BrokerUnfenced", { brokerId: brokerIdField(1) });

export const TopicCreated = message("millrace.internal.v1.TopicCreated", {
  topicId: topicIdField(1),
  name: string(2),
  /** Replicas of each partition as asked for. */
  replicas: int32(3),
  configs: map(4),
});

export const PlacedReplica = message("millrace.internal.v1.PlacedReplica", { brokerId: brokerIdField(1), replicaId: replicaIdField(2) });

/** All replicas are voters and in sync from the start: an empty log is caught up. */
export const PartitionCreated = message("millrace.internal.v1.PartitionCreated", {
  topicId: topicIdField(1),
  partition: int32(2),
  groupId: groupIdField(3),
  /** In order of priority. */
  replicas: repeated(submessage(4, PlacedReplica)),
});

export const TopicConfigChanged = message("millrace.internal.v1.TopicConfigChanged", {
  topicId: topicIdField(1),
  set: map(2),
  delete: repeated(string(3)),
});

/** Leaves a tombstone: the only thing by which data is ever deleted (reliability D6). */
export const TopicDeleted = message("millrace.internal.v1.TopicDeleted", { topicId: topicIdField(1) });
/** The broker holds nothing of the deleted topic any more. The last one ends the tombstone. */
export const DeletionConfirmed = message("millrace.internal.v1.DeletionConfirmed", {
  topicId: topicIdField(1),
  brokerId: brokerIdField(2),
});

/** Raises the ISR version by one. */
export const IsrChanged = message("millrace.internal.v1.IsrChanged", { groupId: groupIdField(1), isr: repeated(replicaIdField(2)) });
/** Raises the ISR version by one and fences older terms. */
export const LeaderClaimed = message("millrace.internal.v1.LeaderClaimed", {
  groupId: groupIdField(1),
  replicaId: replicaIdField(2),
  term: termField(3),
  isr: repeated(replicaIdField(4)),
});

export const ProducerIdsAllocated = message("millrace.internal.v1.ProducerIdsAllocated", { first: producerIdField(1), count: int32(2) });

export const ClusterConfigChanged = message("millrace.internal.v1.ClusterConfigChanged", { set: map(1), delete: repeated(string(2)) });

/** A new replica, empty, on the disk its broker has now, is to take the place of one whose disk is gone. A later one replaces an earlier one. */
export const ReplicaReplacing = message("millrace.internal.v1.ReplicaReplacing", {
  groupId: groupIdField(1),
  removing: replicaIdField(2),
  replicaId: replicaIdField(3),
  brokerId: brokerIdField(4),
});
/** It has: the configuration that says so is committed. */
export const ReplicaReplaced = message("millrace.internal.v1.ReplicaReplaced", {
  groupId: groupIdField(1),
  removing: replicaIdField(2),
  replicaId: replicaIdField(3),
});
/** It has not, and will not: the disk of the old one is back, that of the new one is gone. */
export const ReplicaKept = message("millrace.internal.v1.ReplicaKept", {
  groupId: groupIdField(1),
  removing: replicaIdField(2),
  replicaId: replicaIdField(3),
});
/** A replica that voted already, on the disk its broker has now, stands where one is named whose disk is gone. Whoever was to come does not. */
export const ReplicaAdopted = message("millrace.internal.v1.ReplicaAdopted", {
  groupId: groupIdField(1),
  removing: replicaIdField(2),
  replicaId: replicaIdField(3),
  brokerId: brokerIdField(4),
});
/** The same as `ReplicaReplaced` for the metadata group's own replica on a seed. */
export const SeedReplaced = message("millrace.internal.v1.SeedReplaced", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  replicaId: replicaIdField(3),
});

/**
 * An operator has given up all replicas of a partition but one (ADR 0014): those are fenced for good, on whatever disk they are, and the
 * survivor is to be the only voter, from a term above `term` on.
 */
export const PartitionRecovered = message("millrace.internal.v1.PartitionRecovered", {
  groupId: groupIdField(1),
  survivor: replicaIdField(2),
  term: termField(3),
  /** The survivor was placed nowhere: it stands where this one stood, on the disk its broker has now. 0: it was placed. Level 3. */
  inPlaceOf: replicaIdField(4),
  /** Replicas that are out besides those that were placed. Level 3. */
  fenced: repeated(replicaIdField(5)),
});
/** First fact after a recovery of the metadata itself: this replica alone voted. All ids jump. */
export const ClusterRecovered = message("millrace.internal.v1.ClusterRecovered", {
  recoveryEpoch: int64(1),
  survivor: replicaIdField(2),
  brokerId: brokerIdField(3),
});

export const FactUnion = new UnionType("millrace.internal.v1.Fact", {
  clusterFormed: [1, ClusterFormed],
  brokerRegistered: [2, BrokerRegistered],
  brokerFenced: [3, BrokerFenced],
  brokerUnfenced: [4, BrokerUnfenced],
  topicCreated: [5, TopicCreated],
  partitionCreated: [6, PartitionCreated],
  topicConfigChanged: [7, TopicConfigChanged],
  topicDeleted: [8, TopicDeleted],
  deletionConfirmed: [9, DeletionConfirmed],
  isrChanged: [10, IsrChanged],
  leaderClaimed: [11, LeaderClaimed],
  producerIdsAllocated: [12, ProducerIdsAllocated],
  clusterConfigChanged: [13, ClusterConfigChanged],
  replicaReplacing: [30, ReplicaReplacing],
  replicaReplaced: [31, ReplicaReplaced],
  seedReplaced: [32, SeedReplaced],
  replicaKept: [33, ReplicaKept],
  replicaAdopted: [34, ReplicaAdopted],
  partitionRecovered: [40, PartitionRecovered],
  clusterRecovered: [41, ClusterRecovered],
  featureLevelRaised: [50, FeatureLevelRaised],
});
export type Fact = UnionOf<typeof FactUnion>;
export type FactOf<K extends Fact["kind"]> = Extract<Fact, { kind: K }>;

const Facts = message("millrace.internal.v1.Facts", { facts: repeated(submessage(1, FactUnion.envelope)) });

/** Payload of one data frame of payload format `facts`; its record count is the number of facts (design §4). */
export function encodeFacts(facts: readonly Fact[]): Uint8Array {
  return Facts.encode({ facts: facts.map((fact) => FactUnion.wrap(fact)) });
}

/**
 * @throws {MillraceError} INVALID_REQUEST when the payload holds no facts · UNSUPPORTED_FEATURE_LEVEL when it holds one of a kind this
 * version does not know: it is never passed over
 */
export function decodeFacts(payload: Uint8Array): readonly Fact[] {
  return Facts.decode(payload).facts.map((envelope) => {
    if (!FactUnion.knows(envelope)) throw unreadable("a fact in it is of a kind that came later", supportedLevels, "a later version");
    return FactUnion.unwrap(envelope);
  });
}
