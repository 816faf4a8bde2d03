import { MillraceError } from "../../../base/errors.ts";
import type { TopicPartitions } from "../../../consumer-groups/commands.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { namedTopic } from "../../../consumer-groups/group-topics.ts";
import { unknownGroup } from "../../../consumer-groups/refusals.ts";
import {
  DeleteGroupRequest,
  DeleteGroupResponse,
  DeleteOffsetsRequest,
  DeleteOffsetsResponse,
  type TopicPartitions as NamedPartitions,
} from "../../../protocol/public/group-service.ts";
import { statusOf } from "../../../protocol/rpc-status.ts";
import { decided, imageNow, topicsKnown } from "./ask-coordinator.ts";
import type { GroupCall, GroupMethod } from "./group-method.ts";

/** `DeleteGroup`: with its offsets, while it has no members. */
export const deleteGroup: GroupMethod = {
  makes: false,
  reads: false,
  async run(call, bytes) {
    const { groupId } = DeleteGroupRequest.decode(bytes);
    await decided(call, { kind: "deleteGroup", groupId }, "done");
    return DeleteGroupResponse.encode({});
  },
  absent(bytes) {
    return Promise.reject(unknownGroup(DeleteGroupRequest.decode(bytes).groupId));
  },
};

/** `DeleteOffsets`: of topics that no member subscribes to. A refusal of a topic is said of each of its partitions that were named, or of -1. */
export const deleteOffsets: GroupMethod = {
  makes: false,
  reads: false,
  async run(call, bytes) {
    const { groupId, topics } = DeleteOffsetsRequest.decode(bytes);
    await topicsKnown(topics, call);
    const group = (await imageNow(call)).group(groupId);
    if (group === undefined) throw unknownGroup(groupId);
    const named = topics.map((each) => ({ each, found: withId(call, group, each) }));
    const known = named.flatMap(({ each, found }) => (found instanceof MillraceError ? [] : [{ each, found }]));
    const { refused } = await decided(call, { kind: "deleteOffsets", groupId, topics: known.map(({ found }) => found) }, "offsets");
    return DeleteOffsetsResponse.encode({
      errors: [
        ...named.flatMap(({ each, found }) => (found instanceof MillraceError ? errorsOf(each, found) : [])),
        ...refused.flatMap(({ at, error }) => {
          const refusal = known[at]?.each;
          return refusal === undefined ? [] : errorsOf(refusal, error);
        }),
      ],
    });
  },
  absent(bytes) {
    return Promise.reject(unknownGroup(DeleteOffsetsRequest.decode(bytes).groupId));
  },
};

/** Without numbers: all of the topic that the group has committed. */
function withId({ parts }: GroupCall, group: GroupState, { topic, topicId, partitions }: NamedPartitions): TopicPartitions | MillraceError {
  const found = namedTopic(parts.topics, topic, topicId);
  if (found instanceof MillraceError) return found;
  const { id } = found;
  if (partitions.length > 0) return { topicId: id, partitions };
  return {
    topicId: id,
    partitions: [...group.offsets.of(id).keys()].filter((partition) => group.offsets.get(id, partition) !== undefined),
  };
}

function errorsOf({ topic, topicId, partitions }: NamedPartitions, error: Parameters<typeof statusOf>[0]) {
  const status = statusOf(error);
  return (partitions.length === 0 ? [-1] : partitions).map((partition) => ({ topic, topicId, partition, error: status }));
}
