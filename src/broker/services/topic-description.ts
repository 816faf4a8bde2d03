import type { BrokerLogOptions } from "../../base/broker-config.ts";
import type { TopicImage } from "../../cluster/image-state.ts";
import { isInternalTopic } from "../../cluster/internal-topics.ts";
import type { ConfigMap } from "../../cluster/topic-config.ts";
import { describeTopicConfig, topicConfigKeys } from "../../cluster/topic-config.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import { type ConfigEntry, ConfigSource, type TopicDescription } from "../../protocol/public.ts";
import { effectiveMinIsr } from "../partition/acks.ts";
import type { AdminBackend } from "./admin-calls.ts";

/** Of the settings a topic leaves to each broker: what the one that answers is started with. */
type SegmentDefaults = Pick<BrokerLogOptions, "segmentBytes" | "segmentMs">;

const sources = { topic: ConfigSource.topic, cluster: ConfigSource.cluster, default: ConfigSource.default } as const;

/** Every setting of a topic with where its value comes from. */
export function topicConfigs(topic: TopicImage, { image }: AdminBackend, broker: SegmentDefaults): readonly ConfigEntry[] {
  // What applies is shown: "0 = a majority" would leave the reader to work it out.
  const minIsr = effectiveMinIsr(image.configOf(topic).minInsyncReplicas, topic.replicas);
  return configEntries(topic.configs, image.clusterConfigs, broker).map((entry) =>
    entry.key === "min.insync.replicas"
      ? { ...entry, value: String(minIsr), defaultValue: String(effectiveMinIsr(undefined, topic.replicas)) }
      : entry,
  );
}

/** Every key of the table, as the topic, else the cluster, else this broker's own configuration, else the default says. */
export function configEntries(topic: ConfigMap, cluster: ConfigMap, broker: SegmentDefaults): readonly ConfigEntry[] {
  const own = new Map<string, number>([
    ["segment.bytes", broker.segmentBytes],
    ["segment.ms", broker.segmentMs],
  ]);
  return describeTopicConfig(topic, cluster).map(({ key, value, source }) => {
    const defaultValue = String(topicConfigKeys[key].default);
    const configured = source === "default" ? own.get(key) : undefined;
    return configured === undefined || String(configured) === defaultValue
      ? { key, value, source: sources[source], defaultValue }
      : { key, value: String(configured), source: ConfigSource.broker, defaultValue };
  });
}

export function describeTopic(topic: TopicImage, parts: AdminBackend, broker: SegmentDefaults): MessageInput<typeof TopicDescription> {
  const { image } = parts;
  return {
    name: topic.name,
    topicId: topic.id,
    replicas: topic.replicas,
    internal: isInternalTopic(topic.name),
    configs: topicConfigs(topic, parts, broker),
    partitions: topic.groups.flatMap((groupId) => {
      const partition = image.partitionOfGroup(groupId);
      if (partition === undefined) return [];
      const leader = parts.leaderOf(partition);
      return [
        {
          partition: partition.partition,
          groupId,
          leaderId: leader?.broker ?? 0,
          leaderAddress: leader === undefined ? "" : (image.brokers.get(leader.broker)?.clientAddress ?? ""),
          leaderTerm: leader?.term ?? 0,
          replicas: partition.replicas.map(({ brokerId, replicaId }) => ({ brokerId, replicaId })),
          isrBrokerIds: partition.replicas.filter(({ replicaId }) => partition.isr.includes(replicaId)).map(({ brokerId }) => brokerId),
          isrVersion: partition.isrVersion,
        },
      ];
    }),
  };
}
