import { MillraceError } from "../base/errors.ts";
import type { LogIndex } from "../base/ids.ts";
import { bool, int32, message, repeated, submessage } from "../protocol/codec/index.ts";
import { type UnionOf, UnionType } from "../protocol/codec/union.ts";
import { errorOf, Status, statusOf } from "../protocol/rpc-status.ts";
import { IsrResult } from "./commands.ts";
import { logIndexField, producerIdField, replicaIdField, topicIdField } from "./fields.ts";

/** Done, nothing to say. */
export const Done = message("millrace.internal.v1.Done", {});
export const Registered = message("millrace.internal.v1.Registered", {
  /** This broker's replica of the metadata group. */
  metadataReplicaId: replicaIdField(1),
});
export const HeartbeatSeen = message("millrace.internal.v1.HeartbeatSeen", { wasFenced: bool(1) });
export const TopicMade = message("millrace.internal.v1.TopicMade", {
  topicId: topicIdField(1),
  partitions: int32(2),
  replicas: int32(3),
});
export const TopicGone = message("millrace.internal.v1.TopicGone", { topicId: topicIdField(1) });
export const IsrResults = message("millrace.internal.v1.IsrResults", { results: repeated(submessage(1, IsrResult)) });
export const ProducerIds = message("millrace.internal.v1.ProducerIds", { first: producerIdField(1), count: int32(2) });

export const ReplyUnion = new UnionType("millrace.internal.v1.Reply", {
  done: [1, Done],
  registered: [2, Registered],
  heartbeatSeen: [3, HeartbeatSeen],
  topicMade: [4, TopicMade],
  topicGone: [5, TopicGone],
  isrResults: [6, IsrResults],
  producerIds: [7, ProducerIds],
});
export type Reply = UnionOf<typeof ReplyUnion>;

/** The controller's answer to one command. */
export type CommandAnswer =
  | { readonly reply: Reply /** Index of the facts it made, or of the last one it rests on. */; readonly metadataVersion: LogIndex }
  | { readonly error: MillraceError };

const Answer = message("millrace.internal.v1.CommandAnswer", {
  reply: submessage(1, ReplyUnion.envelope),
  metadataVersion: logIndexField(2),
  error: submessage(3, Status),
});

export function encodeAnswer(answer: CommandAnswer): Uint8Array {
  return "error" in answer
    ? Answer.encode({ error: statusOf(answer.error) })
    : Answer.encode({ reply: ReplyUnion.wrap(answer.reply), metadataVersion: answer.metadataVersion });
}

/** @throws {MillraceError} INVALID_REQUEST when it is not an answer */
export function decodeAnswer(bytes: Uint8Array): CommandAnswer {
  const { reply, metadataVersion, error } = Answer.decode(bytes);
  if (reply !== undefined) return { reply: ReplyUnion.unwrap(reply), metadataVersion };
  const known = error === undefined ? undefined : errorOf(error);
  return {
    error: known ?? new MillraceError("METADATA_OUTCOME_UNKNOWN", "The controller answered with an error this version does not know"),
  };
}
