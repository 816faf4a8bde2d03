/** `millrace.v1` admin_service.proto: topics, partitions, brokers, the cluster. Meaning of each field: the .proto. */
import { bool, enumeration, int32, int64, type MessageOf, map, message, optional, repeated, string, submessage } from "../codec/index.ts";
import { Status } from "../rpc-status.ts";

export const ConfigSource = { unspecified: 0, default: 1, cluster: 2, topic: 3, broker: 4 } as const;
export type ConfigSource = (typeof ConfigSource)[keyof typeof ConfigSource];

export const BrokerState = { unspecified: 0, live: 1, fenced: 2, drained: 3, decommissioning: 4 } as const;
export type BrokerState = (typeof BrokerState)[keyof typeof BrokerState];

export const CreateTopicRequest = message("millrace.v1.CreateTopicRequest", {
  name: string(1),
  partitions: int32(2),
  replicas: int32(3),
  configs: map(4),
  validateOnly: bool(5),
  minMetadataVersion: int64(6),
});
export type CreateTopicRequest = MessageOf<typeof CreateTopicRequest>;

export const ConfigEntry = message("millrace.v1.ConfigEntry", {
  key: string(1),
  value: string(2),
  source: enumeration(3, ConfigSource),
  defaultValue: string(4),
});
export type ConfigEntry = MessageOf<typeof ConfigEntry>;

export const ReplicaDescription = message("millrace.v1.ReplicaDescription", {
  brokerId: int32(1),
  replicaId: int64(2),
});
export type ReplicaDescription = MessageOf<typeof ReplicaDescription>;

export const PartitionDescription = message("millrace.v1.PartitionDescription", {
  partition: int32(1),
  groupId: int64(2),
  leaderId: int32(3),
  leaderAddress: string(4),
  leaderTerm: int64(5),
  replicas: repeated(submessage(6, ReplicaDescription)),
  isrBrokerIds: repeated(int32(7)),
  isrVersion: int64(8),
  logStartOffset: optional(int64(9)),
  highWatermark: optional(int64(10)),
});
export type PartitionDescription = MessageOf<typeof PartitionDescription>;

export const TopicDescription = message("millrace.v1.TopicDescription", {
  name: string(1),
  topicId: string(2),
  configs: repeated(submessage(3, ConfigEntry)),
  partitions: repeated(submessage(4, PartitionDescription)),
  replicas: int32(5),
  internal: bool(6),
});
export type TopicDescription = MessageOf<typeof TopicDescription>;

export const CreateTopicResponse = message("millrace.v1.CreateTopicResponse", {
  topic: submessage(1, TopicDescription),
  metadataVersion: int64(2),
});
export type CreateTopicResponse = MessageOf<typeof CreateTopicResponse>;

export const DescribeTopicsRequest = message("millrace.v1.DescribeTopicsRequest", {
  names: repeated(string(1)),
  minMetadataVersion: int64(2),
  latest: bool(3),
});
export type DescribeTopicsRequest = MessageOf<typeof DescribeTopicsRequest>;

export const DescribeTopicsResponse = message("millrace.v1.DescribeTopicsResponse", {
  topics: repeated(submessage(1, TopicDescription)),
  metadataVersion: int64(2),
});
export type DescribeTopicsResponse = MessageOf<typeof DescribeTopicsResponse>;

export const ListTopicsRequest = message("millrace.v1.ListTopicsRequest", {
  minMetadataVersion: int64(1),
  includeInternal: bool(2),
});
export type ListTopicsRequest = MessageOf<typeof ListTopicsRequest>;

export const TopicListing = message("millrace.v1.TopicListing", {
  name: string(1),
  topicId: string(2),
  partitions: int32(3),
  replicas: int32(4),
  internal: bool(5),
});
export type TopicListing = MessageOf<typeof TopicListing>;

export const ListTopicsResponse = message("millrace.v1.ListTopicsResponse", {
  topics: repeated(submessage(1, TopicListing)),
  metadataVersion: int64(2),
});
export type ListTopicsResponse = MessageOf<typeof ListTopicsResponse>;

export const AlterTopicRequest = message("millrace.v1.AlterTopicRequest", {
  name: string(1),
  set: map(2),
  delete: repeated(string(3)),
  validateOnly: bool(4),
  minMetadataVersion: int64(5),
  topicId: string(6),
});
export type AlterTopicRequest = MessageOf<typeof AlterTopicRequest>;

