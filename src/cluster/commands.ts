import { bool, enumeration, int32, int64, map, message, optional, repeated, string, submessage } from "../protocol/codec/index.ts";
import { type UnionOf, UnionType } from "../protocol/codec/union.ts";
import { SeedFact } from "./facts.ts";
import {
  brokerIdField,
  clusterIdField,
  groupIdField,
  incarnationField,
  logIndexField,
  replicaIdField,
  termField,
  topicIdField,
} from "./fields.ts";

/** What brokers ask the controller (design §7). They travel as bytes on the peer connections; numbers are for ever. */

/** From the first controller: what every seed has persisted since the formation. */
export const FormCluster = message("millrace.internal.v1.FormCluster", {
  clusterId: clusterIdField(1),
  seeds: repeated(submessage(2, SeedFact)),
});

/** At every start of a broker. The answer's metadata version is its broker epoch. */
export const RegisterBroker = message("millrace.internal.v1.RegisterBroker", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  clientAddress: string(3),
  peerAddress: string(4),
  rack: optional(string(5)),
  version: string(6),
  /** Feature levels it understands (ADR 0020); a broker of before level 3 says nothing. */
  featureLevelMin: int32(7),
  featureLevelMax: int32(8),
});

/** Keeps the session alive (the controller's shell keeps the timers) and lifts a fence. */
export const BrokerHeartbeat = message("millrace.internal.v1.BrokerHeartbeat", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  brokerEpoch: logIndexField(3),
  /** As in `RegisterBroker`: a controller of before may have taken the registration, and not known them. */
  featureLevelMin: int32(4),
  featureLevelMax: int32(5),
});

/** From the controller itself when a session is missed; ignored when the broker has registered again since. */
export const FenceBroker = message("millrace.internal.v1.FenceBroker", { brokerId: brokerIdField(1), brokerEpoch: logIndexField(2) });

/** `topicId` and `seed` are drawn by whoever sends the command: the machine has no randomness. */
export const CreateTopic = message("millrace.internal.v1.CreateTopic", {
  name: string(1),
  /** 0 = default. */
  partitions: int32(2),
  /** 0 = default. */
  replicas: int32(3),
  configs: map(4),
  validateOnly: bool(5),
  topicId: topicIdField(6),
  /** Where placement starts among equals: any whole number ≥ 0. */
  seed: int64(7),
});

/** From whoever takes the first call of any consumer group: `__groups` is to be there (design §9). Doing it twice is fine. */
export const EnsureGroups = message("millrace.internal.v1.EnsureGroups", {
  /** As in `CreateTopic`. */
  topicId: topicIdField(1),
  seed: int64(2),
});

export const AlterTopic = message("millrace.internal.v1.AlterTopic", {
  name: string(1),
  set: map(2),
  delete: repeated(string(3)),
  validateOnly: bool(4),
  /** When given it must be the topic's. */
  topicId: optional(topicIdField(5)),
});

/** New partitions behind the ones there are; those keep their records and leaders. */
export const AddPartitions = message("millrace.internal.v1.AddPartitions", {
  name: string(1),
  /** The new total. */
  partitions: int32(2),
  validateOnly: bool(3),
  /** As in `CreateTopic`. */
  seed: int64(4),
  /** When given it must be the topic's. */
  topicId: optional(topicIdField(5)),
});

export const DeleteTopic = message("millrace.internal.v1.DeleteTopic", {
  name: string(1),
  /** When given it must be the topic's. */
  topicId: optional(topicIdField(2)),
});

/** The broker holds no replica of these deleted topics (any more). */
export const ConfirmDeleted = message("millrace.internal.v1.ConfirmDeleted", {
  brokerId: brokerIdField(1),
  incarnation: incarnationField(2),
  topicIds: repeated(topicIdField(3)),
});

export const IsrProposal = message("millrace.internal.v1.IsrProposal", {
  groupId: groupIdField(1),
  term: termField(2),
  isrVersion: int64(3),
  isr: repeated(replicaIdField(4)),
});
/** From one broker for all partitions it leads. Each proposal stands alone. */
export const AlterIsr = message("millrace.internal.v1.AlterIsr", { proposals: repeated(submessage(1, IsrProposal)) });

export const Claim = message("millrace.internal.v1.Claim", {
  groupId: groupIdField(1),
  replicaId: replicaIdField(2),
  term: termField(3),
  /** Of the recorded members those that stay; the leader itself unless it has a hole. */
  isr: repeated(replicaIdField(4)),
});
export const LeaderClaim = message("millrace.internal.v1.LeaderClaim", { claims: repeated(submessage(1, Claim)) });

export const AllocateProducerIds = message("millrace.internal.v1.AllocateProducerIds", { count: int32(1) });

export const AlterClusterConfigs = message("millrace.internal.v1.AlterClusterConfigs", {
  set: map(1),
  delete: repeated(string(2)),
  validateOnly: bool(3),
});

