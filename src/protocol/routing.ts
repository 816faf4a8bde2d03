/** `millrace.internal.v1` routing.proto: calls handed on between brokers. Meaning of each field: the .proto. */
import { bool, bytes, int32, int64, type MessageOf, message, optional, repeated, string, submessage, uint32 } from "./codec/index.ts";
import { FetchRequest } from "./public.ts";

export const GroupMember = message("millrace.internal.v1.GroupMember", { replicaId: int64(1), brokerId: int32(2), role: int32(3) });

export const GroupConfig = message("millrace.internal.v1.GroupConfig", {
  members: repeated(submessage(1, GroupMember)),
  topicId: string(2),
  topic: string(3),
  partition: int32(4),
  recovery: int64(5),
  fenced: repeated(int64(6)),
});
export type GroupConfig = MessageOf<typeof GroupConfig>;

export const ForwardedAppend = message("millrace.internal.v1.ForwardedAppend", {
  groupId: int64(1),
  acks: int32(2),
  codec: int32(3),
  recordCount: int32(4),
  firstTimestamp: int64(5),
  maxTimestamp: int64(6),
  producerId: int64(7),
  producerEpoch: int32(8),
  baseSequence: int32(9),
  payloadCrc: uint32(10),
  payload: bytes(11),
});
export type ForwardedAppend = MessageOf<typeof ForwardedAppend>;

export const ForwardedAppended = message("millrace.internal.v1.ForwardedAppended", {
  baseOffset: int64(1),
  recordCount: int32(2),
  term: int64(3),
  highWatermark: int64(4),
  durableBrokerIds: repeated(int32(5)),
  duplicate: bool(6),
  appendTimeMs: int64(7),
});
export type ForwardedAppended = MessageOf<typeof ForwardedAppended>;

export const ForwardedFetch = message("millrace.internal.v1.ForwardedFetch", { groupId: int64(1), request: submessage(2, FetchRequest) });

export const ForwardedOffsets = message("millrace.internal.v1.ForwardedOffsets", {
  groupId: int64(1),
  timeMs: optional(int64(2)),
  agesFrom: optional(int64(3)),
  placeOffset: optional(int64(4)),
  placeTerm: int64(5),
});

export const ForwardedOffsetsFound = message("millrace.internal.v1.ForwardedOffsetsFound", {
  logStartOffset: int64(1),
  highWatermark: int64(2),
  term: int64(3),
  offset: optional(int64(4)),
  timestampMs: optional(int64(5)),
  sizeBytes: int64(6),
  aged: bool(7),
  oldestMs: optional(int64(8)),
  newestMs: optional(int64(9)),
  truncated: bool(10),
});

export const ForwardedTrim = message("millrace.internal.v1.ForwardedTrim", { groupId: int64(1), beforeOffset: int64(2) });
export const ForwardedTrimmed = message("millrace.internal.v1.ForwardedTrimmed", {
  logStartOffset: int64(1),
  highWatermark: int64(2),
  moved: bool(3),
});

export const ForwardedTransfer = message("millrace.internal.v1.ForwardedTransfer", { groupId: int64(1), toBrokerId: int32(2) });
export const ForwardedTransferred = message("millrace.internal.v1.ForwardedTransferred", { leaderId: int32(1), term: int64(2) });

export const ResetOffer = message("millrace.internal.v1.ResetOffer", {
  groupId: int64(1),
  fromReplicaId: int64(2),
  toReplicaId: int64(3),
  term: int64(4),
  startPoint: bytes(5),
  appendTimeMs: int64(6),
});
export type ResetOffer = MessageOf<typeof ResetOffer>;

export const ResetAnswer = message("millrace.internal.v1.ResetAnswer", { begun: bool(1), index: int64(2), term: int64(3) });

