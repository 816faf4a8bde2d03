import { MillraceError } from "../base/errors.ts";
import type { TopicId } from "../base/ids.ts";
import { utf8Length } from "../base/utf8.ts";
import type { CommitOffsets, OffsetToCommit } from "./commands.ts";
import { refuseMember } from "./decide-members.ts";
import { type Decision, type GroupTopic, type GroupWorld, type RefusedOffset, refuse } from "./decision.ts";
import type { GroupState } from "./group-state.ts";
import { groupTopics, namedTopic } from "./group-topics.ts";
import type { GroupsImage } from "./image.ts";
import { refuseGroupName } from "./names.ts";
import { groupNotEmpty, invalid, tooMany, unknownPartition } from "./refusals.ts";
import type { GroupSettings } from "./settings.ts";
import { refuseAnotherGroup } from "./subscription.ts";

interface Position {
  readonly partition: number;
  readonly offset: number;
  readonly term: number;
  readonly metadata: string;
}

/**
 * Commits what may be, refuses the rest, partition by partition.
 *
 * A member commits a partition that is in its hands, at an epoch from the one it was granted at (KIP-1251) to its newest: so a commit that
 * crosses a change of its other partitions is taken, and none that was made before the partition was granted, to it or to another, ever is
 * (C2). An offset goes forwards only; back goes `decideSeek`.
 */
export function decideCommit(image: GroupsImage, command: CommitOffsets, world: GroupWorld): Decision {
  const { groupId, offsets } = command;
  const group = image.group(groupId);
  const error =
    refuseCommitter(image, command, group, world.settings) ??
    refuseMany(groupId, offsets.length, world.settings.offsetsPerCommitMax, "group.offsets.per.commit.max");
  if (error !== undefined) return refuse(error);

  const known = groupTopics(group, world.topics);
  const topics = new Map<TopicId, Map<number, Position>>();
  const refused: RefusedOffset[] = [];
  let added = group?.offsets.size ?? 0;
  for (const [at, each] of offsets.entries()) {
    const topic = namedTopic(known, each.topic, each.topicId);
    if (topic instanceof MillraceError) {
      refused.push({ at, error: topic });
      continue;
    }
    const why = refuseOffset(command, group, each, topic, topics, world.settings);
    if (why !== undefined) {
      refused.push({ at, error: why });
      continue;
    }
    const { partition, offset, term, metadata } = each;
    if (group?.offsets.get(topic.id, partition) === undefined) {
      if (added === world.settings.offsetsPerGroupMax) {
        refused.push({ at, error: tooMany(`Group ${groupId} has offsets of ${added} partitions`, "group.offsets.max") });
        continue;
      }
      added += 1;
    }
    const positions = topics.get(topic.id) ?? new Map<number, Position>();
    topics.set(topic.id, positions.set(partition, { partition, offset, term, metadata }));
  }
  const committed = [...topics].map(([topicId, positions]) => ({ topicId, positions: [...positions.values()] }));
  return {
    facts: committed.length === 0 ? [] : [{ kind: "offsetsCommitted", atMs: world.stampMs, topics: committed }],
    reply: { kind: "offsets", refused },
  };
}

function refuseCommitter(
  image: GroupsImage,
  { groupId, member }: CommitOffsets,
  group: GroupState | undefined,
  settings: GroupSettings,
): MillraceError | undefined {
  const error = refuseGroupName(groupId);
  if (error !== undefined) return error;
  if (member !== undefined)
    return refuseMember({ groupId, memberId: member.id, instanceId: undefined }, group, group?.members.get(member.id), member.epoch);
  if (group === undefined) return refuseAnotherGroup(image, groupId, settings);
  return group.members.size === 0 ? undefined : groupNotEmpty(groupId, group.members.size, "commit from outside");
}

/** @param limit name of the setting that has `most` */
export function refuseMany(groupId: string, count: number, most: number, limit: string): MillraceError | undefined {
  if (count <= most) return undefined;
  return tooMany(`Cannot take offsets of ${count} partitions of group ${groupId} at once: at most ${most}`, limit);
}

function refuseOffset(
  { groupId, member }: CommitOffsets,
  group: GroupState | undefined,
  each: OffsetToCommit,
  topic: GroupTopic,
  taken: ReadonlyMap<TopicId, ReadonlyMap<number, unknown>>,
  { offsetMetadataBytesMax }: GroupSettings,
): MillraceError | undefined {
  const { partition, offset, term, metadata, seen, truncated, endOf = topic.id } = each;
  const highWatermark = endOf === topic.id ? each.highWatermark : undefined;
  if (partition < 0 || partition >= topic.partitions) return unknownPartition(topic.name, partition, topic.partitions);
  if (offset < 0) return invalid("offset", `${offset} is below 0`);
  if (term < -1 || term === 0) return invalid("term", `no record is of term ${term}; leave it out when it is not known`);
  if (taken.get(topic.id)?.has(partition) === true) return invalid("offsets", `partition ${partition} of ${topic.name} is given twice`);
  // Three bytes per unit at most: what is far too long is not measured.
  if (metadata.length > offsetMetadataBytesMax || utf8Length(metadata) > offsetMetadataBytesMax) {
    return new MillraceError("OFFSET_METADATA_TOO_LARGE", `Cannot commit with more than ${offsetMetadataBytesMax} bytes of metadata`, {
      limit: "offset.metadata.max.bytes",
    });
  }
  const where = { group: groupId, topic: topic.name, partition: String(partition) };
  if (member !== undefined) {
    const holding = group?.held.get(topic.id, partition);
    if (holding?.member !== member.id) {
      return new MillraceError(
        "PARTITION_NOT_OWNED",
        `Cannot commit partition ${partition} of ${topic.name}: it is not in the hands of member ${member.id}`,
        { ...where, ...(holding === undefined ? {} : { owner: holding.member }) },
      );
    }
    if (member.epoch < holding.since) {
      return new MillraceError(
        "STALE_MEMBER_EPOCH",
        `Cannot commit partition ${partition} of ${topic.name} at member epoch ${member.epoch}: it was granted at ${holding.since}`,
        { ...where, assigned_epoch: String(holding.since) },
      );
    }
  }
  if (highWatermark !== undefined && offset > highWatermark) {
    return new MillraceError("OFFSET_OUT_OF_RANGE", `Cannot commit offset ${offset}: the high watermark is ${highWatermark}`, {
      ...where,
      high_watermark: String(highWatermark),
    });
  }
  const before = group?.offsets.get(topic.id, partition)?.offset ?? 0;
  // What was committed lies in what a log that lost its end (`recover`) does not hold: only there the way back is free.
  const lost = highWatermark !== undefined && (before > highWatermark || truncated === true) && before === seen;
  if (offset >= before || lost) return undefined;
  return new MillraceError("COMMIT_BEHIND", `Cannot commit offset ${offset}: ${before} is committed; SeekGroup goes back`, {
    ...where,
    committed_offset: String(before),
  });
}
