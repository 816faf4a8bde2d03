import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { TopicId } from "../../base/ids.ts";
import type { Random } from "../../base/ports/random.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { TopicImage } from "../../cluster/image-state.ts";
import { isInternalTopic } from "../../cluster/internal-topics.ts";
import { AdminService } from "../../protocol/methods.ts";
import {
  AddPartitionsRequest,
  AddPartitionsResponse,
  AlterTopicRequest,
  AlterTopicResponse,
  CreateTopicRequest,
  CreateTopicResponse,
  DeleteTopicRequest,
  DeleteTopicResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  ListTopicsRequest,
  ListTopicsResponse,
} from "../../protocol/public.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { requireDistinctNames } from "./named-partitions.ts";
import { describeTopic, topicConfigs } from "./topic-description.ts";

/** Topics: made, described, listed, altered, grown, deleted. */
export function registerTopicCalls(calls: AdminCalls, { log }: BrokerConfig, random: Random): void {
  calls.change(AdminService.CreateTopic, async (bytes, until) => {
    const { name, partitions, replicas, configs, validateOnly, minMetadataVersion } = CreateTopicRequest.decode(bytes);
    await calls.seen(minMetadataVersion, until);
    const topicId = random.uuid() as TopicId;
    const { reply, metadataVersion } = await calls.submit(
      { kind: "createTopic", name, partitions, replicas, configs, validateOnly, topicId, seed: random.below(2 ** 31) },
      until,
    );
    if (reply.kind !== "topicMade") throw new MillraceError("INTERNAL", "The controller answered another question");
    if (validateOnly) return CreateTopicResponse.encode({ metadataVersion });
    const topic = calls.recorded.image.topics.get(reply.topicId);
    return CreateTopicResponse.encode({
      ...(topic === undefined ? {} : { topic: describeTopic(topic, calls.recorded, log) }),
      metadataVersion,
    });
  });

  calls.read(AdminService.DescribeTopics, async (bytes, until) => {
    const request = DescribeTopicsRequest.decode(bytes);
    requireDistinctNames(request.names);
    await calls.seen(request.minMetadataVersion, until);
    if (request.latest) await calls.parts.group.barrier(until);
    const topics: TopicImage[] = [];
    if (request.names.length === 0) topics.push(...listed(calls.image, false));
    else for (const name of request.names) topics.push(await calls.topicNamed(name, until));
    const { parts } = calls;
    return DescribeTopicsResponse.encode({
      topics: topics.map((topic) => describeTopic(topic, parts, log)),
      metadataVersion: calls.version,
    });
  });

  calls.read(AdminService.ListTopics, async (bytes, until) => {
    const request = ListTopicsRequest.decode(bytes);
    await calls.seen(request.minMetadataVersion, until);
    await calls.parts.group.barrier(until);
    const topics = listed(calls.image, request.includeInternal).map((topic) => ({
      name: topic.name,
      topicId: topic.id,
      partitions: topic.groups.length,
      replicas: topic.replicas,
      internal: isInternalTopic(topic.name),
    }));
    return ListTopicsResponse.encode({ topics, metadataVersion: calls.version });
  });

  calls.change(AdminService.AlterTopic, async (bytes, until) => {
    const { name, set, delete: remove, validateOnly, minMetadataVersion, topicId: asked } = AlterTopicRequest.decode(bytes);
    await calls.seen(minMetadataVersion, until);
    const topicId = givenId(asked);
    const { metadataVersion } = await calls.submit({ kind: "alterTopic", name, set, delete: remove, validateOnly, topicId }, until);
    const topic = changed(calls, name, topicId);
    return AlterTopicResponse.encode({
      ...(topic === undefined ? {} : { configs: topicConfigs(topic, calls.recorded, log) }),
      metadataVersion,
    });
  });

  calls.change(AdminService.AddPartitions, async (bytes, until) => {
    const { name, partitions, validateOnly, minMetadataVersion, topicId: asked } = AddPartitionsRequest.decode(bytes);
    await calls.seen(minMetadataVersion, until);
    const topicId = givenId(asked);
    const { metadataVersion } = await calls.submit(
      { kind: "addPartitions", name, partitions, validateOnly, seed: random.below(2 ** 31), topicId },
      until,
    );
    const topic = changed(calls, name, topicId);
    return AddPartitionsResponse.encode({
      ...(topic === undefined ? {} : { topic: describeTopic(topic, calls.recorded, log) }),
      metadataVersion,
    });
  });

  calls.change(AdminService.DeleteTopic, async (bytes, until) => {
    const request = DeleteTopicRequest.decode(bytes);
    await calls.seen(request.minMetadataVersion, until);
    const { metadataVersion } = await calls.submit({ kind: "deleteTopic", name: request.name, topicId: givenId(request.topicId) }, until);
    return DeleteTopicResponse.encode({ metadataVersion });
  });
}

function givenId(topicId: string): TopicId | undefined {
  return topicId === "" ? undefined : (topicId as TopicId);
}

/** What a command has changed; undefined: it is deleted since. */
function changed(calls: AdminCalls, name: string, topicId: TopicId | undefined): TopicImage | undefined {
  const { image } = calls.recorded;
  return topicId === undefined ? image.topicByName(name) : image.topics.get(topicId);
}

/** By name. The cluster's own ones are shown to who asks for them. */
function listed(image: MetadataImage, internal: boolean): readonly TopicImage[] {
  return [...image.topics.values()].filter(({ name }) => internal || !isInternalTopic(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
}
