import type { MillraceError } from "../base/errors.ts";
import type { TopicId } from "../base/ids.ts";
import type {
  AssignedPartitions,
  CommitOffsetsRequest,
  MemberHeartbeat,
  MemberState as MemberStateMessage,
} from "../protocol/public/group-service.ts";
import type { CommitOffsets, Heartbeat, JoinGroup, LeaveGroup, OffsetToCommit, TopicPartitions } from "./commands.ts";
import type { MemberState } from "./decision.ts";
import { invalid } from "./refusals.ts";
import type { GroupSettings } from "./settings.ts";

/** Requests of `GroupService` as commands of the machine, and its answers as messages; the rest of each is the machine's to judge. */

const JOIN = 0;
const LEAVE = -1;
const LEAVE_FOR_A_WHILE = -2;

/** What a heartbeat asks for is said by its member epoch. */
export function memberCommand(beat: MemberHeartbeat, clientAddress: string): JoinGroup | Heartbeat | LeaveGroup | MillraceError {
  const { groupId, memberId, memberEpoch, topics, topicPattern, topicsChanged, assignor, rebalanceTimeoutMs } = beat;
  const instanceId = beat.instanceId === "" ? undefined : beat.instanceId;
  switch (memberEpoch) {
    case JOIN:
      return {
        ...{ kind: "join", groupId, memberId, instanceId, rack: beat.rack, clientAddress },
        ...{ topics, topicPattern, assignor, rebalanceTimeoutMs },
      };
    case LEAVE:
      return { kind: "leave", groupId, memberId, instanceId, forGood: true };
    case LEAVE_FOR_A_WHILE:
      if (instanceId === undefined) return invalid("instance_id", "only a static member, which has one, can leave for a while");
      return { kind: "leave", groupId, memberId, instanceId, forGood: false };
    default: {
      if (memberEpoch < LEAVE_FOR_A_WHILE) return invalid("member_epoch", `${memberEpoch} means nothing`);
      const owned = ownedOf(beat.owned);
      if ("code" in owned) return owned;
      const subscription = topicsChanged ? { topics, topicPattern, assignor, rebalanceTimeoutMs } : undefined;
      return { kind: "heartbeat", groupId, memberId, memberEpoch, instanceId, subscription, owned };
    }
  }
}

function ownedOf(owned: readonly AssignedPartitions[]): readonly TopicPartitions[] | MillraceError {
  if (owned.some(({ topicId }) => topicId === "")) return invalid("owned", "partitions are named by topic_id, as they were assigned");
  return owned.map(({ topicId, partitions }) => ({ topicId: topicId as TopicId, partitions }));
}

/**
 * @param nameOf a topic that is gone has no name any more
 * @param settings of the coordinator; the member keeps to them
 * @param coordinatorId broker that answers
 */
export function memberMessage(
  state: MemberState,
  nameOf: (topicId: TopicId) => string | undefined,
  settings: Pick<GroupSettings, "heartbeatIntervalMs" | "sessionTimeoutMs">,
  coordinatorId: number,
): MemberStateMessage {
  const { memberId, memberEpoch, assignment } = state;
  return {
    memberId,
    memberEpoch,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    assignmentChanged: assignment !== undefined,
    assignment: (assignment ?? []).map(({ topicId, partitions }) => ({
      topic: nameOf(topicId) ?? "",
      topicId,
      partitions,
    })),
    coordinatorId,
  };
}

/** What is known of a partition to judge a commit by. @see OffsetToCommit */
export type KnownEnd = Pick<OffsetToCommit, "seen" | "truncated"> & { readonly highWatermark: number; readonly endOf: TopicId };

/** @param end of the partition that is named at a place of the request, where it is known to be at least as new as the call */
export function commitCommand(
  { groupId, memberId, memberEpoch, offsets }: CommitOffsetsRequest,
  end: (at: number) => KnownEnd | undefined,
): CommitOffsets | MillraceError {
  if (memberId === "" && memberEpoch !== -1) return invalid("member_id", "it is empty; a commit from outside has member_epoch -1");
  return {
    kind: "commitOffsets",
    groupId,
    member: memberId === "" ? undefined : { id: memberId, epoch: memberEpoch },
    offsets: offsets.map(({ topic, topicId, partition, offset, metadata, term }, at) => ({
      topic,
      topicId: topicId === "" ? undefined : (topicId as TopicId),
      partition,
      offset,
      term: term ?? -1,
      metadata,
      highWatermark: undefined,
      ...end(at),
    })),
  };
}
