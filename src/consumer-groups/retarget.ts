import type { TopicId } from "../base/ids.ts";
import type { Assignment, AssignorMember } from "./assignor.ts";
import { assignorOf, assignors } from "./assignors.ts";
import type { GroupTopic } from "./decision.ts";
import type { Draft } from "./draft.ts";
import type { GroupState } from "./group-state.ts";
import { type InterestsWorld, interestsOf } from "./interests.ts";

/**
 * Records who is to have what from now on, if that is not what stands recorded. Sticky by what was wanted before, not by who holds what:
 * a partition on its way to its next owner goes on its way.
 *
 * @param gone @see interestsOf
 */
export function retarget(draft: Draft, world: InterestsWorld, gone?: ReadonlySet<TopicId>): void {
  const { group } = draft;
  const { topics, members: interests } = interestsOf(group, world, gone);
  const members = [...group.members.values()].map(
    (member): AssignorMember => ({
      id: member.id,
      order: member.instanceId ?? member.id,
      topics: interests.get(member.id)?.topics ?? new Set(),
    }),
  );
  const assignor = assignorOf([...group.members.values()].map((member) => member.assignor));
  const previous = new Map([...group.target].map(([id, { owners }]) => [id, owners]));
  const next = assignors[assignor]({ members, topics: [...topics.values()], previous });
  if (assignor === group.assignor && isSame(group, topics, next)) return;
  const ids = members.map(({ id }) => id);
  const places = new Map(ids.map((id, place) => [id, place + 1]));
  draft.record({
    kind: "targetAssigned",
    epoch: draft.epoch,
    assignor,
    members: ids,
    topics: [...topics.values()].map(({ id, name }) => ({
      topicId: id,
      name,
      owners: (next.get(id) ?? []).map((owner) => places.get(owner ?? "") ?? 0),
    })),
  });
}

function isSame({ target }: GroupState, topics: ReadonlyMap<TopicId, GroupTopic>, next: Assignment): boolean {
  if (target.size !== topics.size) return false;
  for (const { id } of topics.values()) {
    const before = target.get(id)?.owners;
    const after = next.get(id) ?? [];
    if (before?.length !== after.length || after.some((owner, partition) => owner !== before[partition])) return false;
  }
  return true;
}

/** Whether the topics of the group are others than its target was made for: then `refreshTopics` has something to do. */
export function isOutdated(group: GroupState, world: InterestsWorld): boolean {
  const { topics } = interestsOf(group, world);
  if (topics.size !== group.target.size) return true;
  for (const { id, partitions } of topics.values()) if (group.target.get(id)?.owners.length !== partitions) return true;
  return false;
}
