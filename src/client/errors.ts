import { type ErrorMetadata, MillraceError } from "../base/errors.ts";
import { RpcFailure } from "../base/ports/rpc-client.ts";

interface OutOfRange {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly divergingOffset?: number | undefined;
}

/** The offset asked for is not in the log; the range it may be in is said. */
export class OffsetOutOfRange extends MillraceError {
  override readonly name: string = "OffsetOutOfRange";
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  /** The log lost its end after this reader had read up to `offset`: from here on its records are others. Undefined: not known to have. */
  readonly divergingOffset: number | undefined;

  constructor(at: OutOfRange, as: { readonly code: "OFFSET_OUT_OF_RANGE" | "LOG_TRUNCATED"; readonly text?: string } = OUT_OF_RANGE) {
    super(
      as.code,
      as.text ??
        `Cannot read offset ${at.offset} of ${at.topic}/${at.partition}: the log holds ${at.logStartOffset} to ${at.highWatermark}`,
      {
        topic: at.topic,
        partition: String(at.partition),
        log_start_offset: String(at.logStartOffset),
        high_watermark: String(at.highWatermark),
        ...(at.divergingOffset === undefined ? {} : { diverging_offset: String(at.divergingOffset) }),
      },
    );
    this.topic = at.topic;
    this.partition = at.partition;
    this.offset = at.offset;
    this.logStartOffset = at.logStartOffset;
    this.highWatermark = at.highWatermark;
    this.divergingOffset = at.divergingOffset;
  }
}

const OUT_OF_RANGE = { code: "OFFSET_OUT_OF_RANGE" } as const;

/**
 * The offset is in the log, but the record before it is not the one that was read: the log lost its end (`recover`) and was written anew, below
 * the place of this reader too. To go on there would leave records out.
 */
export class LogTruncated extends OffsetOutOfRange {
  override readonly name = "LogTruncated";
  override readonly divergingOffset: number;
  /** Of the record before `offset`, as it was read. */
  readonly term: number;
  /** `divergingOffset` is where the histories part; otherwise they may do so below it. */
  readonly exactly: boolean;

  constructor(at: OutOfRange & { readonly divergingOffset: number; readonly term: number; readonly exactly: boolean }) {
    const from = `${at.divergingOffset}${at.exactly ? "" : " at the latest"}`;
    super(at, {
      code: "LOG_TRUNCATED",
      text: `Cannot go on at offset ${at.offset} of ${at.topic}/${at.partition}: the log lost its end and was written anew, from offset ${from} on; the record before ${at.offset} is not the one of term ${at.term} that was read`,
    });
    this.divergingOffset = at.divergingOffset;
    this.term = at.term;
    this.exactly = at.exactly;
  }
}

/**
 * The topic that was being read is deleted. Another one may have its name by now (`remade`): that one has offsets of its own, so nothing of it
 * was read. Who wants it begins anew, where it begins.
 */
export class TopicDeleted extends MillraceError {
  override readonly name = "TopicDeleted";
  readonly topic: string;
  readonly topicId: string;
  readonly remade: boolean;

  constructor(topic: string, topicId: string, remade: boolean) {
    const since = remade ? "another topic has its name now, and nothing of that was read" : "no topic has its name now";
    super("UNKNOWN_TOPIC", `Cannot go on reading ${topic}: the topic ${topicId} was deleted; ${since}`, { topic, topic_id: topicId });
    this.topic = topic;
    this.topicId = topicId;
    this.remade = remade;
  }
}

/** What a broker refused a request with that named the topic by `topicId`, as readers say it. */
export function ofDeletedTopic(error: MillraceError, topic: string, topicId: string | undefined): MillraceError {
  if (error.code !== "UNKNOWN_TOPIC" || topicId === undefined || error instanceof TopicDeleted) return error;
  return new TopicDeleted(topic, topicId, error.metadata["topic_id"] !== undefined);
}

/** Nothing is committed of a partition, and the options do not say where it is to begin. */
export class NoCommittedOffset extends MillraceError {
  override readonly name = "NoCommittedOffset";
  readonly topic: string;
  readonly partition: number;

  constructor(group: string, topic: string, partition: number) {
    super("OFFSET_OUT_OF_RANGE", `Group ${group} has no committed offset of ${topic}/${partition}, and startWithoutCommit is fail`, {
      group,
      topic,
      partition: String(partition),
    });
    this.topic = topic;
    this.partition = partition;
  }
}

/** A handler of a group consumer took longer than `handlerTimeoutMs`. Its record is not done with. */
export class HandlerTimedOut extends MillraceError {
  override readonly name = "HandlerTimedOut";
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;

  constructor(topic: string, partition: number, offset: number, timeoutMs: number) {
    super("HANDLER_TIMED_OUT", `The handler of ${topic}/${partition} at offset ${offset} took more than ${timeoutMs} ms`, {
      topic,
      partition: String(partition),
      offset: String(offset),
    });
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
  }
}

/** A record was not acknowledged. `code` and `outcomeKnown` say whether it may be in the log all the same; `cause` is the last error. */
export class DeliveryFailed extends MillraceError {
  override readonly name = "DeliveryFailed";
  readonly topic: string;
  readonly partition: number;

  constructor(topic: string, partition: number, cause: MillraceError) {
    super(cause.code, `Cannot deliver to ${topic}/${partition}: ${cause.message}`, cause.metadata, cause.retryAfterMs);
    this.topic = topic;
    this.partition = partition;
    this.cause = cause;
  }
}

/** Whatever a call threw, as an error of the table: a failure without our `ErrorInfo` counts as unknown unless the call never left. */
export function asMillraceError(error: unknown, address: string): MillraceError {
  if (error instanceof MillraceError) return error;
  if (!(error instanceof RpcFailure)) throw error;
  const facts: ErrorMetadata = { address, status: error.status };
  if (error.neverSent) return new MillraceError("BROKERS_UNREACHABLE", `Cannot reach ${address}: ${error.message}`, facts);
  if (error.status === "DEADLINE_EXCEEDED") return new MillraceError("REQUEST_TIMED_OUT", `${address} did not answer in time`, facts);
  if (error.status === "UNIMPLEMENTED") return new MillraceError("NOT_IMPLEMENTED", `${address}: ${error.message}`, facts);
  return new MillraceError("CONNECTION_LOST", `The call to ${address} broke: ${error.message}`, facts);
}
