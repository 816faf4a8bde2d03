/** Names of the gRPC status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html) this project sends. */
export type StatusName =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS";

export interface ErrorSpec {
  readonly status: StatusName;
  /** Sending the same request again may succeed without anybody changing it. */
  readonly retriable: boolean;
  /** True: nothing was written. False: it may have been written (design §6 "Outcome"). */
  readonly outcomeKnown: boolean;
  /** One sentence for docs/errors.md: what it means and what to do. */
  readonly doc: string;
}

const refused = (status: StatusName, doc: string): ErrorSpec => ({ status, retriable: false, outcomeKnown: true, doc });
const retry = (status: StatusName, doc: string): ErrorSpec => ({ status, retriable: true, outcomeKnown: true, doc });
const unknown = (status: StatusName, doc: string): ErrorSpec => ({ status, retriable: true, outcomeKnown: false, doc });

/**
 * The one table of errors (design §8): it feeds the gRPC status, `ErrorInfo.reason`, the client's retry rule and docs/errors.md.
 * `UNAVAILABLE` always means that nothing was written; an unknown outcome is always status `UNKNOWN` (or the caller's own
 * `DEADLINE_EXCEEDED` / `CANCELLED`).
 */
export const errors = {
  // Routing and leadership
  NOT_LEADER: retry(
    "FAILED_PRECONDITION",
    "This broker does not lead the partition; `leader_id` and `leader_address` name who does. Nothing was written.",
  ),
  LEADER_UNKNOWN: retry("UNAVAILABLE", "No leader could be found within `forward.wait.ms`. Nothing was written; send again."),
  LEADERSHIP_LOST: unknown(
    "UNKNOWN",
    "The leader stepped down while the batch was waiting. It may or may not have been written; an idempotent producer may send it again.",
  ),
  HOP_LOST: unknown("UNKNOWN", "The broker that forwarded the call lost its connection to the leader. The outcome is unknown."),
  SHUTTING_DOWN: retry("UNAVAILABLE", "The broker is stopping. Nothing was written; use another broker."),
  NOT_READY: retry(
    "UNAVAILABLE",
    "The broker has not joined its cluster yet, or repairs what tells it whether a batch with a producer id is a retry. Nothing was written.",
  ),
  // Acknowledgement levels
  NOT_ENOUGH_REPLICAS: retry(
    "UNAVAILABLE",
    "Fewer in-sync replicas than `min.insync.replicas`. Nothing was written; wait, or use acks=QUORUM.",
  ),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: unknown(
    "UNKNOWN",
    "The in-sync replicas fell below `min.insync.replicas` after the batch was appended. It may be committed.",
  ),
  ACKS_NOT_ALLOWED: refused("INVALID_ARGUMENT", "The topic or the producer id does not allow this acks level."),
  REQUEST_TIMED_OUT: unknown("DEADLINE_EXCEEDED", "The deadline passed before the batch was acknowledged. It may have been written."),
  DEADLINE_PASSED: retry("DEADLINE_EXCEEDED", "The deadline passed before anything was written."),
  CALL_CANCELLED: unknown("CANCELLED", "The caller went away. What was appended stays."),
  // Idempotent producers
  UNKNOWN_PRODUCER: refused(
    "FAILED_PRECONDITION",
    "The partition does not know this producer id, and the batch does not start at sequence 0. Take a new producer id.",
  ),
  OUT_OF_ORDER_SEQUENCE: refused("FAILED_PRECONDITION", "The base sequence does not follow the last one (`expected_sequence`)."),
  ALREADY_WRITTEN: refused("ALREADY_EXISTS", "The batch was written before, too long ago to remember its offset."),
  PRECEDING_FAILED: retry("ABORTED", "An earlier batch of this partition failed on this stream; resume the partition first."),
  // Requests
  INVALID_REQUEST: refused("INVALID_ARGUMENT", "A field of the request is missing or out of range; `field` names it."),
  MALFORMED_RECORD_SET: refused("INVALID_ARGUMENT", "The record set is not a well-formed `millrace.v1.RecordSet`; `position` says where."),
  RECORD_SET_TOO_LARGE: refused("INVALID_ARGUMENT", "The record set is larger than `max.message.bytes`."),
  TIMESTAMP_TOO_NEW: refused("INVALID_ARGUMENT", "A record is stamped more than an hour ahead of the leader's clock."),
  COMPRESSION_UNSUPPORTED: refused(
    "INVALID_ARGUMENT",
    "This codec is not known to this version, or the reader does not accept what is stored.",
  ),
  INVALID_NAME: refused("INVALID_ARGUMENT", "Names are 1 to 249 of a-z A-Z 0-9 . _ - and neither `.` nor `..` nor begin with `__`."),
  INTERNAL_TOPIC: refused(
    "PERMISSION_DENIED",
    "Topics that begin with `__` are the cluster's own: they are neither read nor written nor changed by clients. Nothing was written.",
  ),
  INVALID_CONFIG: refused("INVALID_ARGUMENT", "A configuration key is unknown or its value out of range; `key` and `nearest` help."),
  NOT_IMPLEMENTED: refused("UNIMPLEMENTED", "This version does not have this call; `method` names it."),
  // Things that are or are not there
  UNKNOWN_TOPIC: refused(
    "NOT_FOUND",
    "No topic of this name or id. `topic_id` names the one that was meant when another topic has its name now: that one was deleted.",
  ),
  UNKNOWN_PARTITION: refused("NOT_FOUND", "The topic has fewer partitions; `partitions` says how many."),
  UNKNOWN_BROKER: refused("NOT_FOUND", "No broker of this id is registered."),
  TOPIC_EXISTS: refused("ALREADY_EXISTS", "A topic of this name exists."),
  OFFSET_OUT_OF_RANGE: refused(
    "OUT_OF_RANGE",
    "The offset is below the log start offset or above the high watermark; `log_start_offset` and `high_watermark` give the range. With `last_term`, `diverging_offset` as of LOG_TRUNCATED.",
  ),
  LOG_TRUNCATED: refused(
    "OUT_OF_RANGE",
    "The record before the offset is not the one of that term (`last_term`): the log lost its end, by `recover` for example, and was written anew below the place the reader has. `diverging_offset` says from where on its records are others than those that were read; with a `diverging_term` other than `term`, at the latest; without one, as far as can be told: the rest was trimmed away or is damaged. Read again from there, or from the start.",
  ),
  // Consumer groups
  UNKNOWN_GROUP: refused("NOT_FOUND", "No consumer group of this name."),
  UNKNOWN_MEMBER: refused(
    "NOT_FOUND",
    "The group has no such member: it left, its session or its time to give partitions back ran out, or the group was moved by force. Give up all partitions and join again with member epoch 0.",
  ),
  MEMBER_FENCED: refused(
    "FAILED_PRECONDITION",
    "The member epoch is not one of the member's present life: it joined again since, or said that it leaves. Give up all partitions and join again with member epoch 0.",
  ),
  STALE_MEMBER_EPOCH: refused(
    "FAILED_PRECONDITION",
    "The partition was granted at a later member epoch (`assigned_epoch`) than the commit names: it was made before. Nothing was committed for it.",
  ),
  INSTANCE_ID_IN_USE: retry(
    "ALREADY_EXISTS",
    "Another member of the group (`member_id`) has this instance id, and its session is not over. Wait for that, or give each process its own.",
  ),
  INSTANCE_FENCED: refused("FAILED_PRECONDITION", "Another process (`member_id`) has taken the place of this instance id. Stop this one."),
  PARTITION_NOT_OWNED: refused(
    "FAILED_PRECONDITION",
    "The member does not hold the partition; `owner` says who does. Nothing was committed for it; stop processing it.",
  ),
  COMMIT_BEHIND: refused(
    "FAILED_PRECONDITION",
    "The group has committed a later offset (`committed_offset`). Commits go forwards only; `SeekGroup` goes back.",
  ),
  OFFSET_METADATA_TOO_LARGE: refused("INVALID_ARGUMENT", "The text beside a committed offset is longer than `limit` allows."),
  NO_COMMITTED_OFFSETS: refused(
    "FAILED_PRECONDITION",
    "A group was to be moved to where another one (`group`) is, and that one has committed nothing of these partitions. Name others, or another group.",
  ),
  GROUP_NOT_EMPTY: refused(
    "FAILED_PRECONDITION",
    "The group has members (`members`). Stop them first; `SeekGroup` can also be forced, which makes them join again.",
  ),
  // Limits
  PENDING_FULL: retry(
    "RESOURCE_EXHAUSTED",
    "Too many bytes wait for acknowledgement (`limit`). Nothing was written; send again after the delay.",
  ),
  REQUEST_TOO_LARGE: refused(
    "RESOURCE_EXHAUSTED",
    "A message or the headers of the call are larger than `limit` allows. Nothing of that message was written; it ends a stream.",
  ),
  TOO_MANY_REQUESTS: retry("RESOURCE_EXHAUSTED", "A named limit (`limit`) is reached. Nothing was written."),
  DISK_FULL: retry(
    "RESOURCE_EXHAUSTED",
    "The leader's disk, or the disks of so many replicas that no majority is left, have less free than `disk.reserve.bytes`. Nothing was written; records are taken again as soon as there is space.",
  ),
  INSUFFICIENT_BROKERS: retry("FAILED_PRECONDITION", "Fewer live brokers than replicas asked for."),
  // Cluster
  DUPLICATE_BROKER: refused("ALREADY_EXISTS", "A live broker with this id runs on another disk."),
  WRONG_CLUSTER: refused("FAILED_PRECONDITION", "The other side belongs to another cluster."),
  UNSUPPORTED_FEATURE_LEVEL: refused(
    "FAILED_PRECONDITION",
    "The broker's version does not understand the feature level of the cluster (`feature_level`, `feature_level_min`, `feature_level_max`): it was rolled back too far, or skips a version. Or what was asked for takes a higher level (`needs_level`) than the cluster has while brokers of before are registered. `needs_version` says which one to start them with.",
  ),
  STALE_VERSION: retry("ABORTED", "A compare-and-set lost against a newer version or term."),
  RECOVERY_REFUSED: refused(
    "FAILED_PRECONDITION",
    "A recovery after a lost majority was not begun; `why` says whether the plan is stale, of another cluster, not needed, or for another broker. Nothing was changed.",
  ),
  FENCED: refused(
    "FAILED_PRECONDITION",
    "The metadata was recovered without this broker's disk: what it held of it is fenced. Start the broker again; it joins what was recovered.",
  ),
  TRANSFER_FAILED: retry("ABORTED", "Leadership could not be handed over; the old leader goes on."),
  CONTROLLER_UNKNOWN: retry("UNAVAILABLE", "The metadata group has no leader now. Nothing was written."),
  METADATA_OUTCOME_UNKNOWN: unknown(
    "UNKNOWN",
    "The controller changed while the command was being recorded; describe to see whether it took effect.",
  ),
  // Said by the client itself
  BROKERS_UNREACHABLE: retry(
    "UNAVAILABLE",
    "No broker the client knows could be reached. Nothing was written; check the addresses and send again.",
  ),
  CONNECTION_LOST: unknown("UNKNOWN", "The connection broke before the answer came, or the answer was not ours. The outcome is unknown."),
  CLIENT_CLOSED: refused("CANCELLED", "The client was closed before the record was sent. Nothing was written."),
  HANDLER_TIMED_OUT: refused(
    "DEADLINE_EXCEEDED",
    "A handler took longer than `handlerTimeoutMs`; its partition was given up. The record is not done with, and is handled again by whoever has the partition next.",
  ),
  // Stored data and bugs
  DATA_LOSS: refused("DATA_LOSS", "The range is damaged on every replica."),
  INTERNAL: unknown("UNKNOWN", "A bug in Millrace; the broker's log has the details. The outcome is unknown."),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof errors;

/** Facts needed to act on an error; sent as `ErrorInfo.metadata`. Keys are snake_case. */
export type ErrorMetadata = Readonly<Record<string, string>>;

/**
 * An expected failure with a stable code (style 8). The message states the action and the values:
 * "Cannot read offset 12: log starts at 40".
 */
export class MillraceError extends Error {
  override readonly name: string = "MillraceError";
  readonly code: ErrorCode;
  readonly metadata: ErrorMetadata;
  /** When to try again, milliseconds; sent as `RetryInfo`. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, metadata: ErrorMetadata = {}, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.metadata = metadata;
    this.retryAfterMs = retryAfterMs;
  }

  get status(): StatusName {
    return errors[this.code].status;
  }
  get retriable(): boolean {
    return errors[this.code].retriable;
  }
  get outcomeKnown(): boolean {
    return errors[this.code].outcomeKnown;
  }
}
