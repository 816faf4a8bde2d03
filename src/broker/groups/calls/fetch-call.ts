import { MillraceError } from "../../../base/errors.ts";
import { limits } from "../../../base/limits.ts";
import { fetchAnswer } from "../../../consumer-groups/answers.ts";
import type { TopicPartitions } from "../../../consumer-groups/commands.ts";
import type { TopicDirectory } from "../../../consumer-groups/decision.ts";
import { groupTopics, namedTopic } from "../../../consumer-groups/group-topics.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { fetchOffsets as fetched } from "../../../consumer-groups/reads.ts";
import { tooMany, unknownPartition } from "../../../consumer-groups/refusals.ts";
import type { TopicPartitions as NamedPartitions } from "../../../protocol/public/group-service.ts";
import { FetchOffsetsRequest, FetchOffsetsResponse } from "../../../protocol/public/group-service.ts";
import { imageNow, topicsKnown } from "./ask-coordinator.ts";
import type { GroupCallParts, GroupMethod } from "./group-method.ts";

const ANSWER_BYTES_MAX = limits["group.answer.max.bytes"].value;

/** `FetchOffsets`: linearizable. A group nobody knows has committed nothing. */
export const fetchOffsets: GroupMethod = {
  makes: false,
  reads: true,
  async run(call, bytes) {
    const request = FetchOffsetsRequest.decode(bytes);
    const { groupId, topics } = request;
    await topicsKnown(topics, call, call.shard.view.image.group(groupId));
    const image = await imageNow(call);
    const group = image.group(groupId);
    const known = groupTopics(group, call.parts.topics);
    // Without names: all that is committed, also of topics that this broker has not read of.
    if (topics.length === 0 && group?.offsets.topics().some((id) => known.byId(id) === undefined)) await call.parts.barrier(call.until);
    return answer(request, { ...call.parts, topics: groupTopics(group, call.parts.topics) }, image);
  },
  async absent(bytes, parts, image) {
    return answer(FetchOffsetsRequest.decode(bytes), parts, image);
  },
};

type Parts = Pick<GroupCallParts, "settings"> & { readonly topics: TopicDirectory };

function answer({ groupId, topics }: FetchOffsetsRequest, parts: Parts, image: GroupsImage): Uint8Array {
  const asked = topics.length === 0 ? undefined : namedPartitions(topics, parts);
  return fitting(FetchOffsetsResponse.encode(fetchAnswer(fetched(image, groupId, asked), parts.topics)), "Name fewer partitions");
}

/** Partitions of a request by id; without numbers: all that the topic has. @throws {MillraceError} UNKNOWN_TOPIC, UNKNOWN_PARTITION, TOO_MANY_REQUESTS */
export function namedPartitions(
  named: readonly NamedPartitions[],
  { topics, settings }: Parts,
): readonly (TopicPartitions & { readonly topic: string })[] {
  let count = 0;
  const room = (more: number): void => {
    count += more;
    if (count > settings.offsetsPerGroupMax)
      throw tooMany(`Cannot take more than ${settings.offsetsPerGroupMax} partitions in one call`, "group.offsets.max");
  };
  return named.map(({ topic, topicId, partitions }) => {
    const known = namedTopic(topics, topic, topicId);
    if (known instanceof MillraceError) throw known;
    room(partitions.length === 0 ? known.partitions : partitions.length);
    for (const partition of partitions)
      if (partition < 0 || partition >= known.partitions) throw unknownPartition(known.name, partition, known.partitions);
    const all = partitions.length > 0 ? partitions : Array.from({ length: known.partitions }, (_, partition) => partition);
    return { topic: known.name, topicId: known.id, partitions: all };
  });
}

/** @param instead what the caller can do @throws {MillraceError} REQUEST_TOO_LARGE */
export function fitting(bytes: Uint8Array, instead: string): Uint8Array {
  if (bytes.byteLength <= ANSWER_BYTES_MAX) return bytes;
  throw new MillraceError("REQUEST_TOO_LARGE", `The answer would have ${bytes.byteLength} bytes. ${instead}`, {
    limit: "group.answer.max.bytes",
  });
}
