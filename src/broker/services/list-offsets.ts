import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { CallContext } from "../../base/ports/rpc-server.ts";
import { callerGone, type Until } from "../../base/until.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import type { ListOffsetsRequest, PartitionOffsets, SubscribeStart } from "../../protocol/public.ts";
import { statusOf } from "../../protocol/rpc-status.ts";
import { refuseNoTerm, waitWithin } from "./fetch-codec.ts";
import type { LogBackend, OffsetsOf } from "./log-service.ts";
import { requireDistinct } from "./named-partitions.ts";
import { OffsetLookups } from "./offset-lookups.ts";
import type { SubscribedRange } from "./subscription.ts";

/**
 * `ListOffsets`: each partition has its offsets or an error of its own. What is not known shortly before the deadline has one too, so that
 * the caller learns of the others in time.
 *
 * @throws {MillraceError}
 */
export async function listOffsets(
  request: ListOffsetsRequest,
  backend: LogBackend,
  config: BrokerConfig,
  clock: Clock,
  call: CallContext,
  deadline: number,
): Promise<MessageInput<typeof PartitionOffsets>[]> {
  const { topic, timeMs, direct } = request;
  requireDistinct(request.partitions, config.limits.partitionsPerTopicMax);
  if (timeMs !== undefined && timeMs < 0) {
    const text = `Cannot look ${timeMs} up: time_ms must not be negative; without it both ends of the log are told`;
    throw new MillraceError("INVALID_REQUEST", text, { field: "time_ms" });
  }
  // Whatever the name says meanwhile: the partitions of one answer are of one topic.
  const { topicId, partitions } = await backend.topicOf(topic, { deadline, caller: call }, request.topicId);
  const numbers = request.partitions.length > 0 ? request.partitions : Array.from({ length: partitions }, (_, i) => i);
  const lookups = new OffsetLookups(clock);
  call.onCancel(() => lookups.end(callerGone()));
  const now = clock.monotonic();
  const until = now + waitWithin(deadline - now, now, deadline);
  return Promise.all(
    numbers.map(async (partition): Promise<MessageInput<typeof PartitionOffsets>> => {
      try {
        const target = await backend.resolve(topic, partition, { deadline: until, caller: call }, topicId);
        const offsets = await lookups.offsets(backend, target, timeMs, { deadline: until, direct });
        return {
          partition,
          logStartOffset: offsets.logStartOffset,
          highWatermark: offsets.highWatermark,
          leaderId: offsets.leaderId,
          term: offsets.term,
          sizeBytes: offsets.sizeBytes,
          ...(offsets.found === undefined ? {} : { offset: offsets.found.offset, timestampMs: offsets.found.timestamp }),
        };
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        return { partition, error: statusOf(error) };
      }
    }),
  );
}

/** Where a subscription of one partition begins and ends. @throws {MillraceError} */
export async function positionsOf(
  { topic, topicId }: { readonly topic: string; readonly topicId: string },
  start: SubscribeStart,
  backend: LogBackend,
  lookups: OffsetLookups,
  until: Until,
): Promise<SubscribedRange> {
  const { deadline } = until;
  const target = await backend.resolve(topic, start.partition, until, topicId);
  const at = (timeMs: number | undefined): Promise<OffsetsOf> => lookups.offsets(backend, target, timeMs, { deadline, direct: false });
  let { offset: from, lastTerm } = start;
  for (const [field, value] of [
    ["offset", from],
    ["time_ms", start.timeMs],
    ["until_offset", start.untilOffset],
    ["until_time_ms", start.untilTimeMs],
  ] as const)
    if (value !== undefined && value < 0)
      throw new MillraceError("INVALID_REQUEST", `Cannot subscribe: ${field} must not be negative: got ${value}`, { field });
  refuseNoTerm("subscribe", start.lastTerm);
  if (start.lastTerm !== undefined && from === undefined)
    throw new MillraceError("INVALID_REQUEST", "Cannot subscribe: last_term is of the record before offset, and goes with it", {
      field: "last_term",
    });
  if (start.timeMs !== undefined) {
    const offsets = await at(start.timeMs);
    from = offsets.found?.offset ?? offsets.highWatermark;
    lastTerm = offsets.term;
  } else if (start.end === true) {
    const offsets = await at(undefined);
    from = offsets.highWatermark;
    lastTerm = offsets.term;
  } else if (from === undefined) from = (await at(undefined)).logStartOffset;
  let end = start.untilOffset;
  if (start.untilTimeMs !== undefined) {
    const offsets = await at(start.untilTimeMs);
    end = offsets.found?.offset ?? offsets.highWatermark;
  } else if (start.untilEnd === true) end = (await at(undefined)).highWatermark;
  return { from, until: end, lastTerm };
}
