import { type ErrorMetadata, MillraceError } from "../../base/errors.ts";
import type { BrokerId, Offset, Term } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { SpaceView } from "../../log/disk-space.ts";
import type { ProposeRefusal } from "../../raft/types.ts";
import type { FrameDraft } from "../../records/frame-types.ts";
import type { Divergence } from "./read-terms.ts";

/** A repair of the segments of one partition takes about so long, or several times that. */
const PRODUCER_WAIT_MS = 500;

/** The errors of one partition, in words: the action, the values, what to do (style 8). `partition` is "topic-number". */

/** A record may be so far ahead of the leader's clock (design §4), milliseconds. */
const FUTURE_MAX_MS = limits["timestamp.ahead.max.ms"].value;

/** For a caller that came to the wrong broker; routers hold and forward instead (design §8). */
export function notLeader(partition: string, leader: BrokerId | undefined, term: Term): MillraceError {
  const text = `This broker does not lead ${partition}${leader === undefined ? "" : `; broker ${leader} does`}`;
  return new MillraceError("NOT_LEADER", text, { ...(leader === undefined ? {} : { leader_id: String(leader) }), term: String(term) });
}

export function pendingFull(partition: string, pendingBytes: number, limitBytes: number): MillraceError {
  const text = `Cannot append to ${partition}: ${pendingBytes} bytes wait for acknowledgement`;
  return new MillraceError("PENDING_FULL", text, { limit: "produce.pending.max.bytes", limit_bytes: String(limitBytes) }, 50);
}

/** Of all partitions that this broker leads together: their frames keep the files of the ring (`LogStore.uncommittedBytesMax`). */
export function uncommittedFull(partition: string, bytes: number, limitBytes: number): MillraceError {
  const text = `Cannot append to ${partition}: ${bytes} bytes in this broker's write-ahead log are not committed, a quarter of it; followers do not keep up`;
  return new MillraceError("PENDING_FULL", text, { limit: "wal.files.max", limit_bytes: String(limitBytes) }, 50);
}

/** The ring has no room for records now: what is in it is not in segments yet, or not committed. */
export function ringFull(partition: string): MillraceError {
  const text = `Cannot append to ${partition}: this broker's write-ahead log has no room for records now`;
  return new MillraceError("PENDING_FULL", text, { limit: "wal.files.max" }, 50);
}

/** @param full brokers of this partition whose disks have no room, the leader's own included */
export function diskFull(partition: string, full: readonly BrokerId[], replicas: number, own: SpaceView | undefined): MillraceError {
  const who =
    own === undefined
      ? `the disks of ${full.length} of its ${replicas} replicas are full (brokers ${full.join(", ")})`
      : own.freeBytes !== undefined && own.freeBytes < own.reserveBytes
        ? `the leader's disk has ${own.freeBytes} bytes free, its reserve is ${own.reserveBytes}`
        : "the leader's disk has no room left";
  return new MillraceError(
    "DISK_FULL",
    `Cannot append to ${partition}: ${who}`,
    {
      limit: "disk.reserve.bytes",
      broker_ids: full.join(","),
      ...(own === undefined ? {} : { limit_bytes: String(own.reserveBytes), free_bytes: String(own.freeBytes ?? 0) }),
    },
    DISK_FULL_RETRY_MS,
  );
}

/** Space is looked at once a second. */
const DISK_FULL_RETRY_MS = 1_000;

/** @param wall the leader's clock @returns undefined when the batch's timestamps are fine */
export function refuseFuture(partition: string, draft: FrameDraft, wall: number): MillraceError | undefined {
  // What it says of its time does not count.
  if (draft.appendTimed === true) return undefined;
  if (draft.maxTimestamp <= wall + FUTURE_MAX_MS) return undefined;
  const text = `Cannot append to ${partition}: a record is stamped ${draft.maxTimestamp}, more than an hour ahead of the leader's clock`;
  return new MillraceError("TIMESTAMP_TOO_NEW", text, {
    timestamp_ms: String(draft.maxTimestamp),
    limit: "timestamp.ahead.max.ms",
  });
}

export function leadershipLost(partition: string): MillraceError {
  const text = `The leader of ${partition} stepped down before the batch was acknowledged: it may or may not be written`;
  return new MillraceError("LEADERSHIP_LOST", text);
}

export function belowMinimum(partition: string, isrSize: number, minIsr: number): MillraceError {
  const text = `In-sync replicas of ${partition} fell below ${minIsr} after the append: it may be written`;
  return new MillraceError("NOT_ENOUGH_REPLICAS_AFTER_APPEND", text, {
    in_sync_replicas: String(isrSize),
    min_insync_replicas: String(minIsr),
  });
}

