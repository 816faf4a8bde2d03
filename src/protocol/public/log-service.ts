/** `millrace.v1` log_service.proto: produce and read. Meaning of each field: the .proto. */
import {
  bool,
  bytes,
  double,
  embedded,
  enumeration,
  int32,
  int64,
  type MessageOf,
  message,
  oneof,
  optional,
  repeated,
  string,
  submessage,
} from "../codec/index.ts";
import { Status } from "../rpc-status.ts";
import { Acks, Compression } from "./records.ts";

export const InitProducerRequest = message("millrace.v1.InitProducerRequest", {});
export type InitProducerRequest = MessageOf<typeof InitProducerRequest>;

export const InitProducerResponse = message("millrace.v1.InitProducerResponse", { producerId: int64(1), producerEpoch: int32(2) });
export type InitProducerResponse = MessageOf<typeof InitProducerResponse>;

export const ProduceRequest = message("millrace.v1.ProduceRequest", {
  topic: string(1),
  partition: int32(2),
  records: embedded(3),
  compressedRecords: bytes(4),
  compression: enumeration(5, Compression),
  recordCount: int32(6),
  acks: enumeration(7, Acks),
  producerId: optional(int64(8)),
  producerEpoch: int32(9),
  baseSequence: int32(10),
  direct: bool(11),
  topicId: string(12),
});
export type ProduceRequest = MessageOf<typeof ProduceRequest>;

export const ProduceResponse = message("millrace.v1.ProduceResponse", {
  baseOffset: int64(1),
  recordCount: int32(2),
  term: int64(3),
  highWatermark: int64(4),
  durableBrokerIds: repeated(int32(5)),
  leaderId: int32(6),
  leaderAddress: string(7),
  duplicate: bool(8),
  appendTimeMs: int64(9),
});
export type ProduceResponse = MessageOf<typeof ProduceResponse>;

export const ProduceBatch = message("millrace.v1.ProduceBatch", { correlationId: int64(1), request: submessage(2, ProduceRequest) });
export type ProduceBatch = MessageOf<typeof ProduceBatch>;

export const ResumePartition = message("millrace.v1.ResumePartition", { topic: string(1), partition: int32(2) });
export type ResumePartition = MessageOf<typeof ResumePartition>;

export const ProduceStreamRequest = message("millrace.v1.ProduceStreamRequest", {
  batches: repeated(submessage(1, ProduceBatch)),
  resume: repeated(submessage(2, ResumePartition)),
});
export type ProduceStreamRequest = MessageOf<typeof ProduceStreamRequest>;

export const ProduceResult = message("millrace.v1.ProduceResult", {
  correlationId: int64(1),
  response: submessage(2, ProduceResponse),
  error: submessage(3, Status),
});
export type ProduceResult = MessageOf<typeof ProduceResult>;

export const ProduceStreamResponse = message("millrace.v1.ProduceStreamResponse", {
  results: repeated(submessage(1, ProduceResult)),
  creditBytes: int64(2),
});
export type ProduceStreamResponse = MessageOf<typeof ProduceStreamResponse>;

export const FetchRequest = message("millrace.v1.FetchRequest", {
  topic: string(1),
  partition: int32(2),
  offset: int64(3),
  maxBytes: int32(4),
  minBytes: int32(5),
  maxWaitMs: int32(6),
  accept: repeated(enumeration(7, Compression)),
  direct: bool(8),
  topicId: string(9),
  lastTerm: optional(int64(10)),
});
export type FetchRequest = MessageOf<typeof FetchRequest>;

export const FetchedBatch = message("millrace.v1.FetchedBatch", {
  baseOffset: int64(1),
  recordCount: int32(2),
  records: embedded(3),
  compressedRecords: bytes(4),
  compression: enumeration(5, Compression),
  appendTimeMs: int64(6),
  term: int64(7),
  skipRecords: int32(8),
  appendTimed: bool(9),
});
export type FetchedBatch = MessageOf<typeof FetchedBatch>;

export const FetchResponse = message("millrace.v1.FetchResponse", {
  batches: repeated(submessage(1, FetchedBatch)),
  highWatermark: int64(2),
  logStartOffset: int64(3),
  nextOffset: int64(4),
  leaderId: int32(5),
  leaderAddress: string(6),
  term: int64(7),
});
export type FetchResponse = MessageOf<typeof FetchResponse>;

export const SubscribeStart = message("millrace.v1.SubscribeStart", {
  partition: int32(1),
  offset: oneof("from", int64(2)),
  timeMs: oneof("from", int64(3)),
  end: oneof("from", bool(4)),
  untilOffset: oneof("to", int64(5)),
  untilEnd: oneof("to", bool(6)),
  untilTimeMs: oneof("to", int64(7)),
  lastTerm: optional(int64(8)),
});
export type SubscribeStart = MessageOf<typeof SubscribeStart>;

export const SubscribeRequest = message("millrace.v1.SubscribeRequest", {
  topic: string(1),
  partitions: repeated(submessage(2, SubscribeStart)),
  accept: repeated(enumeration(3, Compression)),
  maxRate: double(4),
  creditBytes: int32(5),
  topicId: string(6),
});
export type SubscribeRequest = MessageOf<typeof SubscribeRequest>;

export const SubscribeResponse = message("millrace.v1.SubscribeResponse", {
  partition: int32(1),
  batches: repeated(submessage(2, FetchedBatch)),
  highWatermark: int64(3),
  nextOffset: int64(4),
  done: bool(5),
});
export type SubscribeResponse = MessageOf<typeof SubscribeResponse>;

export const ListOffsetsRequest = message("millrace.v1.ListOffsetsRequest", {
  topic: string(1),
  partitions: repeated(int32(2)),
  timeMs: optional(int64(3)),
  direct: bool(4),
  topicId: string(5),
});
export type ListOffsetsRequest = MessageOf<typeof ListOffsetsRequest>;

export const PartitionOffsets = message("millrace.v1.PartitionOffsets", {
  partition: int32(1),
  logStartOffset: int64(2),
  highWatermark: int64(3),
  offset: optional(int64(4)),
  timestampMs: optional(int64(5)),
  error: submessage(6, Status),
  leaderId: int32(7),
  term: int64(8),
  sizeBytes: int64(9),
});
export type PartitionOffsets = MessageOf<typeof PartitionOffsets>;

export const ListOffsetsResponse = message("millrace.v1.ListOffsetsResponse", { partitions: repeated(submessage(1, PartitionOffsets)) });
export type ListOffsetsResponse = MessageOf<typeof ListOffsetsResponse>;
