import type { TopicId } from "../../base/ids.ts";
import type { TopicDirectory } from "../../consumer-groups/decision.ts";
import type { GroupState } from "../../consumer-groups/group-state.ts";
import { groupTopics } from "../../consumer-groups/group-topics.ts";

export interface GroupPlace {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
}

/** All of all topics that the group reads or has committed something of: it would begin the others at their start, so they are lag too. */
export function placesOf(directory: TopicDirectory, group: GroupState): readonly GroupPlace[] {
  const { target, offsets } = group;
  const topics = groupTopics(group, directory);
  const places: GroupPlace[] = [];
  for (const id of new Set([...target.keys(), ...offsets.topics()])) {
    const topic = topics.byId(id);
    if (topic === undefined) continue;
    for (let partition = 0; partition < topic.partitions; partition += 1) places.push({ topicId: id, topic: topic.name, partition });
  }
  return places.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}
