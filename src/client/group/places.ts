import { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { GroupService } from "../../protocol/methods.ts";
import { FetchOffsetsRequest, FetchOffsetsResponse } from "../../protocol/public.ts";
import { listOffsets, termOf } from "../consumer/locate.ts";
import type { ClientCore } from "../core.ts";
import { NoCommittedOffset, TopicDeleted } from "../errors.ts";
import type { StartPlace } from "./options.ts";
import { type GroupPartition, keyOf } from "./tenure.ts";

const CALL_MS = 10_000;

export interface Place<T extends GroupPartition> {
  readonly partition: T;
  readonly offset: number;
  /** Of the record before it, as it was committed, or of the leader that told the end; undefined: that was not said. */
  readonly term: number | undefined;
  /** The group has committed it. */
  readonly committed: boolean;
}

/**
 * Where the group goes on in these partitions: at the committed offset, linearizable; where there is none, as `start` says.
 *
 * @param address where to ask first
 * @throws {MillraceError} NoCommittedOffset; TopicDeleted when what was answered is of another topic of that name, which may pass; or what the
 *   brokers said last
 */
export async function locateCommitted<T extends GroupPartition>(
  core: ClientCore,
  group: string,
  partitions: readonly T[],
  start: StartPlace,
  address: string | undefined,
): Promise<readonly Place<T>[]> {
  const offsets = await fetchOffsets(core, group, partitions, address);
  // A partition without a commit is named too. One that is not was not asked about, as the coordinator saw it: whoever answers may not have heard
  // of our topic yet, or have heard of another one of its name. That says nothing of what is committed of ours.
  const named = new Set(offsets.map(keyOf));
  const unnamed = partitions.find((partition) => !named.has(keyOf(partition)));
  if (unnamed !== undefined) {
    const { topic, topicId } = unnamed;
    throw new TopicDeleted(
      topic,
      topicId,
      offsets.some((each) => each.topic === topic && each.topicId !== topicId),
    );
  }
  const committed = new Map<string, { readonly offset: number; readonly term: number | undefined }>();
  for (const each of offsets)
    if (each.offset !== undefined) committed.set(keyOf(each), { offset: each.offset, term: each.term === 0 ? undefined : each.term });
  const missing = partitions.filter((partition) => !committed.has(keyOf(partition)));
  if (start === "fail" && missing[0] !== undefined) throw new NoCommittedOffset(group, missing[0].topic, missing[0].partition);
  const ends = start === "fail" ? new Map<string, LogEnd>() : await locateEnds(core, missing, start);
  return partitions.map((partition) => {
    const known = committed.get(keyOf(partition));
    const place = known ?? ends.get(keyOf(partition));
    invariant(place !== undefined, () => `${keyOf(partition)} has a place`);
    return { partition, offset: place.offset, term: place.term, committed: known !== undefined };
  });
}

/** By the ids of their topics, which brokers of before pass over. @throws {MillraceError} TopicDeleted where another topic has the name */
async function fetchOffsets(
  core: ClientCore,
  groupId: string,
  partitions: readonly GroupPartition[],
  address: string | undefined,
): Promise<FetchOffsetsResponse["offsets"]> {
  const topics = [...byTopicId(partitions)].map(([topicId, ofTopic]) => ({
    topic: (ofTopic[0] as GroupPartition).topic,
    topicId,
    partitions: ofTopic.map(({ partition }) => partition),
  }));
  const request = FetchOffsetsRequest.encode({ groupId, topics });
  try {
    const reply = await core.calls.unary(GroupService.FetchOffsets.path, request, { timeoutMs: CALL_MS, repeatable: true, address });
    return FetchOffsetsResponse.decode(reply).offsets;
  } catch (error) {
    const deleted = error instanceof MillraceError && error.code === "UNKNOWN_TOPIC" ? error.metadata : {};
    const which = partitions.find(({ topicId }) => topicId === deleted["topic_id"]);
    throw which === undefined ? error : new TopicDeleted(which.topic, which.topicId, true);
  }
}

function byTopicId<T extends GroupPartition>(partitions: readonly T[]): ReadonlyMap<string, T[]> {
  const found = new Map<string, T[]>();
  for (const partition of partitions) found.set(partition.topicId, [...(found.get(partition.topicId) ?? []), partition]);
  return found;
}

export interface LogEnd {
  readonly offset: number;
  /** Of the leader that said that the log ends there; undefined: not said, or it is where the log begins. */
  readonly term: number | undefined;
}

/** Where logs begin or end now, by key: of each of `partitions`. @throws {MillraceError} */
export async function locateEnds(
  core: ClientCore,
  partitions: readonly GroupPartition[],
  place: "start" | "end",
): Promise<ReadonlyMap<string, LogEnd>> {
  const found = new Map<string, LogEnd>();
  for (const [topicId, ofTopic] of byTopicId(partitions)) {
    const { topic } = ofTopic[0] as GroupPartition;
    const numbers = ofTopic.map(({ partition }) => partition);
    for (const [partition, at] of await listOffsets(core, { topic, topicId }, numbers, undefined, CALL_MS)) {
      const end = place === "start" ? { offset: at.logStartOffset, term: undefined } : { offset: at.highWatermark, term: termOf(at) };
      found.set(keyOf({ topicId, partition }), end);
    }
  }
  for (const each of partitions)
    if (!found.has(keyOf(each))) throw new MillraceError("UNKNOWN_PARTITION", `No place of ${each.topic}/${each.partition} was told`);
  return found;
}
