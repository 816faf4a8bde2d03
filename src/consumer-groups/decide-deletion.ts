import type { TopicId } from "../base/ids.ts";
import type { DeleteGroup, DeleteOffsets, ExpireOffsets, TopicPartitions } from "./commands.ts";
import { refuseMany } from "./decide-commit.ts";
import { type Decision, done, type GroupWorld, type RefusedOffset, refuse, UNKNOWN_TIME } from "./decision.ts";
import { DroppedBecause, type Fact } from "./facts.ts";
import type { GroupsImage } from "./image.ts";
import { interestsOf } from "./interests.ts";
import { groupNotEmpty, unknownGroup } from "./refusals.ts";

/** With its offsets; not while it has members. */
export function decideDeleteGroup(image: GroupsImage, { groupId }: DeleteGroup): Decision {
  const group = image.group(groupId);
  if (group === undefined) return refuse(unknownGroup(groupId));
  if (group.members.size > 0) return refuse(groupNotEmpty(groupId, group.members.size, "delete it"));
  return done([{ kind: "groupDeleted" }]);
}

/** Topic by topic: not of those that a member subscribes to. What is not there is deleted already. `at` of a refusal counts topics. */
export function decideDeleteOffsets(image: GroupsImage, { groupId, topics }: DeleteOffsets, world: GroupWorld): Decision {
  const group = image.group(groupId);
  if (group === undefined) return refuse(unknownGroup(groupId));
  const asked = topics.reduce((sum, { partitions }) => sum + 1 + partitions.length, 0);
  const error = refuseMany(groupId, asked, 2 * world.settings.offsetsPerGroupMax, "group.offsets.max");
  if (error !== undefined) return refuse(error);
  const interests = interestsOf(group, world);
  const refused: RefusedOffset[] = [];
  const dropped: TopicPartitions[] = [];
  for (const [at, { topicId, partitions }] of topics.entries()) {
    const name = group.target.get(topicId)?.name ?? world.topics.byId(topicId)?.name;
    const subscribers = [...group.members.values()].filter(
      (member) => member.topics.some((topic) => topic === name) || interests.members.get(member.id)?.topics.has(topicId) === true,
    ).length;
    if (subscribers > 0) refused.push({ at, error: groupNotEmpty(groupId, subscribers, `delete offsets of ${name}`) });
    else {
      const there = [...new Set(partitions)].filter((partition) => group.offsets.get(topicId, partition) !== undefined);
      if (there.length > 0) dropped.push({ topicId, partitions: there });
    }
  }
  const facts: Fact[] = dropped.length === 0 ? [] : [{ kind: "offsetsDropped", because: DroppedBecause.deleted, topics: dropped }];
  return { facts, reply: { kind: "offsets", refused } };
}

/**
 * A group without members forgets what was neither committed nor in use for `offsetsRetentionMs`, and is gone with the last of it. A group
 * with members forgets nothing, however long ago it was committed (C7).
 */
export function decideExpireOffsets(
  image: GroupsImage,
  { groupId, unknownSinceMs }: ExpireOffsets,
  { settings, wall }: GroupWorld,
): Decision {
  const group = image.group(groupId);
  if (group === undefined || group.members.size > 0) return done();
  // Nothing is kept in it: whoever only tried to join leaves no group behind.
  if (group.offsets.size === 0) return done([{ kind: "groupDeleted" }]);
  const before = wall - settings.offsetsRetentionMs;
  const isRecent = (ms: number): boolean => (ms === UNKNOWN_TIME ? unknownSinceMs : ms) > before;
  if (isRecent(group.emptySinceMs)) return done();
  const topics = new Map<TopicId, number[]>();
  let expired = 0;
  group.offsets.forEach(({ committedAtMs }, topicId, partition) => {
    if (isRecent(committedAtMs)) return;
    const partitions = topics.get(topicId);
    if (partitions === undefined) topics.set(topicId, [partition]);
    else partitions.push(partition);
    expired += 1;
  });
  if (expired === group.offsets.size) return done([{ kind: "groupDeleted" }]);
  if (expired === 0) return done();
  return done([
    {
      kind: "offsetsDropped",
      because: DroppedBecause.expired,
      topics: [...topics].map(([topicId, partitions]) => ({ topicId, partitions })),
    },
  ]);
}
