import type { TopicId } from "../../../base/ids.ts";
import type { MetadataImage } from "../../../cluster/image.ts";
import type { TopicImage } from "../../../cluster/image-state.ts";
import { isInternalTopic } from "../../../cluster/internal-topics.ts";
import type { GroupTopic, TopicDirectory } from "../../../consumer-groups/decision.ts";

/** The topics that groups can read: those of this broker's metadata, but for the cluster's own. */
export function topicDirectory(image: Pick<MetadataImage, "topicByName" | "topics">): TopicDirectory {
  return {
    byName: (name) => groupTopic(image.topicByName(name)),
    byId: (id: TopicId) => groupTopic(image.topics.get(id)),
  };
}

function groupTopic(topic: TopicImage | undefined): GroupTopic | undefined {
  if (topic === undefined || isInternalTopic(topic.name)) return undefined;
  return { id: topic.id, name: topic.name, partitions: topic.groups.length };
}
