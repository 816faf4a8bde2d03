import type { TopicId } from "../base/ids.ts";
import type { GroupTopic, GroupWorld, TopicDirectory } from "./decision.ts";
import type { GroupState, MemberImage } from "./group-state.ts";
import { groupTopics } from "./group-topics.ts";

/** What a member subscribes to, of the topics that exist. */
export interface Interest {
  readonly topics: ReadonlySet<TopicId>;
  /** Topics that its pattern matches and for which it has no room (`group.topics.per.member.max`): nobody gives it those. */
  readonly leftOut: number;
}

export interface Interests {
  /** By member id. */
  readonly members: ReadonlyMap<string, Interest>;
  /** All that some member subscribes to. */
  readonly topics: ReadonlyMap<TopicId, GroupTopic>;
}

export type InterestsWorld = {
  readonly topics: TopicDirectory;
  readonly settings: Pick<GroupWorld["settings"], "topicsPerMemberMax">;
};

/**
 * Patterns are matched here, where it is decided, and nowhere else: the target that comes of it is recorded topic by topic, so nobody who
 * replays matches anything.
 *
 * @param gone topics that a read barrier has said to be deleted: others that are not known here stay (`groupTopics`)
 */
export function interestsOf(group: GroupState, { topics: directory, settings }: InterestsWorld, gone?: ReadonlySet<TopicId>): Interests {
  const world = { topics: groupTopics(group, directory, gone), settings };
  const topics = new Map<TopicId, GroupTopic>();
  const members = new Map<string, Interest>();
  // Most members of a group want the same.
  const known = new Map<string, Interest>();
  for (const member of group.members.values()) {
    const key = `${member.topicPattern}\n${member.topics.join()}`;
    const interest = known.get(key) ?? interestOf(member, group, world, topics);
    known.set(key, interest);
    members.set(member.id, interest);
  }
  return { members, topics };
}

function interestOf(
  { topics: names, topicPattern }: MemberImage,
  { target }: GroupState,
  { topics: directory, settings }: InterestsWorld,
  all: Map<TopicId, GroupTopic>,
): Interest {
  const wanted = new Set<TopicId>();
  const want = (topic: GroupTopic): void => {
    wanted.add(topic.id);
    all.set(topic.id, topic);
  };
  for (const name of names) {
    const topic = directory.byName(name);
    if (topic !== undefined) want(topic);
  }
  if (topicPattern === "") return { topics: wanted, leftOut: 0 };
  const matched = directory.matching(topicPattern).filter(({ id }) => !wanted.has(id));
  const room = Math.max(0, settings.topicsPerMemberMax - names.length);
  // What the group reads already it goes on with; a topic that comes takes no other one's place.
  if (matched.length > room) matched.sort((a, b) => Number(target.has(b.id)) - Number(target.has(a.id)) || (a.name < b.name ? -1 : 1));
  for (const topic of matched.slice(0, room)) want(topic);
  return { topics: wanted, leftOut: Math.max(0, matched.length - room) };
}
