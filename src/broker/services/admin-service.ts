import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, LogIndex, TopicId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Random } from "../../base/ports/random.ts";
import type { CallContext, RpcServer } from "../../base/ports/rpc-server.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage, TopicImage } from "../../cluster/image-state.ts";
import { describeTopicConfig } from "../../cluster/topic-config.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import { AdminService } from "../../protocol/methods.ts";
import {
  AlterTopicRequest,
  AlterTopicResponse,
  BrokerState,
  ConfigSource,
  CreateTopicRequest,
  CreateTopicResponse,
  DeleteTopicRequest,
  DeleteTopicResponse,
  DescribeClusterRequest,
  DescribeClusterResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  GetClusterHealthRequest,
  GetClusterHealthResponse,
  ListTopicsRequest,
  ListTopicsResponse,
  type TopicDescription,
  TransferLeaderRequest,
  TransferLeaderResponse,
} from "../../protocol/public.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import { effectiveMinIsr } from "../partition/acks.ts";
import { type ClusterReports, healthOf } from "./health.ts";

/** What the admin service asks of the broker. */
export interface AdminBackend {
  readonly image: MetadataImage;
  readonly group: MetadataGroup;
  /** Leader of a group as this broker knows it best: its own replica, else the metadata. */
  leaderOf(partition: PartitionImage): { readonly broker: BrokerId; readonly term: number } | undefined;
  /** Asks every broker what it leads; those that do not answer in time are missing. */
  reports(): Promise<ClusterReports>;
  /** Hands the leadership of a group over. @param to 0: whoever is furthest. @returns who leads then */
  transfer(groupId: GroupId, to: number, deadline: number): Promise<{ readonly leaderId: number; readonly term: number }>;
}

const DEFAULT_DEADLINE_MS = 30_000;

const sources = { topic: ConfigSource.topic, cluster: ConfigSource.cluster, default: ConfigSource.default } as const;

/**
 * Registers what this version knows of `millrace.v1.AdminService`; the RPC server answers the rest NOT_IMPLEMENTED by name.
 * @param parts the broker's; throws NOT_READY or SHUTTING_DOWN while it does not serve
 */