export const SnapshotRequest = message("millrace.internal.v1.SnapshotRequest", {
  index: int64(1),
  position: int64(2),
  groupId: int64(3),
});
export const SnapshotPiece = message("millrace.internal.v1.SnapshotPiece", { index: int64(1), total: int64(2), piece: bytes(3) });
export type SnapshotPiece = MessageOf<typeof SnapshotPiece>;

export const MetadataTail = message("millrace.internal.v1.MetadataTail", { fromIndex: int64(1), maxWaitMs: int32(2) });

export const RangeRead = message("millrace.internal.v1.RangeRead", {
  groupId: int64(1),
  from: int64(2),
  to: int64(3),
  trimmed: bool(4),
});

export const WhoSeed = message("millrace.internal.v1.WhoSeed", { brokerId: int32(1), address: string(2) });

export const WhoQuestion = message("millrace.internal.v1.WhoQuestion", { brokerId: int32(1), incarnation: string(2) });

export const JoinRegistration = message("millrace.internal.v1.JoinRegistration", {
  clusterId: string(1),
  recoveryEpoch: int64(2),
  command: bytes(3),
});

export const WhoAnswer = message("millrace.internal.v1.WhoAnswer", {
  brokerId: int32(1),
  incarnation: string(2),
  clusterId: string(3),
  seeds: repeated(submessage(4, WhoSeed)),
  form: bytes(5),
  recoveryEpoch: int64(6),
});

export const LedGroup = message("millrace.internal.v1.LedGroup", {
  groupId: int64(1),
  term: int64(2),
  serving: bool(3),
  inSyncReplicas: int32(4),
  highWatermark: int64(5),
  logStartOffset: int64(6),
});
export type LedGroup = MessageOf<typeof LedGroup>;

export const BrokerReport = message("millrace.internal.v1.BrokerReport", {
  led: repeated(submessage(1, LedGroup)),
  metadataVersion: int64(2),
  diskFreeBytes: int64(3),
  uptimeMs: int64(4),
  replicas: int32(5),
  diskReserveBytes: int64(6),
  diskFull: bool(7),
});
export type BrokerReport = MessageOf<typeof BrokerReport>;

export const MembersQuestion = message("millrace.internal.v1.MembersQuestion", { groupId: int64(1) });
export const GroupMembers = message("millrace.internal.v1.GroupMembers", {
  term: int64(1),
  voters: repeated(int64(2)),
  learners: repeated(int64(3)),
});
export type GroupMembers = MessageOf<typeof GroupMembers>;

export const ReplicaStanding = message("millrace.internal.v1.ReplicaStanding", {
  groupId: int64(1),
  replicaId: int64(2),
  term: int64(3),
  lastIndex: int64(4),
  lastTerm: int64(5),
  commit: int64(6),
  endOffset: int64(7),
  voters: repeated(submessage(8, GroupMember)),
  oldVoters: repeated(submessage(9, GroupMember)),
  hasLeader: bool(10),
  quarantined: bool(11),
  holes: int32(12),
  recovery: int64(13),
  topicId: string(14),
  topic: string(15),
  partition: int32(16),
});
export type ReplicaStanding = MessageOf<typeof ReplicaStanding>;

export const BrokerStanding = message("millrace.internal.v1.BrokerStanding", {
  replicas: repeated(submessage(1, ReplicaStanding)),
  connected: repeated(int32(2)),
  held: bool(3),
  opening: repeated(int64(4)),
  incarnation: string(5),
});
export type BrokerStanding = MessageOf<typeof BrokerStanding>;

export const ForwardedGroupCall = message("millrace.internal.v1.ForwardedGroupCall", {
  shard: int32(1),
  method: string(2),
  request: bytes(3),
  clientAddress: string(4),
});

export const GroupWatch = message("millrace.internal.v1.GroupWatch", { groupId: string(1), memberId: string(2), knownEpoch: int32(3) });
export const GroupNews = message("millrace.internal.v1.GroupNews", { state: optional(bytes(1)) });
