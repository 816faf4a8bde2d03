/** `millrace.internal.v1` peer.proto: what brokers say to each other. Meaning of each field: the .proto. */
import { bool, int32, int64, type MessageOf, message, repeated, string, submessage } from "./codec/index.ts";
import { Status } from "./rpc-status.ts";

export const DiskMemory = message("millrace.internal.v1.DiskMemory", { incarnation: string(1), blockSequence: int64(2) });
export type DiskMemory = MessageOf<typeof DiskMemory>;

export const Hello = message("millrace.internal.v1.Hello", {
  protocol: int32(1),
  clusterId: string(2),
  recoveryEpoch: int64(3),
  fromBroker: int32(4),
  toBroker: int32(5),
  incarnation: string(6),
  startNumber: int64(7),
  featureLevel: int32(8),
  durableBlockSequence: int64(9),
  kind: string(10),
  remembered: repeated(submessage(11, DiskMemory)),
  admittedBlockSequence: int64(12),
  recoveries: int64(13),
  featureLevelMin: int32(14),
  clusterLevel: int32(15),
});
export type Hello = MessageOf<typeof Hello>;

export const CallRequest = message("millrace.internal.v1.CallRequest", {
  callId: int64(1),
  method: string(2),
  timeoutMs: int32(3),
  forwarded: bool(4),
});
export type CallRequest = MessageOf<typeof CallRequest>;

export const CallReply = message("millrace.internal.v1.CallReply", { callId: int64(1), error: submessage(2, Status) });
export type CallReply = MessageOf<typeof CallReply>;

export const CallCancel = message("millrace.internal.v1.CallCancel", { callId: int64(1) });
export type CallCancel = MessageOf<typeof CallCancel>;
