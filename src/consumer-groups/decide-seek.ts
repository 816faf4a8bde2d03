import { MillraceError } from "../base/errors.ts";
import type { TopicId } from "../base/ids.ts";
import type { SeekGroup } from "./commands.ts";
import { refuseMany } from "./decide-commit.ts";
import { type Decision, type GroupWorld, refuse } from "./decision.ts";
import { Draft } from "./draft.ts";
import { RemovedBecause } from "./facts.ts";
import type { GroupsImage } from "./image.ts";
import { refuseGroupName } from "./names.ts";
import { groupNotEmpty, invalid, tooMany, unknownPartition, unknownTopic } from "./refusals.ts";
import { retarget } from "./retarget.ts";
import { refuseAnotherGroup } from "./subscription.ts";

/**
 * Moves committed offsets to where an operator wants them, all or none; a group may be made by it. With members only by force: they are
 * removed first, so that nothing they still commit lands on top of it, and when they join again they begin where it was moved to.
 */
export function decideSeek(image: GroupsImage, command: SeekGroup, world: GroupWorld): Decision {
  const { groupId, positions, dryRun, force } = command;
  const group = image.group(groupId);
  const error =
    refuseGroupName(groupId) ??
    refuseMany(groupId, positions.length, world.settings.offsetsPerGroupMax, "group.offsets.max") ??
    refusePositions(command, world) ??
    (group === undefined ? refuseAnotherGroup(image, groupId, world.settings) : undefined) ??
    refuseMore(image, command, world);
  if (error !== undefined) return refuse(error);
  const members = group === undefined ? [] : [...group.members.keys()];
  if (members.length > 0 && !force && !dryRun) return refuse(groupNotEmpty(groupId, members.length, "seek without force"));

  const steps = positions.map(({ topicId, partition, offset }) => ({
    topicId,
    partition,
    before: group?.offsets.get(topicId, partition)?.offset,
    after: offset,
  }));
  if (dryRun || steps.length === 0) return { facts: [], reply: { kind: "seek", steps } };
  const draft = new Draft(image, groupId);
  for (const memberId of members) draft.record({ kind: "memberRemoved", memberId, because: RemovedBecause.seek, atMs: world.stampMs });
  if (members.length > 0) retarget(draft, world);
  const topics = new Map<TopicId, { partition: number; offset: number; term: number; metadata: string }[]>();
  for (const { topicId, partition, offset, term = -1 } of positions) {
    const list = topics.get(topicId) ?? [];
    list.push({ partition, offset, term, metadata: "" });
    topics.set(topicId, list);
  }
  draft.record({
    kind: "offsetsMoved",
    atMs: world.stampMs,
    topics: [...topics].map(([topicId, moved]) => ({ topicId, positions: moved })),
  });
  return { facts: draft.facts, reply: { kind: "seek", steps } };
}

function refusePositions({ positions }: SeekGroup, { topics }: GroupWorld): MillraceError | undefined {
  const seen = new Set<string>();
  for (const { topicId, partition, offset, logStartOffset, highWatermark } of positions) {
    const topic = topics.byId(topicId);
    if (topic === undefined) return unknownTopic(topicId);
    if (partition < 0 || partition >= topic.partitions) return unknownPartition(topic.name, partition, topic.partitions);
    const key = `${topicId}:${partition}`;
    if (seen.has(key)) return invalid("topics", `partition ${partition} of ${topic.name} is given twice`);
    seen.add(key);
    if (offset >= logStartOffset && offset <= highWatermark) continue;
    return new MillraceError(
      "OFFSET_OUT_OF_RANGE",
      `Cannot seek partition ${partition} of ${topic.name} to ${offset}: it has ${logStartOffset} to ${highWatermark}`,
      { topic: topic.name, partition: String(partition), log_start_offset: String(logStartOffset), high_watermark: String(highWatermark) },
    );
  }
  return undefined;
}

function refuseMore(image: GroupsImage, { groupId, positions }: SeekGroup, { settings }: GroupWorld): MillraceError | undefined {
  const offsets = image.group(groupId)?.offsets;
  const added = positions.filter(({ topicId, partition }) => offsets?.get(topicId, partition) === undefined).length;
  if (added + (offsets?.size ?? 0) <= settings.offsetsPerGroupMax) return undefined;
  return tooMany(`Group ${groupId} would have offsets of more than ${settings.offsetsPerGroupMax} partitions`, "group.offsets.max");
}
