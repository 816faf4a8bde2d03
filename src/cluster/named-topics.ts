import { MillraceError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { MetadataImage } from "./image.ts";
import type { TopicImage } from "./image-state.ts";

const NAME_MAX = limits["topic.name.max"].value;
/** Of a uuid. */
const ID_MAX = 36;

/** The topic that has a name. @param topicId what the name must stand for; empty or undefined: anything @returns UNKNOWN_TOPIC */
export function namedTopic(image: MetadataImage, name: string, topicId: string | undefined): TopicImage | MillraceError {
  const topic = image.topicByName(name);
  if (topic === undefined) return unknownTopic(name);
  return topicId === undefined || topicId === "" || topicId === topic.id ? topic : unknownTopicId(name, topicId);
}

/** What was asked for may be megabytes; no more of it than a name can have is said back. */
export function unknownTopic(name: string): MillraceError {
  const topic = name.slice(0, NAME_MAX);
  return new MillraceError("UNKNOWN_TOPIC", `No topic is named ${JSON.stringify(topic)}`, { topic });
}

/** There is one of this name, and it is another: the one that was asked for is deleted, or never was. */
function unknownTopicId(name: string, topicId: string): MillraceError {
  const asked = topicId.slice(0, ID_MAX);
  const text = `The topic that is named ${JSON.stringify(name)} is not ${JSON.stringify(asked)}: that one was deleted`;
  return new MillraceError("UNKNOWN_TOPIC", text, { topic: name, topic_id: asked });
}

/** @param partitions how many the topic has */
export function unknownPartition(topic: string, partitions: number, asked: number): MillraceError {
  const text = `Topic ${topic} has ${partitions === 1 ? "partition 0 only" : `partitions 0 to ${partitions - 1}`}: there is no ${asked}`;
  return new MillraceError("UNKNOWN_PARTITION", text, { partitions: String(partitions) });
}

/** No topic has it. */
export function isTooLong(topic: string): boolean {
  return topic.length > NAME_MAX;
}
