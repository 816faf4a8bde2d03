/** `millrace.v1` group_service.proto: consumer groups. Meaning of each field: the .proto. */
import { bool, enumeration, int32, int64, type MessageOf, message, oneof, optional, repeated, string, submessage } from "../codec/index.ts";
import { Status } from "../rpc-status.ts";

export const GroupState = { unspecified: 0, empty: 1, reconciling: 2, stable: 3 } as const;
export type GroupState = (typeof GroupState)[keyof typeof GroupState];

export const LagVerdict = { unspecified: 0, ok: 1, warn: 2, stalled: 3, stopped: 4, rewind: 5 } as const;
export type LagVerdict = (typeof LagVerdict)[keyof typeof LagVerdict];

export const AssignedPartitions = message("millrace.v1.AssignedPartitions", {
  topic: string(1),
  topicId: string(2),
  partitions: repeated(int32(3)),
});
export type AssignedPartitions = MessageOf<typeof AssignedPartitions>;

export const MemberHeartbeat = message("millrace.v1.MemberHeartbeat", {
  groupId: string(1),
  memberId: string(2),
  memberEpoch: int32(3),
  instanceId: string(4),
  rack: string(5),
  topics: repeated(string(6)),
  topicsChanged: bool(7),
  assignor: string(8),
  owned: repeated(submessage(9, AssignedPartitions)),
  rebalanceTimeoutMs: int32(10),
  topicPattern: string(11),
});
export type MemberHeartbeat = MessageOf<typeof MemberHeartbeat>;

export const MemberState = message("millrace.v1.MemberState", {
  memberId: string(1),
  memberEpoch: int32(2),
  heartbeatIntervalMs: int32(3),
  sessionTimeoutMs: int32(4),
  assignmentChanged: bool(5),
  assignment: repeated(submessage(6, AssignedPartitions)),
  coordinatorId: int32(7),
});
export type MemberState = MessageOf<typeof MemberState>;

export const SessionRequest = message("millrace.v1.SessionRequest", { heartbeat: submessage(1, MemberHeartbeat) });
export type SessionRequest = MessageOf<typeof SessionRequest>;

export const SessionResponse = message("millrace.v1.SessionResponse", { state: submessage(1, MemberState) });
export type SessionResponse = MessageOf<typeof SessionResponse>;

export const HeartbeatRequest = message("millrace.v1.HeartbeatRequest", { heartbeat: submessage(1, MemberHeartbeat) });
export type HeartbeatRequest = MessageOf<typeof HeartbeatRequest>;

export const HeartbeatResponse = message("millrace.v1.HeartbeatResponse", { state: submessage(1, MemberState) });
export type HeartbeatResponse = MessageOf<typeof HeartbeatResponse>;

export const OffsetCommit = message("millrace.v1.OffsetCommit", {
  topic: string(1),
  topicId: string(2),
  partition: int32(3),
  offset: int64(4),
  metadata: string(5),
  term: optional(int64(6)),
});
export type OffsetCommit = MessageOf<typeof OffsetCommit>;

export const CommitOffsetsRequest = message("millrace.v1.CommitOffsetsRequest", {
  groupId: string(1),
  memberId: string(2),
  memberEpoch: int32(3),
  offsets: repeated(submessage(4, OffsetCommit)),
});
export type CommitOffsetsRequest = MessageOf<typeof CommitOffsetsRequest>;

export const OffsetError = message("millrace.v1.OffsetError", {
  topic: string(1),
  partition: int32(2),
  error: submessage(3, Status),
  topicId: string(4),
});
export type OffsetError = MessageOf<typeof OffsetError>;

export const CommitOffsetsResponse = message("millrace.v1.CommitOffsetsResponse", { errors: repeated(submessage(1, OffsetError)) });
export type CommitOffsetsResponse = MessageOf<typeof CommitOffsetsResponse>;

export const TopicPartitions = message("millrace.v1.TopicPartitions", {
  topic: string(1),
  partitions: repeated(int32(2)),
  topicId: string(3),
});
export type TopicPartitions = MessageOf<typeof TopicPartitions>;

export const FetchOffsetsRequest = message("millrace.v1.FetchOffsetsRequest", {
  groupId: string(1),
  topics: repeated(submessage(2, TopicPartitions)),
});
export type FetchOffsetsRequest = MessageOf<typeof FetchOffsetsRequest>;

export const CommittedOffset = message("millrace.v1.CommittedOffset", {
  topic: string(1),
  topicId: string(2),
  partition: int32(3),
  offset: optional(int64(4)),
  metadata: string(5),
  committedAtMs: int64(6),
  term: optional(int64(7)),
});
export type CommittedOffset = MessageOf<typeof CommittedOffset>;

export const FetchOffsetsResponse = message("millrace.v1.FetchOffsetsResponse", { offsets: repeated(submessage(1, CommittedOffset)) });
export type FetchOffsetsResponse = MessageOf<typeof FetchOffsetsResponse>;

