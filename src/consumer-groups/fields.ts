import type { LogIndex, TopicId } from "../base/ids.ts";
import { type Field, int32, int64, message, repeated, string } from "../protocol/codec/index.ts";

/** Fields whose values have a type of their own; what is read is judged by whoever decodes (`checkGroup`, `replayFact`). */
export const topicIdField = (number: number): Field<TopicId> => string(number) as Field<TopicId>;
export const logIndexField = (number: number): Field<LogIndex> => int64(number) as Field<LogIndex>;

/** Partitions of one topic. */
export const TopicPartitions = message("millrace.internal.v1.GroupTopicPartitions", {
  topicId: topicIdField(1),
  partitions: repeated(int32(2)),
});
