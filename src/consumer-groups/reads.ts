import type { TopicId } from "../base/ids.ts";
import type { TopicPartitions } from "./commands.ts";
import type { CommittedOffset, GroupState, MemberImage } from "./group-state.ts";
import type { GroupsImage } from "./image.ts";
import { type InterestsWorld, interestsOf } from "./interests.ts";
import { assignmentOf } from "./member-state.ts";

/** What may be asked of an image. To be linearizable they are asked of the committed one, behind a read index. */

export type GroupPhase = "empty" | "reconciling" | "stable";

/**
 * Stable: everybody holds what is meant for them. A static member that is away goes on holding what it held; what it never held waits for it
 * in nobody's hands until its session ends, and is read by nobody: that is no rest.
 */
export function phaseOf(group: GroupState): GroupPhase {
  if (group.members.size === 0) return "empty";
  if (group.revoking > 0) return "reconciling";
  for (const { topicId, owners } of group.target.values()) {
    const held = group.held.of(topicId);
    for (let partition = 0; partition < owners.length; partition += 1) {
      if (held[partition]?.member !== owners[partition]) return "reconciling";
    }
  }
  return "stable";
}

export interface FetchedOffset {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Undefined: never committed, or forgotten. */
  readonly committed: CommittedOffset | undefined;
}

/** @param topics undefined: all that are committed. A group nobody knows has committed nothing: that is no error */
export function fetchOffsets(
  image: GroupsImage,
  groupId: string,
  topics: readonly TopicPartitions[] | undefined,
): readonly FetchedOffset[] {
  const offsets = image.group(groupId)?.offsets;
  if (topics !== undefined)
    return topics.flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => ({ topicId, partition, committed: offsets?.get(topicId, partition) })),
    );
  const all: FetchedOffset[] = [];
  offsets?.forEach((committed, topicId, partition) => {
    all.push({ topicId, partition, committed });
  });
  return all;
}

export interface MemberDescription {
  readonly member: MemberImage;
  readonly assignment: readonly TopicPartitions[];
  /** What the group wants it to hold. */
  readonly target: readonly TopicPartitions[];
  /** @see Interest */
  readonly leftOut: number;
}

export function describeMembers(group: GroupState, world: InterestsWorld): readonly MemberDescription[] {
  const interests = interestsOf(group, world);
  return [...group.members.values()].map((member) => ({
    member,
    assignment: assignmentOf(group, member.id),
    target: [...group.target.values()].flatMap(({ topicId, owners }) => {
      const partitions = [...owners.entries()].flatMap(([partition, owner]) => (owner === member.id ? [partition] : []));
      return partitions.length === 0 ? [] : [{ topicId, partitions }];
    }),
    leftOut: interests.members.get(member.id)?.leftOut ?? 0,
  }));
}
