import type { MillraceError } from "../base/errors.ts";
import type { TopicId } from "../base/ids.ts";
import type { GroupTopic, TopicDirectory } from "./decision.ts";
import type { GroupState } from "./group-state.ts";
import { unknownTopic } from "./refusals.ts";

const NONE: ReadonlySet<TopicId> = new Set();

/**
 * The topics as they are known to a group: those of the coordinator's metadata, and besides those of its own target that this metadata has
 * not heard of yet, or knows with fewer partitions. A coordinator that was somewhere else a moment ago had read further, or the group could
 * not read them; "not found" is for a read barrier to say (design §7), and until it has said so nobody is taken anything away.
 *
 * @param gone a read barrier has said so of these
 */
export function groupTopics(
  group: Pick<GroupState, "target"> | undefined,
  topics: TopicDirectory,
  gone: ReadonlySet<TopicId> = NONE,
): TopicDirectory {
  if (group === undefined) return topics;
  const ahead = new Map<TopicId, GroupTopic>();
  for (const { topicId: id, name, owners } of group.target.values())
    if ((topics.byId(id)?.partitions ?? 0) < owners.length && !gone.has(id) && !topics.isDeleted(id))
      ahead.set(id, { id, name, partitions: owners.length });
  if (ahead.size === 0) return topics;
  const names = new Map([...ahead.values()].map((topic) => [topic.name, topic]));
  return {
    byName: (name) => names.get(name) ?? topics.byName(name),
    byId: (id) => ahead.get(id) ?? topics.byId(id),
    isDeleted: (id) => topics.isDeleted(id),
    matches: (pattern, name) => topics.matches(pattern, name),
    matching: (pattern) => [
      // Of two topics of a name the one that the group reads is the later one, as far as anybody here knows.
      ...topics.matching(pattern).filter(({ name }) => !names.has(name)),
      ...[...ahead.values()].filter(({ name }) => topics.matches(pattern, name)),
    ],
    refusePattern: (pattern) => topics.refusePattern(pattern),
  };
}

/** The topic that has a name. @param topicId what the name must stand for; empty or undefined: anything @returns UNKNOWN_TOPIC */
export function namedTopic(topics: TopicDirectory, name: string, topicId: string | undefined): GroupTopic | MillraceError {
  const topic = topics.byName(name);
  if (topic === undefined) return unknownTopic(name);
  return topicId === undefined || topicId === "" || topicId === topic.id ? topic : unknownTopic(name, topicId);
}

/** Topics of the group that this metadata does not know: a read barrier says whether they are gone. */
export function unheardOf({ target, offsets }: Pick<GroupState, "target" | "offsets">, topics: TopicDirectory): readonly TopicId[] {
  return [...new Set([...target.keys(), ...offsets.topics()])].filter((id) => topics.byId(id) === undefined);
}
