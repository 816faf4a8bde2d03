import { type ErrorMetadata, MillraceError } from "../base/errors.ts";
import { RpcFailure } from "../base/ports/rpc-client.ts";

/** The offset asked for is not in the log; the range it may be in is said. */
export class OffsetOutOfRange extends MillraceError {
  override readonly name = "OffsetOutOfRange";
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;

  constructor(at: { topic: string; partition: number; offset: number; logStartOffset: number; highWatermark: number }) {
    super(
      "OFFSET_OUT_OF_RANGE",
      `Cannot read offset ${at.offset} of ${at.topic}/${at.partition}: the log holds ${at.logStartOffset} to ${at.highWatermark}`,
      {
        topic: at.topic,
        partition: String(at.partition),
        log_start_offset: String(at.logStartOffset),
        high_watermark: String(at.highWatermark),
      },
    );
    this.topic = at.topic;
    this.partition = at.partition;
    this.offset = at.offset;
    this.logStartOffset = at.logStartOffset;
    this.highWatermark = at.highWatermark;
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