export const ListGroupsRequest = message("millrace.v1.ListGroupsRequest", { pageSize: int32(1), pageToken: string(2) });
export type ListGroupsRequest = MessageOf<typeof ListGroupsRequest>;

export const GroupListing = message("millrace.v1.GroupListing", {
  groupId: string(1),
  state: enumeration(2, GroupState),
  members: int32(3),
});
export type GroupListing = MessageOf<typeof GroupListing>;

export const ListGroupsResponse = message("millrace.v1.ListGroupsResponse", {
  groups: repeated(submessage(1, GroupListing)),
  nextPageToken: string(2),
});
export type ListGroupsResponse = MessageOf<typeof ListGroupsResponse>;

export const DescribeGroupRequest = message("millrace.v1.DescribeGroupRequest", { groupId: string(1) });
export type DescribeGroupRequest = MessageOf<typeof DescribeGroupRequest>;

export const MemberDescription = message("millrace.v1.MemberDescription", {
  memberId: string(1),
  instanceId: string(2),
  clientAddress: string(3),
  memberEpoch: int32(4),
  assignment: repeated(submessage(5, AssignedPartitions)),
  target: repeated(submessage(6, AssignedPartitions)),
  topics: repeated(string(7)),
  topicPattern: string(8),
  topicsLeftOut: int32(9),
});
export type MemberDescription = MessageOf<typeof MemberDescription>;

export const PartitionLag = message("millrace.v1.PartitionLag", {
  topic: string(1),
  partition: int32(2),
  committedOffset: optional(int64(3)),
  highWatermark: int64(4),
  lag: int64(5),
  timeLagMs: int64(6),
  verdict: enumeration(7, LagVerdict),
  memberId: string(8),
  topicId: string(9),
  logStartOffset: int64(10),
  oldestAgeMs: optional(int64(11)),
  metadata: string(12),
  committedAtMs: int64(13),
});
export type PartitionLag = MessageOf<typeof PartitionLag>;

export const DescribeGroupResponse = message("millrace.v1.DescribeGroupResponse", {
  groupId: string(1),
  state: enumeration(2, GroupState),
  groupEpoch: int32(3),
  assignor: string(4),
  members: repeated(submessage(5, MemberDescription)),
  partitions: repeated(submessage(6, PartitionLag)),
  coordinatorId: int32(7),
});
export type DescribeGroupResponse = MessageOf<typeof DescribeGroupResponse>;

export const SeekPosition = message("millrace.v1.SeekPosition", {
  topic: string(1),
  partition: int32(2),
  offset: int64(3),
  topicId: string(4),
});
export type SeekPosition = MessageOf<typeof SeekPosition>;

export const SeekPositions = message("millrace.v1.SeekPositions", { positions: repeated(submessage(1, SeekPosition)) });
export type SeekPositions = MessageOf<typeof SeekPositions>;

export const SeekGroupRequest = message("millrace.v1.SeekGroupRequest", {
  groupId: string(1),
  topics: repeated(submessage(2, TopicPartitions)),
  start: oneof("to", bool(3)),
  end: oneof("to", bool(4)),
  timeMs: oneof("to", int64(5)),
  offset: oneof("to", int64(6)),
  shiftBy: oneof("to", int64(7)),
  group: oneof("to", string(10)),
  positions: oneof("to", submessage(11, SeekPositions)),
  dryRun: bool(8),
  force: bool(9),
});
export type SeekGroupRequest = MessageOf<typeof SeekGroupRequest>;

export const SeekResult = message("millrace.v1.SeekResult", {
  topic: string(1),
  partition: int32(2),
  before: optional(int64(3)),
  after: int64(4),
});
export type SeekResult = MessageOf<typeof SeekResult>;

export const SeekGroupResponse = message("millrace.v1.SeekGroupResponse", { results: repeated(submessage(1, SeekResult)) });
export type SeekGroupResponse = MessageOf<typeof SeekGroupResponse>;

export const DeleteGroupRequest = message("millrace.v1.DeleteGroupRequest", { groupId: string(1) });
export type DeleteGroupRequest = MessageOf<typeof DeleteGroupRequest>;

export const DeleteGroupResponse = message("millrace.v1.DeleteGroupResponse", {});
export type DeleteGroupResponse = MessageOf<typeof DeleteGroupResponse>;

export const DeleteOffsetsRequest = message("millrace.v1.DeleteOffsetsRequest", {
  groupId: string(1),
  topics: repeated(submessage(2, TopicPartitions)),
});
export type DeleteOffsetsRequest = MessageOf<typeof DeleteOffsetsRequest>;

export const DeleteOffsetsResponse = message("millrace.v1.DeleteOffsetsResponse", { errors: repeated(submessage(1, OffsetError)) });
export type DeleteOffsetsResponse = MessageOf<typeof DeleteOffsetsResponse>;
