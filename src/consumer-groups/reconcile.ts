import type { TopicId } from "../base/ids.ts";
import type { Draft } from "./draft.ts";

/**
 * Brings what members hold one step nearer to the target: whoever holds what is not for it is told to give it back, and partitions that
 * nobody holds are granted. Never both for one partition: it is granted by the decision that records its release, or a later one.
 */
export function reconcile(draft: Draft): void {
  revoke(draft);
  grant(draft);
}

function revoke(draft: Draft): void {
  const { group, epoch } = draft;
  const topics = new Map<TopicId, number[]>();
  group.held.forEach(({ member, revoking }, topicId, partition) => {
    if (revoking > 0 || group.target.get(topicId)?.owners[partition] === member) return;
    push(topics, topicId, partition);
  });
  if (topics.size === 0) return;
  draft.record({ kind: "revocationBegun", epoch, topics: [...topics].map(([topicId, partitions]) => ({ topicId, partitions })) });
}

function grant(draft: Draft): void {
  const { group, epoch } = draft;
  const members: string[] = [];
  const places = new Map<string, number>();
  const topics: { topicId: TopicId; partitions: number[]; owners: number[] }[] = [];
  for (const { topicId, owners: wanted } of group.target.values()) {
    const partitions: number[] = [];
    const owners: number[] = [];
    const held = group.held.of(topicId);
    for (let partition = 0; partition < wanted.length; partition += 1) {
      const owner = wanted[partition];
      // Who is away cannot take anything; what it has is kept for it.
      if (owner === undefined || held[partition] !== undefined || group.members.get(owner)?.away !== false) continue;
      let place = places.get(owner);
      if (place === undefined) {
        place = members.push(owner);
        places.set(owner, place);
      }
      partitions.push(partition);
      owners.push(place);
    }
    if (partitions.length > 0) topics.push({ topicId, partitions, owners });
  }
  if (topics.length > 0) draft.record({ kind: "granted", epoch, members, topics });
}

function push(topics: Map<TopicId, number[]>, topicId: TopicId, partition: number): void {
  const partitions = topics.get(topicId);
  if (partitions === undefined) topics.set(topicId, [partition]);
  else partitions.push(partition);
}
