import { MillraceError } from "../../../base/errors.ts";
import type { TopicId } from "../../../base/ids.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { refuseGroupName } from "../../../consumer-groups/names.ts";
import { invalid, tooMany, unknownGroup } from "../../../consumer-groups/refusals.ts";
import type { SeekGroupRequest, SeekPosition, TopicPartitions } from "../../../protocol/public/group-service.ts";
import type { OffsetsOf } from "../../services/log-service.ts";
import { topicsKnown } from "./ask-coordinator.ts";
import { namedPartitions } from "./fetch-call.ts";
import type { GroupCall } from "./group-method.ts";

/** A partition, and where in it a seek goes. */
export interface SeekPlace {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly to: Destination;
  /** Of the record before that place, where it is known. */
  readonly term?: number | undefined;
}

type Destination = (ends: OffsetsOf, before: number | undefined) => number;

/**
 * What a seek moves, and where each partition is to go.
 *
 * @param group that is moved; undefined: it is not there yet
 * @throws {MillraceError} INVALID_REQUEST, UNKNOWN_GROUP, UNKNOWN_TOPIC, UNKNOWN_PARTITION, NO_COMMITTED_OFFSETS, TOO_MANY_REQUESTS
 */
export async function seekPlaces(call: GroupCall, request: SeekGroupRequest, group: GroupState | undefined): Promise<readonly SeekPlace[]> {
  const { groupId, topics, group: other, positions } = request;
  if (positions !== undefined) return placesOfPositions(call, topics, positions.positions);
  if (other !== undefined) return placesOfGroup(call, request, other, group);
  const to = destination(request);
  if (group === undefined && topics.length === 0) throw unknownGroup(groupId);
  return namedPartitions(topics.length > 0 ? topics : topicsOf(call, group), call.parts).flatMap(({ topic, topicId, partitions }) =>
    partitions.map((partition) => ({ topic, topicId, partition, to })),
  );
}

/** All that the group reads or has read. */
function knownTopics(group: GroupState | undefined): ReadonlySet<TopicId> {
  return new Set([...(group?.offsets.topics() ?? []), ...(group?.target.keys() ?? [])]);
}

/** Those that are still there. */
function topicsOf({ parts }: GroupCall, group: GroupState | undefined): readonly TopicPartitions[] {
  return [...knownTopics(group)].flatMap((id) => {
    const topic = parts.topics.byId(id)?.name;
    return topic === undefined ? [] : [{ topic, topicId: id, partitions: [] }];
  });
}

function destination({ start, end, timeMs, offset, shiftBy }: SeekGroupRequest): Destination {
  if (start === true) return ({ logStartOffset }) => logStartOffset;
  if (end === true) return ({ highWatermark }) => highWatermark;
  if (timeMs !== undefined) {
    if (timeMs < 0) throw invalid("time_ms", `${timeMs} is below 0`);
    return ({ found, highWatermark }) => found?.offset ?? highWatermark;
  }
  if (offset !== undefined) {
    if (offset < 0) throw invalid("offset", `${offset} is below 0`);
    return () => offset;
  }
  // Beyond the ends of a log there is nothing: a shift stops there.
  if (shiftBy !== undefined)
    return ({ logStartOffset, highWatermark }, before) =>
      Math.min(highWatermark, Math.max(logStartOffset, (before ?? logStartOffset) + shiftBy));
  throw new MillraceError("INVALID_REQUEST", "to: say where to: start, end, time_ms, offset, shift_by, group or positions", {
    field: "to",
  });
}

/** Each to an offset of its own. */
function placesOfPositions(
  { parts }: GroupCall,
  topics: readonly TopicPartitions[],
  positions: readonly SeekPosition[],
): readonly SeekPlace[] {
  if (topics.length > 0) throw invalid("topics", "positions name their partitions themselves");
  if (positions.length === 0) throw invalid("positions", "there are none");
  const most = parts.settings.offsetsPerGroupMax;
  if (positions.length > most) throw tooMany(`Cannot take more than ${most} partitions in one call`, "group.offsets.max");
  const bad = positions.find(({ offset }) => offset < 0);
  if (bad !== undefined) throw invalid("positions", `${bad.offset} of partition ${bad.partition} of ${bad.topic} is below 0`);
  const named = namedPartitions(
    positions.map(({ topic, topicId, partition }) => ({ topic, topicId, partitions: [partition] })),
    parts,
  );
  return positions.flatMap(({ topic, partition, offset }, at) => {
    const topicId = named[at]?.topicId;
    return topicId === undefined ? [] : [{ topic, topicId, partition, to: () => offset }];
  });
}

/**
 * Where another group is. Its offsets are of one moment, a little before that in which this group is moved.
 *
 * Without topics: of those that the moved group reads or has committed something of; all, if there are none, which makes a copy.
 */
async function placesOfGroup(
  { parts, until }: GroupCall,
  { groupId, topics }: SeekGroupRequest,
  other: string,
  group: GroupState | undefined,
): Promise<readonly SeekPlace[]> {
  const error = refuseGroupName(other);
  if (error !== undefined) throw error;
  if (other === groupId) throw invalid("group", "it is the one that is to be moved");
  const known = knownTopics(group);
  const offsets = await parts.committed(other, topics, until);
  // Its coordinator may know topics that were made just now.
  await topicsKnown(offsets, { parts, until });
  const named = new Set(topics.filter(({ partitions }) => partitions.length > 0).map(({ topic }) => topic));
  const places: SeekPlace[] = [];
  for (const { topic, topicId, partition, offset, term } of offsets) {
    const id = topicId as TopicId;
    if (offset === undefined) {
      // Whole topics mean what it has of them; a number means that one.
      if (named.has(topic)) throw nothingCommitted(other, `partition ${partition} of ${topic}`);
    } else if (topics.length > 0 || known.size === 0 || known.has(id))
      places.push({ topic, topicId: id, partition, term, to: () => offset });
  }
  if (places.length === 0) {
    const of =
      topics.length > 0 ? "these topics" : known.size > 0 ? `any topic that ${groupId} reads or has committed something of` : "any topic";
    throw nothingCommitted(other, of);
  }
  return places;
}

function nothingCommitted(group: string, of: string): MillraceError {
  return new MillraceError("NO_COMMITTED_OFFSETS", `Cannot seek to where group ${group} is: it has committed nothing of ${of}`, { group });
}