export const AlterTopicResponse = message("millrace.v1.AlterTopicResponse", {
  configs: repeated(submessage(1, ConfigEntry)),
  metadataVersion: int64(2),
});
export type AlterTopicResponse = MessageOf<typeof AlterTopicResponse>;

export const DeleteTopicRequest = message("millrace.v1.DeleteTopicRequest", {
  name: string(1),
  topicId: string(2),
  minMetadataVersion: int64(3),
});
export type DeleteTopicRequest = MessageOf<typeof DeleteTopicRequest>;

export const DeleteTopicResponse = message("millrace.v1.DeleteTopicResponse", {
  metadataVersion: int64(1),
});
export type DeleteTopicResponse = MessageOf<typeof DeleteTopicResponse>;

export const AddPartitionsRequest = message("millrace.v1.AddPartitionsRequest", {
  name: string(1),
  partitions: int32(2),
  validateOnly: bool(3),
  minMetadataVersion: int64(4),
  topicId: string(5),
});
export type AddPartitionsRequest = MessageOf<typeof AddPartitionsRequest>;

export const AddPartitionsResponse = message("millrace.v1.AddPartitionsResponse", {
  topic: submessage(1, TopicDescription),
  metadataVersion: int64(2),
});
export type AddPartitionsResponse = MessageOf<typeof AddPartitionsResponse>;

export const PartitionTrim = message("millrace.v1.PartitionTrim", {
  partition: int32(1),
  beforeOffset: int64(2),
});
export type PartitionTrim = MessageOf<typeof PartitionTrim>;

export const TrimTopicRequest = message("millrace.v1.TrimTopicRequest", {
  name: string(1),
  partitions: repeated(submessage(2, PartitionTrim)),
  topicId: string(3),
});
export type TrimTopicRequest = MessageOf<typeof TrimTopicRequest>;

export const PartitionTrimmed = message("millrace.v1.PartitionTrimmed", {
  partition: int32(1),
  logStartOffset: int64(2),
  highWatermark: int64(3),
  moved: bool(4),
  error: submessage(5, Status),
});
export type PartitionTrimmed = MessageOf<typeof PartitionTrimmed>;

export const TrimTopicResponse = message("millrace.v1.TrimTopicResponse", {
  partitions: repeated(submessage(1, PartitionTrimmed)),
});
export type TrimTopicResponse = MessageOf<typeof TrimTopicResponse>;

export const DescribeClusterRequest = message("millrace.v1.DescribeClusterRequest", {
  minMetadataVersion: int64(1),
});
export type DescribeClusterRequest = MessageOf<typeof DescribeClusterRequest>;

export const BrokerDescription = message("millrace.v1.BrokerDescription", {
  brokerId: int32(1),
  address: string(2),
  peerAddress: string(3),
  rack: string(4),
  version: string(5),
  state: enumeration(6, BrokerState),
  incarnation: string(7),
  brokerEpoch: int64(8),
  seed: bool(9),
  featureLevel: int32(10),
});
export type BrokerDescription = MessageOf<typeof BrokerDescription>;

export const DescribeClusterResponse = message("millrace.v1.DescribeClusterResponse", {
  clusterId: string(1),
  controllerId: int32(2),
  brokers: repeated(submessage(3, BrokerDescription)),
  metadataVersion: int64(4),
  answeredBy: int32(5),
  featureLevel: int32(6),
});
export type DescribeClusterResponse = MessageOf<typeof DescribeClusterResponse>;

export const GetClusterHealthRequest = message("millrace.v1.GetClusterHealthRequest", {
  minMetadataVersion: int64(1),
});
export type GetClusterHealthRequest = MessageOf<typeof GetClusterHealthRequest>;

export const HealthReason = message("millrace.v1.HealthReason", {
  code: string(1),
  text: string(2),
});
export type HealthReason = MessageOf<typeof HealthReason>;

export const TopicPartition = message("millrace.v1.TopicPartition", {
  topic: string(1),
  partition: int32(2),
});
export type TopicPartition = MessageOf<typeof TopicPartition>;

export const GetClusterHealthResponse = message("millrace.v1.GetClusterHealthResponse", {
  healthy: bool(1),
  reasons: repeated(submessage(2, HealthReason)),
  brokersLive: int32(3),
  brokersKnown: int32(4),
  partitions: int32(5),
  leaderlessCount: int32(6),
  underReplicatedCount: int32(7),
  underMinIsrCount: int32(8),
  leaderless: repeated(submessage(9, TopicPartition)),
  underReplicated: repeated(submessage(10, TopicPartition)),
  underMinIsr: repeated(submessage(11, TopicPartition)),
  controllerId: int32(12),
  metadataVersion: int64(13),
  internalPartitions: int32(14),
});
export type GetClusterHealthResponse = MessageOf<typeof GetClusterHealthResponse>;

