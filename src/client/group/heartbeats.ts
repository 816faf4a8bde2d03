import { HeartbeatRequest, HeartbeatResponse, type MemberState, SessionRequest, SessionResponse } from "../../protocol/public.ts";
import type { Beat, KeeperSpec } from "./keeper-words.ts";
import type { GroupPartition } from "./tenure.ts";

const LEAVE = -1;
const LEAVE_FOR_A_WHILE = -2;

interface Said extends Pick<Beat, "memberId" | "memberEpoch" | "owned"> {
  /** What it wants is said when it joins. */
  readonly joins: boolean;
}

function heartbeat(spec: KeeperSpec, { memberId, memberEpoch, owned, joins }: Said) {
  const topics = new Map<string, { topic: string; topicId: string; partitions: number[] }>();
  for (const { topic, topicId, partition } of owned) {
    const known = topics.get(topicId);
    if (known === undefined) topics.set(topicId, { topic, topicId, partitions: [partition] });
    else known.partitions.push(partition);
  }
  const { groupId, instanceId, rack, assignor, rebalanceTimeoutMs } = spec;
  const wish = joins
    ? { rack, topics: spec.topics, topicPattern: spec.topicPattern, topicsChanged: true, assignor, rebalanceTimeoutMs }
    : {};
  return { groupId, memberId, memberEpoch, instanceId, owned: [...topics.values()], ...wish };
}

/** One message of a `Session`. */
export function sessionBeat(spec: KeeperSpec, beat: Beat): Uint8Array {
  return SessionRequest.encode({ heartbeat: heartbeat(spec, { ...beat, joins: beat.memberEpoch === 0 }) });
}

/** The same as a call of its own. */
export function unaryBeat(spec: KeeperSpec, beat: Beat): Uint8Array {
  return HeartbeatRequest.encode({ heartbeat: heartbeat(spec, { ...beat, joins: beat.memberEpoch === 0 }) });
}

export function leaving(spec: KeeperSpec, memberId: string, forAWhile: boolean): Uint8Array {
  const memberEpoch = forAWhile ? LEAVE_FOR_A_WHILE : LEAVE;
  return HeartbeatRequest.encode({ heartbeat: heartbeat(spec, { memberId, memberEpoch, owned: [], joins: false }) });
}

export function sessionState(message: Uint8Array): MemberState | undefined {
  return SessionResponse.decode(message).state;
}

export function unaryState(message: Uint8Array): MemberState | undefined {
  return HeartbeatResponse.decode(message).state;
}

/** All that the member is to hold, or undefined when that has not changed. */
export function assignmentOf({ assignmentChanged, assignment }: MemberState): readonly GroupPartition[] | undefined {
  if (!assignmentChanged) return undefined;
  return assignment.flatMap(({ topic, topicId, partitions }) => partitions.map((partition) => ({ topic, topicId, partition })));
}
