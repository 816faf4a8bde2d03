import { MillraceError } from "../base/errors.ts";
import { counted } from "../base/plural.ts";
import type { CommandOf } from "./commands.ts";
import { type DecideLimits, type Decision, done, refuse } from "./decision.ts";
import type { MetadataImage } from "./image.ts";
import { internalTopic, isInternalTopic } from "./internal-topics.ts";
import { namedTopic } from "./named-topics.ts";
import { placePartitions, refuseFewBrokers, refusePartitions } from "./new-partitions.ts";

/**
 * Raises the number of partitions of a topic, all at once or not at all. The number it has already is fine and changes nothing, so that
 * a request of unknown outcome may be sent again; fewer are refused, for that would delete records.
 */
export function decideAddPartitions(image: MetadataImage, command: CommandOf<"addPartitions">, limits: DecideLimits): Decision {
  if (isInternalTopic(command.name)) return refuse(internalTopic("add partitions to", command.name));
  const topic = namedTopic(image, command.name, command.topicId);
  if (topic instanceof MillraceError) return refuse(topic);
  const present = topic.groups.length;
  if (command.partitions === present) return done([]);
  if (command.partitions < present) {
    const text = `Cannot make ${topic.name} a topic of ${counted(command.partitions, "partition")}: it has ${present}, and none is ever taken away`;
    return refuse(new MillraceError("INVALID_REQUEST", text, { field: "partitions", partitions: String(present) }));
  }
  const count = command.partitions - present;
  const error = refusePartitions(image, command.partitions, count, limits) ?? refuseFewBrokers(image.liveBrokers().length, topic.replicas);
  if (error !== undefined) return refuse(error);
  if (command.validateOnly) return done([]);
  return done(placePartitions(image, { topicId: topic.id, from: present, count, replicas: topic.replicas, seed: command.seed }));
}
