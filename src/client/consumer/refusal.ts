import type { MillraceError } from "../../base/errors.ts";
import { LogTruncated, OffsetOutOfRange, ofDeletedTopic } from "../errors.ts";
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
  if (error.code !== "OFFSET_OUT_OF_RANGE" && error.code !== "LOG_TRUNCATED") return error;
  const { partition, log_start_offset: start, high_watermark: end, diverging_offset: parted } = error.metadata;
  const part =
    partition === undefined ? (parts.length === 1 ? first : undefined) : parts.find((one) => one.partition === Number(partition));
  if (part === undefined || start === undefined || end === undefined) return error;
  const { topic, next, lastTerm } = part;
  const range = { logStartOffset: Number(start), highWatermark: Number(end) };
  const divergingOffset = parted === undefined ? undefined : Number(parted);
  const at = { topic, partition: part.partition, offset: next as number, ...range, divergingOffset };
  if (error.code === "OFFSET_OUT_OF_RANGE" || divergingOffset === undefined || lastTerm === undefined) return new OffsetOutOfRange(at);
  return new LogTruncated({ ...at, divergingOffset, term: lastTerm, exactly: error.metadata["diverging_term"] === String(lastTerm) });
}