export function registerAdminService(
  server: RpcServer,
  parts: () => AdminBackend,
  config: BrokerConfig,
  clock: Clock,
  random: Random,
): void {
  const deadlineOf = (call: CallContext): number => call.deadline ?? clock.monotonic() + DEFAULT_DEADLINE_MS;
  const version = (): LogIndex => parts().group.view.applied;
  /** Waits for what the caller has seen before (design §7). */
  const seen = async (minVersion: number, deadline: number): Promise<void> => {
    if (minVersion < 0)
      throw new MillraceError("INVALID_REQUEST", "min_metadata_version must not be negative", { field: "min_metadata_version" });
    await parts().group.applied(minVersion as LogIndex, deadline);
  };
  /** Waits until this broker shows what was recorded. It is recorded either way: a broker that is slow to read of it is no failure. */
  const shown = async (metadataVersion: LogIndex, deadline: number): Promise<void> => {
    try {
      await parts().group.applied(metadataVersion, deadline);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
    }
  };
  const unary = (path: string, handle: (bytes: Uint8Array, deadline: number) => Promise<Uint8Array>): void => {
    server.register(path, { kind: "unary", handle: (bytes, call) => handle(bytes, deadlineOf(call)) });
  };
  const topicNamed = async (name: string, deadline: number): Promise<TopicImage> => {
    if (parts().image.topicByName(name) === undefined) await parts().group.barrier(deadline);
    const topic = parts().image.topicByName(name);
    if (topic === undefined)
      throw new MillraceError("UNKNOWN_TOPIC", `No topic is named ${JSON.stringify(name.slice(0, 249))}`, { topic: name.slice(0, 249) });
    return topic;
  };
  const configsOf = (topic: TopicImage): MessageInput<typeof AlterTopicResponse>["configs"] => {
    // What applies is shown: "0 = a majority" would leave the reader to work it out.
    const minIsr = effectiveMinIsr(parts().image.configOf(topic).minInsyncReplicas, topic.replicas);
    return describeTopicConfig(topic.configs, parts().image.clusterConfigs).map(({ key, value, source }) => ({
      key,
      value: key === "min.insync.replicas" ? String(minIsr) : value,
      source: sources[source],
    }));
  };

  const describe = (topic: TopicImage): MessageInput<typeof TopicDescription> => ({
    name: topic.name,
    topicId: topic.id,
    replicas: topic.replicas,
    configs: configsOf(topic),
    partitions: topic.groups.flatMap((groupId) => {
      const partition = parts().image.partitionOfGroup(groupId);
      if (partition === undefined) return [];
      const leader = parts().leaderOf(partition);
      return [
        {
          partition: partition.partition,
          groupId,
          leaderId: leader?.broker ?? 0,
          leaderAddress: leader === undefined ? "" : (parts().image.brokers.get(leader.broker)?.clientAddress ?? ""),
          leaderTerm: leader?.term ?? 0,
          replicas: partition.replicas.map(({ brokerId, replicaId }) => ({ brokerId, replicaId })),
          isrBrokerIds: partition.replicas.filter(({ replicaId }) => partition.isr.includes(replicaId)).map(({ brokerId }) => brokerId),
          isrVersion: partition.isrVersion,
        },
      ];
    }),
  });

  unary(AdminService.CreateTopic.path, async (bytes, deadline) => {
    const request = CreateTopicRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    const { reply, metadataVersion } = await parts().group.submit(
      {
        kind: "createTopic",
        name: request.name,
        partitions: request.partitions,
        replicas: request.replicas,
        configs: request.configs,
        validateOnly: request.validateOnly,
        topicId: random.uuid() as TopicId,
        seed: random.below(2 ** 31),
      },
      deadline,
    );
    if (reply.kind !== "topicMade") throw new MillraceError("INTERNAL", "The controller answered another question");
    if (request.validateOnly) {
      return CreateTopicResponse.encode({ topic: { name: request.name, replicas: reply.replicas }, metadataVersion });
    }
    await shown(metadataVersion, deadline);
    const topic = parts().image.topics.get(reply.topicId);
    return CreateTopicResponse.encode({ ...(topic === undefined ? {} : { topic: describe(topic) }), metadataVersion });
  });

  unary(AdminService.DescribeTopics.path, async (bytes, deadline) => {
    const request = DescribeTopicsRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    const topics: TopicImage[] = [];
    if (request.names.length === 0) topics.push(...parts().image.topics.values());
    else for (const name of request.names) topics.push(await topicNamed(name, deadline));
    return DescribeTopicsResponse.encode({ topics: topics.map(describe), metadataVersion: version() });
  });

  unary(AdminService.ListTopics.path, async (bytes, deadline) => {
    const request = ListTopicsRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    await parts().group.barrier(deadline);
    const topics = [...parts().image.topics.values()]
      .map((topic) => ({ name: topic.name, topicId: topic.id, partitions: topic.groups.length, replicas: topic.replicas }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return ListTopicsResponse.encode({ topics, metadataVersion: version() });
  });

  unary(AdminService.AlterTopic.path, async (bytes, deadline) => {
    const { name, set, delete: remove, validateOnly, minMetadataVersion } = AlterTopicRequest.decode(bytes);
    await seen(minMetadataVersion, deadline);
    const { metadataVersion } = await parts().group.submit({ kind: "alterTopic", name, set, delete: remove, validateOnly }, deadline);
    await shown(metadataVersion, deadline);
    const topic = parts().image.topicByName(name);
    return AlterTopicResponse.encode({ ...(topic === undefined ? {} : { configs: configsOf(topic) }), metadataVersion });
  });

  unary(AdminService.DeleteTopic.path, async (bytes, deadline) => {
    const request = DeleteTopicRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    const topicId = request.topicId === "" ? undefined : (request.topicId as TopicId);
    const { metadataVersion } = await parts().group.submit({ kind: "deleteTopic", name: request.name, topicId }, deadline);
    await shown(metadataVersion, deadline);
    return DeleteTopicResponse.encode({ metadataVersion });
  });

  unary(AdminService.DescribeCluster.path, async (bytes, deadline) => {
    const request = DescribeClusterRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    return DescribeClusterResponse.encode({
      clusterId: parts().image.clusterId ?? "",
      controllerId: parts().group.controllerBroker ?? 0,
      brokers: [...parts().image.brokers.values()]
        .sort((a, b) => a.id - b.id)
        .map((broker) => ({
          brokerId: broker.id,
          address: broker.clientAddress,
          peerAddress: broker.peerAddress,
          rack: broker.rack ?? "",
          version: broker.version,
          state: broker.state === "live" ? BrokerState.live : BrokerState.fenced,
          incarnation: broker.incarnation,
          brokerEpoch: broker.epoch,
          seed: parts().image.seeds.some((seed) => seed.brokerId === broker.id),
        })),
      metadataVersion: version(),
      answeredBy: config.brokerId,
    });
  });

  unary(AdminService.GetClusterHealth.path, async (bytes, deadline) => {
    const request = GetClusterHealthRequest.decode(bytes);
    await seen(request.minMetadataVersion, deadline);
    return GetClusterHealthResponse.encode({
      ...healthOf(parts().image, config, await parts().reports(), parts().group.controllerBroker),
      metadataVersion: version(),
    });
  });

  unary(AdminService.TransferLeader.path, async (bytes, deadline) => {
    const request = TransferLeaderRequest.decode(bytes);
    const topic = await topicNamed(request.topic, deadline);
    const groupId = topic.groups[request.partition];
    const partition = groupId === undefined ? undefined : parts().image.partitionOfGroup(groupId);
    if (partition === undefined) {
      throw new MillraceError(
        "UNKNOWN_PARTITION",
        `Topic ${topic.name} has ${topic.groups.length} partitions: there is no ${request.partition}`,
        {
          partitions: String(topic.groups.length),
        },
      );
    }
    if (request.toBrokerId !== 0 && !partition.replicas.some(({ brokerId }) => brokerId === request.toBrokerId)) {
      const holders = partition.replicas.map(({ brokerId }) => brokerId).join(", ");
      throw new MillraceError(
        "UNKNOWN_BROKER",
        `Broker ${request.toBrokerId} holds no replica of ${topic.name}-${request.partition}; brokers ${holders} do`,
        { brokers: holders },
      );
    }
    return TransferLeaderResponse.encode(await parts().transfer(partition.groupId, request.toBrokerId, deadline));
  });
}
