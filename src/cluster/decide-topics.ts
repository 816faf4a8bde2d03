import { MillraceError } from "../base/errors.ts";
import type { BrokerId, GroupId, ReplicaId } from "../base/ids.ts";
import { counted } from "../base/plural.ts";
import type { CommandOf } from "./commands.ts";
import { type DecideLimits, type Decision, done, refuse } from "./decision.ts";
import type { Fact } from "./facts.ts";
import type { MetadataImage } from "./image.ts";
import type { TopicImage } from "./image-state.ts";
import { refuseTopicName } from "./names.ts";
import { type PlacementBroker, placeReplicas } from "./placement.ts";
import { refuseTopicConfig, refuseTopicConfigKey } from "./topic-config.ts";

/** Keys of one request; there are fewer known ones. */
const CONFIGS_MAX = 100;

/** Names, counts and settings are checked before anything is recorded; the topic and all its partitions are one frame. */
export function decideCreateTopic(image: MetadataImage, command: CommandOf<"createTopic">, limits: DecideLimits): Decision {
  const live = image.liveBrokers();
  const partitions = command.partitions === 0 ? limits.defaultPartitions : command.partitions;
  const replicas = command.replicas === 0 ? Math.max(1, Math.min(limits.defaultReplicas, live.length)) : command.replicas;
  const error =
    refuseTopicName(command.name) ??
    refuseCounts(image, partitions, replicas, limits) ??
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
  const placed = placeReplicas(placementBrokers(image), partitions, replicas, Math.abs(command.seed));
  let nextGroup: number = image.nextIds.group;
  let nextReplica: number = image.nextIds.replica;
  const created = placed.map((brokers: readonly BrokerId[], partition): Fact => {
    const groupId = nextGroup++ as GroupId;
    return {
      kind: "partitionCreated",
      topicId,
      partition,
      groupId,
      replicas: brokers.map((brokerId) => ({ brokerId, replicaId: nextReplica++ as ReplicaId })),
    };
  });
  return { facts: [{ kind: "topicCreated", topicId, name, replicas, configs }, ...created], reply };
}

/** Live brokers only; what each holds is counted anew, which is cheap beside the write that follows. */
function placementBrokers(image: MetadataImage): PlacementBroker[] {
  const leaders = new Map<BrokerId, number>();
  const replicas = new Map<BrokerId, number>();
  for (const partition of image.partitions.values()) {
    for (const [at, { brokerId }] of partition.replicas.entries()) {
      if (at === 0) leaders.set(brokerId, (leaders.get(brokerId) ?? 0) + 1);
      replicas.set(brokerId, (replicas.get(brokerId) ?? 0) + 1);
    }
  }
  return image.liveBrokers().map(({ id, rack }) => ({ id, rack, leaders: leaders.get(id) ?? 0, replicas: replicas.get(id) ?? 0 }));
}

function refuseCounts(image: MetadataImage, partitions: number, replicas: number, limits: DecideLimits): MillraceError | undefined {
  if (partitions < 1 || partitions > limits.partitionsPerTopicMax) {
    return new MillraceError(
      "INVALID_REQUEST",
      `Cannot create a topic with ${partitions} partitions: 1 to ${limits.partitionsPerTopicMax} are allowed`,
      {
        field: "partitions",
      },
    );
  }
  if (replicas < 1)
    return new MillraceError("INVALID_REQUEST", `Cannot create a topic with ${replicas} replicas: at least 1 is needed`, {
      field: "replicas",
    });
  if (image.partitions.size + partitions > limits.partitionsMax) {
    return new MillraceError(
      "TOO_MANY_REQUESTS",
      `Cannot create ${partitions} partitions: the cluster has ${image.partitions.size} of ${limits.partitionsMax}`,
      {
        limit: "partitions.max",
      },
    );
  }
  return undefined;
}

function refuseExisting(image: MetadataImage, name: string): MillraceError | undefined {
  const topic = image.topicByName(name);
  if (topic === undefined) return undefined;
  return new MillraceError("TOPIC_EXISTS", `Cannot create topic ${name}: it exists`, { topic: name, topic_id: topic.id });
}

function refuseFewBrokers(live: number, replicas: number): MillraceError | undefined {
  if (live >= replicas) return undefined;
  return new MillraceError("INSUFFICIENT_BROKERS", `Cannot place ${counted(replicas, "replica")} on ${counted(live, "live broker")}`, {
    live_brokers: String(live),
    replicas: String(replicas),
  });
}

/** Sets and resets keys of a topic, all or none. */
export function decideAlterTopic(image: MetadataImage, command: CommandOf<"alterTopic">): Decision {
  const topic = image.topicByName(command.name);
  if (topic === undefined) return refuse(unknownTopic(command.name));
  const error = refuseConfigs(command.set, command.delete, topic.replicas);
  if (error !== undefined) return refuse(error);
  const changes = command.set.size + command.delete.length > 0 && !command.validateOnly;
  return done(changes ? [{ kind: "topicConfigChanged", topicId: topic.id, set: command.set, delete: command.delete }] : []);
}

function refuseConfigs(set: ReadonlyMap<string, string>, gone: readonly string[], replicas: number): MillraceError | undefined {
  if (set.size + gone.length > CONFIGS_MAX) {
    return new MillraceError("INVALID_CONFIG", `Cannot set ${set.size + gone.length} keys at once: at most ${CONFIGS_MAX}`, {
      limit: "configs.max",
    });
  }
  for (const [key, value] of set) {
    const error = refuseTopicConfig(key, value);
    if (error !== undefined) return error;
  }
  for (const key of gone) {
    if (set.has(key)) return new MillraceError("INVALID_CONFIG", `Cannot both set and delete ${key}`, { key });
    const error = refuseTopicConfigKey(key);
    if (error !== undefined) return error;
  }
  const minIsr = Number(set.get("min.insync.replicas") ?? 0);
  if (minIsr <= replicas) return undefined;
  return new MillraceError("INVALID_CONFIG", `Cannot set min.insync.replicas to ${minIsr}: the topic has ${counted(replicas, "replica")}`, {
    key: "min.insync.replicas",
  });
}

/** The name is free at once; the data goes by the tombstone, which names the uuid: a topic made anew under the name is another one. */
export function decideDeleteTopic(image: MetadataImage, command: CommandOf<"deleteTopic">): Decision {
  const topic: TopicImage | undefined = image.topicByName(command.name);
  if (topic === undefined || (command.topicId !== undefined && command.topicId !== topic.id)) return refuse(unknownTopic(command.name));
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

function unknownTopic(name: string): MillraceError {
  return new MillraceError("UNKNOWN_TOPIC", `No topic ${JSON.stringify(name.slice(0, 250))}`, { topic: name.slice(0, 250) });
}
