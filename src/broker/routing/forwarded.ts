import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, Offset, ProducerId, Term } from "../../base/ids.ts";
import { ForwardedAppend, ForwardedAppended, ForwardedOffsets, ForwardedOffsetsFound } from "../../protocol/routing.ts";
import { verifyPayload } from "../../records/frame.ts";
import { type Codec, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import { ACKS_LEVELS } from "../partition/acks.ts";
import type { AppendBatch, Appended } from "../partition/partition.ts";
import type { OffsetsOf, OffsetsOptions, Target } from "../services/log-service.ts";

/** A batch on its way to the leader: what the edge found out travels with the payload, which is not copied. */
export function encodeForwardedAppend(groupId: number, { draft, acks }: AppendBatch): Uint8Array[] {
  return ForwardedAppend.encodeParts({
    groupId,
    acks: ACKS_LEVELS.indexOf(acks),
    codec: draft.codec,
    recordCount: draft.recordCount,
    firstTimestamp: draft.firstTimestamp,
    maxTimestamp: draft.maxTimestamp,
    producerId: draft.producerId,
    producerEpoch: draft.producerEpoch,
    baseSequence: draft.baseSequence,
    payloadCrc: draft.payloadCrc,
    payload: draft.payload,
  });
}

export function forwardedOffsets({ groupId }: Target, timeMs: number | undefined, { agesFrom, place }: OffsetsOptions): Uint8Array {
  return ForwardedOffsets.encode({
    groupId,
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(agesFrom === undefined ? {} : { agesFrom }),
    ...(place === undefined ? {} : { placeOffset: place.offset, placeTerm: place.term }),
  });
}

/** What `forwardedOffsets` made. */
export function decodeForwardedQuestion(body: Uint8Array): {
  readonly groupId: number;
  readonly timeMs: number | undefined;
  readonly asked: Pick<OffsetsOptions, "agesFrom" | "place">;
} {
  const { groupId, timeMs, agesFrom, placeOffset, placeTerm } = ForwardedOffsets.decode(body);
  const place = placeOffset === undefined ? {} : { place: { offset: placeOffset, term: placeTerm } };
  return { groupId, timeMs, asked: { ...(agesFrom === undefined ? {} : { agesFrom }), ...place } };
}

/** @param leaderId who answered */
export function decodeForwardedOffsets(body: Uint8Array, leaderId: BrokerId): OffsetsOf {
  const { logStartOffset, highWatermark, term, sizeBytes, offset, timestampMs, aged, oldestMs, newestMs, truncated } =
    ForwardedOffsetsFound.decode(body);
  return {
    logStartOffset,
    highWatermark,
    term,
    sizeBytes,
    leaderId,
    found: offset === undefined ? undefined : { offset, timestamp: timestampMs ?? 0 },
    ages: aged ? { oldest: oldestMs, newest: newestMs } : undefined,
    truncated,
  };
}

export function encodeForwardedOffsets({
  logStartOffset,
  highWatermark,
  term,
  sizeBytes,
  found,
  ages,
  truncated = false,
}: OffsetsOf): Uint8Array {
  return ForwardedOffsetsFound.encode({
    logStartOffset,
    highWatermark,
    term,
    sizeBytes,
    ...(found === undefined ? {} : { offset: found.offset, timestampMs: found.timestamp }),
    aged: ages !== undefined,
    ...(ages?.oldest === undefined ? {} : { oldestMs: ages.oldest }),
    ...(ages?.newest === undefined ? {} : { newestMs: ages.newest }),
    truncated,
  });
}

/**
 * The leader's side: the payload is verified against the edge's checksum, once (design §4).
 * @throws {MillraceError} when the bytes changed on the way or are no batch: nothing was written
 */
export function decodeForwardedAppend(bytes: Uint8Array): { readonly groupId: number; readonly batch: AppendBatch } {
  const forwarded = ForwardedAppend.decode(bytes);
  const acks = ACKS_LEVELS[forwarded.acks];
  if (acks === undefined)
    throw new MillraceError("INVALID_REQUEST", `Unknown acks level ${forwarded.acks} in a forwarded batch`, { field: "acks" });
  const draft = {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec: forwarded.codec as Codec,
    recordCount: forwarded.recordCount,
    firstTimestamp: forwarded.firstTimestamp,
    maxTimestamp: forwarded.maxTimestamp,
    producerId: forwarded.producerId as ProducerId,
    producerEpoch: forwarded.producerEpoch,
    baseSequence: forwarded.baseSequence,
    payloadCrc: forwarded.payloadCrc,
    payload: forwarded.payload,
  };
  if (!verifyPayload(draft))
    throw new MillraceError("LEADER_UNKNOWN", "A forwarded batch changed on its way to the leader; nothing was written");
  return { groupId: forwarded.groupId, batch: { draft, acks } };
}

export function encodeForwardedAppended(appended: Appended): Uint8Array {
  return ForwardedAppended.encode({
    baseOffset: appended.baseOffset,
    recordCount: appended.recordCount,
    term: appended.term,
    highWatermark: appended.highWatermark,
    durableBrokerIds: [...appended.durableBrokers],
    duplicate: appended.duplicate,
    appendTimeMs: appended.appendTime,
  });
}

export function decodeForwardedAppended(bytes: Uint8Array): Appended {
  const reply = ForwardedAppended.decode(bytes);
  return {
    baseOffset: reply.baseOffset as Offset,
    recordCount: reply.recordCount,
    term: reply.term as Term,
    highWatermark: reply.highWatermark as Offset,
    durableBrokers: reply.durableBrokerIds as BrokerId[],
    duplicate: reply.duplicate,
    appendTime: reply.appendTimeMs,
  };
}