export function tooLarge(draft: FrameDraft): MillraceError {
  return new MillraceError("RECORD_SET_TOO_LARGE", `A batch of ${draft.payload.byteLength} bytes does not fit one frame`);
}

/** A machine's facts: the group has too many uncommitted already, or they fit no frame. @param elsewhere what is said by who does not lead */
export function refusedFrame(partition: string, why: ProposeRefusal, bytes: number, elsewhere: MillraceError): MillraceError {
  if (why === "too-large")
    return new MillraceError("REQUEST_TOO_LARGE", `What is to be recorded in ${partition} takes ${bytes} bytes, more than one frame has`, {
      limit: "wal.file.bytes",
    });
  if (why !== "full") return elsewhere;
  const text = `Cannot record ${bytes} bytes in ${partition}: as many as may be are not committed; followers do not keep up`;
  return new MillraceError("PENDING_FULL", text, { limit: "produce.pending.max.bytes" }, 50);
}

export function alreadyWritten(partition: string, draft: FrameDraft): MillraceError {
  const text = `Batch ${draft.baseSequence} of producer ${draft.producerId} is in ${partition} already, below the last five`;
  return new MillraceError("ALREADY_WRITTEN", text);
}

/** Damage keeps the leader from knowing whether this was written before: the repair ends it. */
export function producerNotKnown(partition: string, draft: FrameDraft): MillraceError {
  const text = `${partition} is being repaired and cannot tell yet whether it holds batch ${draft.baseSequence} of producer ${draft.producerId}; nothing was written`;
  return new MillraceError("NOT_READY", text, {}, PRODUCER_WAIT_MS);
}

export function refusedSequence(
  verdict:
    | { readonly code: "UNKNOWN_PRODUCER" | "INVALID_REQUEST" }
    | { readonly code: "OUT_OF_ORDER_SEQUENCE"; readonly expected: number },
  draft: FrameDraft,
  partition: string,
): MillraceError {
  const { producerId, baseSequence, producerEpoch } = draft;
  const facts = { producer_id: String(producerId), base_sequence: String(baseSequence) };
  switch (verdict.code) {
    case "OUT_OF_ORDER_SEQUENCE": {
      const text = `Cannot append batch ${baseSequence} of producer ${producerId} to ${partition}: the next sequence is ${verdict.expected}`;
      return new MillraceError("OUT_OF_ORDER_SEQUENCE", text, { ...facts, expected_sequence: String(verdict.expected) });
    }
    case "UNKNOWN_PRODUCER": {
      const text = `${partition} does not know producer ${producerId}, and batch ${baseSequence} is not its first`;
      return new MillraceError("UNKNOWN_PRODUCER", text, facts);
    }
    default: {
      const text = `Producer epoch must be 0 in this version: got ${producerEpoch}`;
      return new MillraceError("INVALID_REQUEST", text, { ...facts, field: "producer_epoch" });
    }
  }
}

/** What a reader is told of the log that does not have its place. */
interface ReadLog {
  readonly name: string;
  readonly options: { readonly topic: string; readonly number: number };
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
}

function rangeOf({ options, logStartOffset, highWatermark }: ReadLog): ErrorMetadata {
  const range = { log_start_offset: String(logStartOffset), high_watermark: String(highWatermark) };
  return { topic: options.topic, partition: String(options.number), ...range };
}

function divergenceSaid({ offset, term }: Divergence): ErrorMetadata {
  return { diverging_offset: String(offset), ...(term === undefined ? {} : { diverging_term: String(term) }) };
}

/** @param parted where the log parts from the one that the reader read, when that is known */
export function outOfRange(log: ReadLog, offset: Offset, parted?: Divergence): MillraceError {
  const text = `Cannot read offset ${offset} of ${log.name}: it holds ${log.logStartOffset} to ${log.highWatermark}`;
  return new MillraceError("OFFSET_OUT_OF_RANGE", text, { ...rangeOf(log), ...(parted === undefined ? {} : divergenceSaid(parted)) });
}

/** @param lastTerm of the record before `offset`, as the reader got it */
export function logTruncated(log: ReadLog, offset: Offset, lastTerm: Term, parted: Divergence): MillraceError {
  const said = parted.term === undefined ? " as far as can be told now" : parted.term === lastTerm ? "" : " at the latest";
  const where = `from offset ${parted.offset} on${said}`;
  const text = `Cannot go on at offset ${offset} of ${log.name}: the record before it is not the one of term ${lastTerm} that was read. The log lost its end and was written anew, ${where}`;
  return new MillraceError("LOG_TRUNCATED", text, { ...rangeOf(log), term: String(lastTerm), ...divergenceSaid(parted) });
}
