import { MillraceError } from "../../base/errors.ts";
import { toOffset } from "../../base/ids.ts";
import type { Until } from "../../base/until.ts";
import type { TopicImage } from "../../cluster/image-state.ts";
import { internalTopic, isInternalTopic } from "../../cluster/internal-topics.ts";
import { unknownPartition } from "../../cluster/named-topics.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import { AdminService } from "../../protocol/methods.ts";
import { type PartitionTrim, type PartitionTrimmed, TrimTopicRequest, TrimTopicResponse } from "../../protocol/public.ts";
import { statusOf } from "../../protocol/rpc-status.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { requireDistinct } from "./named-partitions.ts";

/** "All that are committed now", in place of an offset. */
const ALL_COMMITTED = -1;

/** Deletes records below an offset: each partition by its leader, wherever that is, and each with an answer of its own. */
export function registerTrimCall(calls: AdminCalls, partitionsPerTopicMax: number): void {
  calls.change(AdminService.TrimTopic, async (bytes, until) => {
    const { name, topicId, partitions } = TrimTopicRequest.decode(bytes);
    if (partitions.length === 0)
      throw new MillraceError("INVALID_REQUEST", "Cannot trim nothing: name a partition", { field: "partitions" });
    requireDistinct(
      partitions.map(({ partition }) => partition),
      partitionsPerTopicMax,
    );
    for (const { beforeOffset } of partitions) {
      if (beforeOffset >= ALL_COMMITTED) continue;
      const text = `Cannot trim to offset ${beforeOffset}: it must be 0 or more, or ${ALL_COMMITTED} for all that are committed`;
      throw new MillraceError("INVALID_REQUEST", text, { field: "before_offset" });
    }
    if (isInternalTopic(name)) throw internalTopic("trim", name);
    const topic = await calls.topicNamed(name, until, topicId);
    return TrimTopicResponse.encode({ partitions: await Promise.all(partitions.map((trim) => trimmed(calls, topic, trim, until))) });
  });
}

async function trimmed(
  calls: AdminCalls,
  topic: TopicImage,
  { partition, beforeOffset }: PartitionTrim,
  until: Until,
): Promise<MessageInput<typeof PartitionTrimmed>> {
  try {
    const groupId = topic.groups[partition];
    if (groupId === undefined) throw unknownPartition(topic.name, topic.groups.length, partition);
    const before = beforeOffset === ALL_COMMITTED ? undefined : toOffset(beforeOffset);
    return { partition, ...(await calls.parts.trim(groupId, before, until)) };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { partition, error: statusOf(error) };
  }
}
