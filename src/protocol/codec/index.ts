/**
 * A small, strict, declarative protobuf codec (proto3 wire format, https://protobuf.dev/programming-guides/encoding).
 *
 * `export const Ping = message("millrace.v1.Ping", { sentAtMs: int64(1) }); export type Ping = MessageOf<typeof Ping>;`
 */
export {
  bool,
  bytes,
  double,
  type EnumObject,
  embedded,
  enumeration,
  type Field,
  int32,
  int64,
  oneof,
  optional,
  repeated,
  string,
  submessage,
  uint32,
} from "./field.ts";
export { type MessageInput, type MessageOf, type MessageType, map, message } from "./message.ts";
