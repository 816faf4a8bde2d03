import type { TopicImage } from "../../cluster/image-state.ts";
import type { ConfigMap } from "../../cluster/topic-config.ts";
import { describeTopicConfig, topicConfigKeys } from "../../cluster/topic-config.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import { type ConfigEntry, ConfigSource, type TopicDescription } from "../../protocol/public.ts";
import { effectiveMinIsr } from "../partition/acks.ts";
import type { AdminBackend } from "./admin-calls.ts";

const sources = { topic: ConfigSource.topic, cluster: ConfigSource.cluster, default: ConfigSource.default } as const;

/** Every setting of a topic with where its value comes from. */
export function topicConfigs(topic: TopicImage, { image }: AdminBackend): readonly ConfigEntry[] {
  // What applies is shown: "0 = a majority" would leave the reader to work it out.
  const minIsr = effectiveMinIsr(image.configOf(topic).minInsyncReplicas, topic.replicas);
  return configEntries(topic.configs, image.clusterConfigs).map((entry) =>
    entry.key === "min.insync.replicas"
      ? { ...entry, value: String(minIsr), defaultValue: String(effectiveMinIsr(undefined, topic.replicas)) }
      : entry,
  );
}

/** Every key of the table, as the topic, else the cluster, else the default says. */
export function configEntries(topic: ConfigMap, cluster: ConfigMap): readonly ConfigEntry[] {
  return describeTopicConfig(topic, cluster).map(({ key, value, source }) => ({
    key,
    value,
    source: sources[source],
    defaultValue: String(topicConfigKeys[key].default),
  }));
}

export function describeTopic(topic: TopicImage, parts: AdminBackend): MessageInput<typeof TopicDescription> {
  const { image } = parts;
  return {
    name: topic.name,
    topicId: topic.id,
    replicas: topic.replicas,
    configs: topicConfigs(topic, parts),
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
