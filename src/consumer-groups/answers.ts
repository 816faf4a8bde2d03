import type { MessageInput } from "../protocol/codec/index.ts";
import {
  type CommitOffsetsResponse,
  type DescribeGroupResponse,
  type FetchOffsetsResponse,
  GroupState as GroupStateNumber,
  type ListGroupsResponse,
  type SeekGroupResponse,
} from "../protocol/public/group-service.ts";
import { statusOf } from "../protocol/rpc-status.ts";
import type { TopicPartitions } from "./commands.ts";
import { type RefusedOffset, type SeekStep, type TopicDirectory, UNKNOWN_TIME } from "./decision.ts";
import type { GroupState } from "./group-state.ts";
import { type GroupsPage, pageOf } from "./groups-page.ts";
import type { GroupsImage } from "./image.ts";
import type { InterestsWorld } from "./interests.ts";
import { describeMembers, type FetchedOffset, type GroupPhase, phaseOf } from "./reads.ts";

/** What the machine says as the messages of `GroupService`. Topics that are gone have no name and are left out. */

const numberOf = {
  empty: GroupStateNumber.empty,
  reconciling: GroupStateNumber.reconciling,
  stable: GroupStateNumber.stable,
} as const satisfies Readonly<Record<GroupPhase, GroupStateNumber>>;

/** @param offsets those of the request, by whose place a refusal names one */
export function commitAnswer(
  offsets: readonly { readonly topic: string; readonly topicId: string | undefined; readonly partition: number }[],
  refused: readonly RefusedOffset[],
): MessageInput<typeof CommitOffsetsResponse> {
  return {
    errors: refused.map(({ at, error }) => {
      const { topic, topicId, partition } = offsets[at] ?? {};
      return { topic, topicId: topicId ?? "", partition, error: statusOf(error) };
    }),
  };
}

/** As the API tells it: 0, when the coordinator could not trust its clock. */
export function knownTime(ms: number): number {
  return ms === UNKNOWN_TIME ? 0 : ms;
}

export function fetchAnswer(fetched: readonly FetchedOffset[], topics: TopicDirectory): MessageInput<typeof FetchOffsetsResponse> {
  return {
    offsets: fetched.flatMap(({ topicId, partition, committed }) => {
      const topic = topics.byId(topicId)?.name;
      if (topic === undefined) return [];
      if (committed === undefined) return [{ topic, topicId, partition }];
      const { offset, metadata, committedAtMs, term } = committed;
      return [{ topic, topicId, partition, offset, metadata, committedAtMs: knownTime(committedAtMs), ...(term > 0 ? { term } : {}) }];
    }),
  };
}

export function seekAnswer(steps: readonly SeekStep[], topics: TopicDirectory): MessageInput<typeof SeekGroupResponse> {
  return {
    results: steps.map(({ topicId, partition, before, after }) => ({ topic: topics.byId(topicId)?.name, partition, before, after })),
  };
}

/** Of a shard: those of the page, by name. Whoever asks all shards cuts the page out of their answers. */
export function listAnswer(image: GroupsImage, page: GroupsPage): MessageInput<typeof ListGroupsResponse> {
  return {
    groups: pageOf([...image.groups.values()], ({ id }) => id, page).listed.map((group) => ({
      groupId: group.id,
      state: numberOf[phaseOf(group)],
      members: group.members.size,
    })),
  };
}

/** All but lag and coordinator, which are not the image's to know. */
export function describeAnswer(group: GroupState, world: InterestsWorld): MessageInput<typeof DescribeGroupResponse> {
  const named = (partitions: readonly TopicPartitions[]) =>
    partitions.map(({ topicId, partitions: numbers }) => ({
      topic: group.target.get(topicId)?.name ?? world.topics.byId(topicId)?.name ?? "",
      topicId,
      partitions: numbers,
    }));
  return {
    groupId: group.id,
    state: numberOf[phaseOf(group)],
    groupEpoch: group.epoch,
    assignor: group.assignor,
    members: describeMembers(group, world).map(({ member, assignment, target, leftOut }) => ({
      memberId: member.id,
      instanceId: member.instanceId ?? "",
      clientAddress: member.clientAddress,
      memberEpoch: member.epoch,
      assignment: named(assignment),
      target: named(target),
      topics: member.topics,
      topicPattern: member.topicPattern,
      topicsLeftOut: leftOut,
    })),
  };
}
