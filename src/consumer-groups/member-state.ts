import type { TopicId } from "../base/ids.ts";
import type { TopicPartitions } from "./commands.ts";
import type { MemberState } from "./decision.ts";
import type { GroupState, MemberImage } from "./group-state.ts";

/**
 * What a member is told: its epoch and, if it does not know of that one yet, all that it is to hold. What it is to give back is not among it.
 *
 * @param known the epoch it last heard; 0: it heard nothing
 */
export function memberState(group: GroupState, member: MemberImage, known: number): MemberState {
  const { id, epoch } = member;
  return { memberId: id, memberEpoch: epoch, assignment: known >= epoch ? undefined : assignmentOf(group, id) };
}

export function assignmentOf(group: GroupState, memberId: string): readonly TopicPartitions[] {
  const topics = new Map<TopicId, number[]>();
  group.held.forEach(({ member, revoking }, topicId, partition) => {
    if (member !== memberId || revoking > 0) return;
    const partitions = topics.get(topicId);
    if (partitions === undefined) topics.set(topicId, [partition]);
    else partitions.push(partition);
  });
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }));
}