export const ListClusterConfigsRequest = message("millrace.v1.ListClusterConfigsRequest", {
  minMetadataVersion: int64(1),
});
export type ListClusterConfigsRequest = MessageOf<typeof ListClusterConfigsRequest>;

export const ListClusterConfigsResponse = message("millrace.v1.ListClusterConfigsResponse", {
  configs: repeated(submessage(1, ConfigEntry)),
  metadataVersion: int64(2),
});
export type ListClusterConfigsResponse = MessageOf<typeof ListClusterConfigsResponse>;

export const AlterClusterConfigsRequest = message("millrace.v1.AlterClusterConfigsRequest", {
  set: map(1),
  delete: repeated(string(2)),
  validateOnly: bool(3),
  minMetadataVersion: int64(4),
});
export type AlterClusterConfigsRequest = MessageOf<typeof AlterClusterConfigsRequest>;

export const AlterClusterConfigsResponse = message("millrace.v1.AlterClusterConfigsResponse", {
  configs: repeated(submessage(1, ConfigEntry)),
  metadataVersion: int64(2),
});
export type AlterClusterConfigsResponse = MessageOf<typeof AlterClusterConfigsResponse>;

export const TransferLeaderRequest = message("millrace.v1.TransferLeaderRequest", {
  topic: string(1),
  partition: int32(2),
  toBrokerId: int32(3),
  topicId: string(4),
});
export type TransferLeaderRequest = MessageOf<typeof TransferLeaderRequest>;

export const TransferLeaderResponse = message("millrace.v1.TransferLeaderResponse", {
  leaderId: int32(1),
  term: int64(2),
});
export type TransferLeaderResponse = MessageOf<typeof TransferLeaderResponse>;

export const MovePartitionRequest = message("millrace.v1.MovePartitionRequest", {
  topic: string(1),
  partition: int32(2),
  toBrokerIds: repeated(int32(3)),
  minMetadataVersion: int64(4),
});
export type MovePartitionRequest = MessageOf<typeof MovePartitionRequest>;

export const MovePartitionResponse = message("millrace.v1.MovePartitionResponse", {
  metadataVersion: int64(1),
});
export type MovePartitionResponse = MessageOf<typeof MovePartitionResponse>;

export const CancelMoveRequest = message("millrace.v1.CancelMoveRequest", {
  topic: string(1),
  partition: int32(2),
});
export type CancelMoveRequest = MessageOf<typeof CancelMoveRequest>;

export const CancelMoveResponse = message("millrace.v1.CancelMoveResponse", {
  metadataVersion: int64(1),
});
export type CancelMoveResponse = MessageOf<typeof CancelMoveResponse>;

export const DrainBrokerRequest = message("millrace.v1.DrainBrokerRequest", {
  brokerId: int32(1),
  undo: bool(2),
});
export type DrainBrokerRequest = MessageOf<typeof DrainBrokerRequest>;

export const DrainBrokerResponse = message("millrace.v1.DrainBrokerResponse", {
  metadataVersion: int64(1),
});
export type DrainBrokerResponse = MessageOf<typeof DrainBrokerResponse>;

export const DecommissionBrokerRequest = message("millrace.v1.DecommissionBrokerRequest", {
  brokerId: int32(1),
  undo: bool(2),
});
export type DecommissionBrokerRequest = MessageOf<typeof DecommissionBrokerRequest>;

export const DecommissionBrokerResponse = message("millrace.v1.DecommissionBrokerResponse", {
  metadataVersion: int64(1),
});
export type DecommissionBrokerResponse = MessageOf<typeof DecommissionBrokerResponse>;

export const GetBrokerStatusRequest = message("millrace.v1.GetBrokerStatusRequest", {
  brokerId: int32(1),
});
export type GetBrokerStatusRequest = MessageOf<typeof GetBrokerStatusRequest>;

export const GetBrokerStatusResponse = message("millrace.v1.GetBrokerStatusResponse", {
  broker: submessage(1, BrokerDescription),
  replicas: int32(2),
  leaders: int32(3),
  replicasToMove: int32(4),
  leadersToMove: int32(5),
  diskFreeBytes: int64(6),
  uptimeMs: int64(7),
});
export type GetBrokerStatusResponse = MessageOf<typeof GetBrokerStatusResponse>;
