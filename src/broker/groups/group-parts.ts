import type { BrokerConfig } from "../../base/broker-config.ts";
import type { TopicId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Fact } from "../../cluster/facts.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import {
  type CommittedOffset,
  DescribeGroupRequest,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  type TopicPartitions,
} from "../../protocol/public/group-service.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { MetadataView } from "../metadata/metadata-view.ts";
import type { PartitionSet } from "../partition-set.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { RoutedLog } from "../routing/log-backend.ts";
import type { Router } from "../routing/router.ts";
import { GroupCalls } from "./calls/group-calls.ts";
import { type KnownEnds, PartitionEnds } from "./calls/partition-ends.ts";
import { Coordinator } from "./coordinator/coordinator.ts";
import type { GroupTopics } from "./coordinator/topic-directory.ts";
import type { GroupsShards, MakeShardLeader } from "./shards.ts";

/** A coordinator asks the controller for itself no longer than this. */
const BARRIER_MS = 10_000;

export interface CoordinatorsPorts {
  readonly clock: Clock;
  readonly config: Pick<BrokerConfig, "groups">;
  readonly view: Pick<MetadataView, "image">;
  readonly group: Pick<MetadataGroup, "barrier">;
  readonly topics: GroupTopics;
  readonly partitions: () => Pick<PartitionSet, "age" | "get">;
  readonly failed: (error: unknown) => void;
}

/** Makes the coordinator of each shard that is opened here. */
export function makeCoordinator({
  clock,
  config,
  view,
  group,
  topics,
  partitions,
  failed,
}: CoordinatorsPorts): MakeShardLeader<Coordinator> {
  return (parts) =>
    new Coordinator(parts, {
      clock,
      settings: config.groups,
      topics,
      trusted: () => partitions().age.look().trusted,
      barrier: () => group.barrier({ deadline: clock.monotonic() + BARRIER_MS }),
      ends: (topicId, partition) => endsHere(view.image, partitions(), topicId, partition),
      failed,
    });
}

/** What this broker's own replica of a partition knows. */
function endsHere(image: MetadataImage, partitions: Pick<PartitionSet, "get">, topicId: TopicId, partition: number): KnownEnds | undefined {
  const groupId = image.topics.get(topicId)?.groups[partition];
  return groupId === undefined ? undefined : partitions.get(groupId)?.partition;
}

const ofTopics: ReadonlySet<Fact["kind"]> = new Set(["topicCreated", "partitionCreated", "topicDeleted"]);

/** Coordinators hear of topics that were made, grown or deleted. */
export function tellOfTopics(
  view: Pick<MetadataView, "onChange">,
  topics: Pick<GroupTopics, "deleted">,
  shards: Pick<GroupsShards<Coordinator>, "all">,
): void {
  view.onChange((facts) => {
    topics.deleted((facts ?? []).flatMap((fact) => (fact.kind === "topicDeleted" ? [fact.topicId] : [])));
    if (facts?.some(({ kind }) => ofTopics.has(kind)) !== false) for (const { leader } of shards.all) leader.topicsChanged();
  });
}

export interface GroupCallsParts {
  readonly clock: Clock;
  readonly config: BrokerConfig;
  readonly image: MetadataImage;
  readonly topics: GroupTopics;
  readonly group: Pick<MetadataGroup, "barrier">;
  readonly shards: GroupsShards<Coordinator>;
  readonly log: Pick<RoutedLog, "resolve" | "offsets">;
  readonly partitions: Pick<PartitionSet, "get">;
  readonly router: Router;
  readonly links: Pick<PeerLinks, "call">;
  readonly failed: (error: unknown) => void;
}

/** Where the logs of partitions end; who asks much has one of its own, so that nobody waits behind it. */
export function partitionEnds({
  clock,
  image,
  log,
  partitions,
}: Pick<GroupCallsParts, "clock" | "image" | "log" | "partitions">): PartitionEnds {
  return new PartitionEnds({
    clock,
    resolve: (topic, partition, until, topicId) => log.resolve(topic, partition, until, topicId),
    offsets: (target, timeMs, options, done) => log.offsets(target, timeMs, options, done),
    here: (topicId, partition) => endsHere(image, partitions, topicId, partition),
  });
}

/** The way of calls to coordinators, here and elsewhere. */
export function groupCalls(from: GroupCallsParts): GroupCalls {
  const { clock, config, topics, group, shards, router, links, failed } = from;
  const ends = partitionEnds(from);
  const calls: GroupCalls = new GroupCalls({
    parts: {
      clock,
      brokerId: config.brokerId,
      settings: config.groups,
      topics,
      ends,
      committed: (groupId, topics, until) =>
        committedOf((name, request) => calls.call(name, groupId, request, { until, clientAddress: "" }), groupId, topics),
      barrier: (until) => group.barrier(until),
    },
    shards,
    router,
    links,
    forwardWaitMs: config.timings.forwardWaitMs,
    failed,
  });
  return calls;
}

/** @throws {MillraceError} UNKNOWN_GROUP */
async function committedOf(
  ask: (name: "FetchOffsets" | "DescribeGroup", request: Uint8Array) => Promise<Uint8Array>,
  groupId: string,
  topics: readonly TopicPartitions[],
): Promise<readonly CommittedOffset[]> {
  const { offsets } = FetchOffsetsResponse.decode(await ask("FetchOffsets", FetchOffsetsRequest.encode({ groupId, topics })));
  // A group nobody knows has committed nothing, says FetchOffsets; who names one to go where it is wants to hear that there is none.
  if (offsets.every(({ offset }) => offset === undefined)) await ask("DescribeGroup", DescribeGroupRequest.encode({ groupId }));
  return offsets;
}
