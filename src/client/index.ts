/** The client on its ports. Users import `millrace/client`, which puts the real ports in (`src/client-entry.ts`). */
export { type ErrorCode, type ErrorMetadata, MillraceError } from "../base/errors.ts";
export type {
  CommittedOffset,
  ConfigEntry,
  DescribeGroupResponse,
  GroupListing,
  PartitionDescription,
  PartitionLag,
  PartitionOffsets,
  SeekResult,
  TopicDescription,
  TopicListing,
} from "../protocol/public.ts";
export { BrokerState, GroupState, LagVerdict } from "../protocol/public.ts";
export type { RecordHeader } from "../records/log-record.ts";
export { Admin, type ConfigChange, type NewTopic, type TopicOptions, type TrimmedPartition, type TrimOf } from "./admin.ts";
export type { AdminOptions } from "./admin-calls.ts";
export { Client, type ClientOptions } from "./client.ts";
export type { ConsumedBatch } from "./consumer/consumed-batch.ts";
export type { ConsumedRecord } from "./consumer/consumed-record.ts";
export { Consumer, type ConsumerHandlers, type PartitionName } from "./consumer/consumer.ts";
export type { Assignment, ConsumerOptions, From, OffsetPlace, Until } from "./consumer/options.ts";
export { DeliveryFailed, HandlerTimedOut, LogTruncated, NoCommittedOffset, OffsetOutOfRange, TopicDeleted } from "./errors.ts";
export { type CloseGroupOptions, GroupConsumer } from "./group/group-consumer.ts";
export type {
  CommitPosition,
  FencingToken,
  GroupConsumerOptions,
  GroupRun,
  HandlerContext,
  OnError,
  RecordHandler,
  StartPlace,
} from "./group/options.ts";
export { GroupAdmin, type RefusedPartition, type SeekOptions, type SeekPlace, type SeekTo, type TopicSelection } from "./group-admin.ts";
export type { ClientPorts } from "./ports.ts";
export type { AcksName, CompressionName, ProducerOptions } from "./producer/options.ts";
export { Producer, type ProducerStats } from "./producer/producer.ts";
export type { ProducerRecord, RecordAck } from "./producer/record.ts";
