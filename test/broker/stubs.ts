import type { PublicMethod } from "../../src/protocol/methods.ts";
import { AdminService, GroupService, LogService } from "../../src/protocol/methods.ts";
import {
  AddPartitionsRequest,
  AddPartitionsResponse,
  AlterClusterConfigsRequest,
  AlterClusterConfigsResponse,
  AlterTopicRequest,
  AlterTopicResponse,
  CommitOffsetsRequest,
  CommitOffsetsResponse,
  CreateTopicRequest,
  CreateTopicResponse,
  DeleteGroupRequest,
  DeleteGroupResponse,
  DeleteOffsetsRequest,
  DeleteOffsetsResponse,
  DeleteTopicRequest,
  DeleteTopicResponse,
  DescribeClusterRequest,
  DescribeClusterResponse,
  DescribeGroupRequest,
  DescribeGroupResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  FetchRequest,
  FetchResponse,
  GetClusterHealthRequest,
  GetClusterHealthResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  InitProducerRequest,
  InitProducerResponse,
  ListClusterConfigsRequest,
  ListClusterConfigsResponse,
  ListGroupsRequest,
  ListGroupsResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  ListTopicsRequest,
  ListTopicsResponse,
  ProduceRequest,
  ProduceResponse,
  SeekGroupRequest,
  SeekGroupResponse,
  TransferLeaderRequest,
  TransferLeaderResponse,
  TrimTopicRequest,
  TrimTopicResponse,
} from "../../src/protocol/public.ts";

/** A unary method as a plain stub knows it: a path and two messages. */
export interface Rpc<In, Out> {
  readonly path: string;
  encode(input: In): Uint8Array;
  decode(bytes: Uint8Array): Out;
}

function rpc<In, Out>(
  { path }: PublicMethod,
  request: { encode(value: In): Uint8Array },
  response: { decode(bytes: Uint8Array): Out },
): Rpc<In, Out> {
  return { path, encode: (input) => request.encode(input), decode: (bytes) => response.decode(bytes) };
}

export const InitProducer = rpc(LogService.InitProducer, InitProducerRequest, InitProducerResponse);
export const Produce = rpc(LogService.Produce, ProduceRequest, ProduceResponse);
export const Fetch = rpc(LogService.Fetch, FetchRequest, FetchResponse);
export const ListOffsets = rpc(LogService.ListOffsets, ListOffsetsRequest, ListOffsetsResponse);
export const CreateTopic = rpc(AdminService.CreateTopic, CreateTopicRequest, CreateTopicResponse);
export const DescribeTopics = rpc(AdminService.DescribeTopics, DescribeTopicsRequest, DescribeTopicsResponse);
export const ListTopics = rpc(AdminService.ListTopics, ListTopicsRequest, ListTopicsResponse);
export const AlterTopic = rpc(AdminService.AlterTopic, AlterTopicRequest, AlterTopicResponse);
export const DeleteTopic = rpc(AdminService.DeleteTopic, DeleteTopicRequest, DeleteTopicResponse);
export const TrimTopic = rpc(AdminService.TrimTopic, TrimTopicRequest, TrimTopicResponse);
export const AddPartitions = rpc(AdminService.AddPartitions, AddPartitionsRequest, AddPartitionsResponse);
export const ListClusterConfigs = rpc(AdminService.ListClusterConfigs, ListClusterConfigsRequest, ListClusterConfigsResponse);
export const AlterClusterConfigs = rpc(AdminService.AlterClusterConfigs, AlterClusterConfigsRequest, AlterClusterConfigsResponse);
export const DescribeCluster = rpc(AdminService.DescribeCluster, DescribeClusterRequest, DescribeClusterResponse);
export const GetClusterHealth = rpc(AdminService.GetClusterHealth, GetClusterHealthRequest, GetClusterHealthResponse);
export const TransferLeader = rpc(AdminService.TransferLeader, TransferLeaderRequest, TransferLeaderResponse);
export const Heartbeat = rpc(GroupService.Heartbeat, HeartbeatRequest, HeartbeatResponse);
export const CommitOffsets = rpc(GroupService.CommitOffsets, CommitOffsetsRequest, CommitOffsetsResponse);
export const FetchOffsets = rpc(GroupService.FetchOffsets, FetchOffsetsRequest, FetchOffsetsResponse);
export const ListGroups = rpc(GroupService.ListGroups, ListGroupsRequest, ListGroupsResponse);
export const DescribeGroup = rpc(GroupService.DescribeGroup, DescribeGroupRequest, DescribeGroupResponse);
export const SeekGroup = rpc(GroupService.SeekGroup, SeekGroupRequest, SeekGroupResponse);
export const DeleteGroup = rpc(GroupService.DeleteGroup, DeleteGroupRequest, DeleteGroupResponse);
export const DeleteOffsets = rpc(GroupService.DeleteOffsets, DeleteOffsetsRequest, DeleteOffsetsResponse);
