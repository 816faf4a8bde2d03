import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { Patterns } from "../../../base/ports/patterns.ts";
import type { MetadataImage } from "../../../cluster/image.ts";
import type { TopicImage } from "../../../cluster/image-state.ts";
import { isInternalTopic } from "../../../cluster/internal-topics.ts";
import type { GroupTopic, TopicDirectory } from "../../../consumer-groups/decision.ts";
import { TopicPatterns } from "./topic-patterns.ts";

/** Deleted topics that are remembered; of others a read barrier says that they are gone. */
const DELETED_MAX = 10_000;

export interface GroupTopics extends TopicDirectory {
  /** This broker has read that these were deleted. */
  deleted(ids: readonly TopicId[]): void;
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
  const gone = new Set<TopicId>();
  const byId = (id: TopicId): GroupTopic | undefined => groupTopic(image.topics.get(id));
  return {
    byName: (name) => groupTopic(image.topicByName(name)),
    byId,
    isDeleted: (id) => gone.has(id),
    deleted(ids) {
      for (const id of ids) gone.add(id);
      for (const oldest of gone) {
        if (gone.size <= DELETED_MAX) break;
        gone.delete(oldest);
      }
    },
    matching: (pattern) => matcher.matching(pattern).flatMap((id) => byId(id) ?? []),
    matches: (pattern, name) => matcher.matches(pattern, name),
    refusePattern: (pattern) => matcher.refuse(pattern),
    ready: (pattern) => matcher.ready(pattern),
  };
}

function groupTopic(topic: TopicImage | undefined): GroupTopic | undefined {
  if (topic === undefined || isInternalTopic(topic.name)) return undefined;
  return { id: topic.id, name: topic.name, partitions: topic.groups.length };
}