/** From the controller itself: the disk of this replica is gone. */
export const ReplaceReplica = message("millrace.internal.v1.ReplaceReplica", { groupId: groupIdField(1), removing: replicaIdField(2) });
/** From the partition's leader: the new replica votes, the old one does not any more. */
export const ReportReplaced = message("millrace.internal.v1.ReportReplaced", {
  groupId: groupIdField(1),
  term: termField(2),
  removing: replicaIdField(3),
  replicaId: replicaIdField(4),
});
/** From the partition's leader: the disk of `removing` is back and that of its successor is gone, and no change of voters has begun. */
export const KeepReplica = message("millrace.internal.v1.KeepReplica", {
  groupId: groupIdField(1),
  term: termField(2),
  removing: replicaIdField(3),
  replicaId: replicaIdField(4),
});
/**
 * From a broker that finds a replica on its disk that no metadata places, and that votes: so said the leader of this term. The metadata went
 * on from a moment before it was placed.
 */
export const AdoptReplica = message("millrace.internal.v1.AdoptReplica", {
  groupId: groupIdField(1),
  term: termField(2),
  replicaId: replicaIdField(3),
  brokerId: brokerIdField(4),
  incarnation: incarnationField(5),
});
/** From the controller itself: the metadata group's replica on this seed's present disk votes. */
export const ReplaceSeed = message("millrace.internal.v1.ReplaceSeed", { brokerId: brokerIdField(1) });

const Adopting = message("millrace.internal.v1.Adopting", { brokerId: brokerIdField(1), incarnation: incarnationField(2) });
export const PartitionRecovery = message("millrace.internal.v1.PartitionRecovery", {
  groupId: groupIdField(1),
  survivor: replicaIdField(2),
  /** Above every term that anybody knows of; the controller adds what is recorded. */
  term: termField(3),
  /** As the plan saw it: a later one refuses the command. */
  isrVersion: int64(4),
  /** The metadata has forgotten the survivor: it is to be placed on this disk of this broker. */
  adopting: submessage(5, Adopting),
  /** Who else voted as far as the survivors know; the controller adds who is placed. */
  fenced: repeated(replicaIdField(6)),
});
/** From the broker that applies a plan after a lost majority (ADR 0014). All or none. */
export const RecoverPartitions = message("millrace.internal.v1.RecoverPartitions", {
  partitions: repeated(submessage(1, PartitionRecovery)),
});
/** From the first controller after a recovery of the metadata: what its disk says. */
export const RecoverCluster = message("millrace.internal.v1.RecoverCluster", {
  recoveryEpoch: int64(1),
  survivor: replicaIdField(2),
  brokerId: brokerIdField(3),
});

export const CommandUnion = new UnionType("millrace.internal.v1.Command", {
  formCluster: [1, FormCluster],
  registerBroker: [2, RegisterBroker],
  brokerHeartbeat: [3, BrokerHeartbeat],
  fenceBroker: [4, FenceBroker],
  createTopic: [5, CreateTopic],
  alterTopic: [6, AlterTopic],
  deleteTopic: [7, DeleteTopic],
  confirmDeleted: [8, ConfirmDeleted],
  alterIsr: [9, AlterIsr],
  leaderClaim: [10, LeaderClaim],
  allocateProducerIds: [11, AllocateProducerIds],
  alterClusterConfigs: [12, AlterClusterConfigs],
  addPartitions: [20, AddPartitions],
  replaceReplica: [30, ReplaceReplica],
  reportReplaced: [31, ReportReplaced],
  replaceSeed: [32, ReplaceSeed],
  keepReplica: [33, KeepReplica],
  adoptReplica: [34, AdoptReplica],
  recoverPartitions: [40, RecoverPartitions],
  recoverCluster: [41, RecoverCluster],
  ensureGroups: [50, EnsureGroups],
});
export type Command = UnionOf<typeof CommandUnion>;
export type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

export const encodeCommand = (command: Command): Uint8Array => CommandUnion.encode(command);
/** @throws {MillraceError} INVALID_REQUEST */
export const decodeCommand = (bytes: Uint8Array): Command => CommandUnion.decode(bytes);

export const IsrOutcome = { unspecified: 0, recorded: 1, refused: 2 } as const;
export type IsrOutcome = (typeof IsrOutcome)[keyof typeof IsrOutcome];

/** What stands recorded now, whether the request was taken or not. */
export const IsrResult = message("millrace.internal.v1.IsrResult", {
  groupId: groupIdField(1),
  outcome: enumeration(2, IsrOutcome),
  isr: repeated(replicaIdField(3)),
  /** 0: the partition does not exist. */
  isrVersion: int64(4),
  /** 0: nobody claimed yet. */
  leaderReplicaId: replicaIdField(5),
  leaderTerm: termField(6),
  /** Why refused; for people. */
  reason: string(7),
});
export type IsrResult = ReturnType<typeof IsrResult.decode>;
