import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { Patterns } from "../../../base/ports/patterns.ts";
import type { MetadataImage } from "../../../cluster/image.ts";
import type { TopicImage } from "../../../cluster/image-state.ts";
import { isInternalTopic } from "../../../cluster/internal-topics.ts";
import type { GroupTopic, TopicDirectory } from "../../../consumer-groups/decision.ts";
import { TopicPatterns } from "./topic-patterns.ts";

export interface GroupTopics extends TopicDirectory {
  /** Resolves when the pattern was matched with all topics there are: what `matching` says then costs nothing. */
  ready(pattern: string): Promise<void>;
}

/** The topics that groups can read: those of this broker's metadata, but for the cluster's own. */
export function topicDirectory(
  image: Pick<MetadataImage, "topicByName" | "topics" | "version">,
  patterns: Patterns,
  clock: Pick<Clock, "soon">,
): GroupTopics {
  const matcher = new TopicPatterns(image, patterns, clock);
  const byId = (id: TopicId): GroupTopic | undefined => groupTopic(image.topics.get(id));
  return {
    byName: (name) => groupTopic(image.topicByName(name)),
    byId,
    matching: (pattern) => matcher.matching(pattern).flatMap((id) => byId(id) ?? []),
    refusePattern: (pattern) => matcher.refuse(pattern),
    ready: (pattern) => matcher.ready(pattern),
  };
}

function groupTopic(topic: TopicImage | undefined): GroupTopic | undefined {
  if (topic === undefined || isInternalTopic(topic.name)) return undefined;
  return { id: topic.id, name: topic.name, partitions: topic.groups.length };
}
