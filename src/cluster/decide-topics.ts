import { MillraceError } from "../base/errors.ts";
import type { CommandOf } from "./commands.ts";
import { type DecideLimits, type Decision, done, refuse } from "./decision.ts";
import type { Fact } from "./facts.ts";
import type { MetadataImage } from "./image.ts";
import { internalTopic, isInternalTopic } from "./internal-topics.ts";
import { namedTopic } from "./named-topics.ts";
import { refuseTopicName } from "./names.ts";
import { placePartitions, refuseFewBrokers, refusePartitions } from "./new-partitions.ts";
import { refuseConfigs } from "./refusals.ts";

/** Names, counts and settings are checked before anything is recorded; the topic and all its partitions are one frame. */
export function decideCreateTopic(image: MetadataImage, command: CommandOf<"createTopic">, limits: DecideLimits): Decision {
  const live = image.liveBrokers();
  const partitions = command.partitions === 0 ? limits.defaultPartitions : command.partitions;
  const replicas = command.replicas === 0 ? Math.max(1, Math.min(limits.defaultReplicas, live.length)) : command.replicas;
  const error =
    refuseTopicName(command.name) ??
    refuseReplicas(replicas) ??
    refusePartitions(image, partitions, partitions, limits) ??
    refuseConfigs(command.configs, [], replicas) ??
    refuseExisting(image, command.name) ??
    refuseFewBrokers(live.length, replicas);
  if (error !== undefined) return refuse(error);
  if (command.topicId === "" || image.topics.has(command.topicId) || image.tombstones.has(command.topicId)) {
    return refuse(new MillraceError("INVALID_REQUEST", "Cannot create a topic: topic_id must be a new uuid", { field: "topic_id" }));
  }
  const reply = { kind: "topicMade", topicId: command.topicId, partitions, replicas } as const;
  if (command.validateOnly) return { facts: [], reply };

  const { topicId, name, configs } = command;
  const created = placePartitions(image, { topicId, from: 0, count: partitions, replicas, seed: command.seed });
  return { facts: [{ kind: "topicCreated", topicId, name, replicas, configs }, ...created], reply };
}

function refuseReplicas(replicas: number): MillraceError | undefined {
  if (replicas >= 1) return undefined;
  return new MillraceError("INVALID_REQUEST", `Cannot create a topic with ${replicas} replicas: at least 1 is needed`, {
    field: "replicas",
  });
}

function refuseExisting(image: MetadataImage, name: string): MillraceError | undefined {
  const topic = image.topicByName(name);
  if (topic === undefined) return undefined;
  return new MillraceError("TOPIC_EXISTS", `Cannot create topic ${name}: it exists`, { topic: name, topic_id: topic.id });
}

/** Sets and resets keys of a topic, all or none. */
export function decideAlterTopic(image: MetadataImage, command: CommandOf<"alterTopic">): Decision {
  if (isInternalTopic(command.name)) return refuse(internalTopic("alter", command.name));
  const topic = namedTopic(image, command.name, command.topicId);
  if (topic instanceof MillraceError) return refuse(topic);
  const error = refuseConfigs(command.set, command.delete, topic.replicas);
  if (error !== undefined) return refuse(error);
  const changes = command.set.size + command.delete.length > 0 && !command.validateOnly;
  return done(changes ? [{ kind: "topicConfigChanged", topicId: topic.id, set: command.set, delete: command.delete }] : []);
}

/** The name is free at once; the data goes by the tombstone, which names the uuid: a topic made anew under the name is another one. */
export function decideDeleteTopic(image: MetadataImage, command: CommandOf<"deleteTopic">): Decision {
  if (isInternalTopic(command.name)) return refuse(internalTopic("delete", command.name));
  const topic = namedTopic(image, command.name, command.topicId);
  if (topic instanceof MillraceError) return refuse(topic);
  return { facts: [{ kind: "topicDeleted", topicId: topic.id }], reply: { kind: "topicGone", topicId: topic.id } };
}

/** Topics the broker is not waited for are passed over: confirming twice is fine. */
export function decideConfirmDeleted(image: MetadataImage, { brokerId, incarnation, topicIds }: CommandOf<"confirmDeleted">): Decision {
  if (image.brokers.get(brokerId)?.incarnation !== incarnation) {
    return refuse(
      new MillraceError(
        "STALE_VERSION",
        `Cannot confirm deletions of broker ${brokerId}: it is registered from another disk, or not at all`,
      ),
    );
  }
  const waiting = [...new Set(topicIds)].filter((topicId) => image.tombstones.get(topicId)?.waitingFor.includes(brokerId) === true);
  return done(waiting.map((topicId): Fact => ({ kind: "deletionConfirmed", topicId, brokerId })));
}
