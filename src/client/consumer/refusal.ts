import type { MillraceError } from "../../base/errors.ts";
import { OffsetOutOfRange, ofDeletedTopic } from "../errors.ts";
import type { AssignedPartition } from "./assigned-partition.ts";

/**
 * Why a stream was refused for good, as consumers say it: a deleted topic with its id; an offset out of range with its range, as far as the
 * broker told which partition it was.
 *
 * @param parts of the stream
 */
export function refusalOf(error: MillraceError, parts: readonly AssignedPartition[]): MillraceError {
  const [first] = parts;
  if (first !== undefined && error.code === "UNKNOWN_TOPIC") return ofDeletedTopic(error, first.topic, first.topicId);
  if (error.code !== "OFFSET_OUT_OF_RANGE") return error;
  const { partition, log_start_offset: start, high_watermark: end } = error.metadata;
  const part =
    partition === undefined ? (parts.length === 1 ? first : undefined) : parts.find((one) => one.partition === Number(partition));
  if (part === undefined || start === undefined || end === undefined) return error;
  return new OffsetOutOfRange({
    topic: part.topic,
    partition: part.partition,
    offset: part.next as number,
    logStartOffset: Number(start),
    highWatermark: Number(end),
  });
}
