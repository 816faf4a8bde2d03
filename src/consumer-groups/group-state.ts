import type { TopicId } from "../base/ids.ts";
import { type AssignorName, DEFAULT_ASSIGNOR } from "./assignors.ts";
import { PartitionMap } from "./partition-map.ts";

/** The values in the maps below are never changed, only replaced: a clone copies maps, and whoever keeps one keeps a moment. */

export interface MemberImage {
  /** Chosen by the member (uuid). */
  readonly id: string;
  /** A static member: at most one of the group has it. */
  readonly instanceId: string | undefined;
  readonly rack: string;
  readonly clientAddress: string;
  /** Names, ascending, each once; they need not exist. */
  readonly topics: readonly string[];
  /** Topics whose whole name it matches, too; empty: none. */
  readonly topicPattern: string;
  /** The assignor it asks for; empty: no wish. */
  readonly assignor: string;
  /** Time it has to give partitions back, milliseconds. */
  readonly rebalanceTimeoutMs: number;
  /** Epoch at which it joined, the last time it did. Whatever names an earlier one is of a former life of it. */
  readonly joinEpoch: number;
  /** Epoch of the newest of what it is told: rises with each change of its assignment, never otherwise. */
  readonly epoch: number;
  /** A static member that said it will be back: keeps what it has until its session ends, and is given nothing more. */
  readonly away: boolean;
}

/** A partition in the hands of a member. There is one holding per partition at most, so there is one owner (C3). */
export interface Holding {
  readonly member: string;
  /** Epoch at which it was granted: no commit of an earlier one is taken (C2). */
  readonly since: number;
  /** Epoch at which the member was told to give it back; 0: it was not. Until it has, it may commit. */
  readonly revoking: number;
}

export interface TargetTopic {
  readonly topicId: TopicId;
  readonly name: string;
  /** By partition number. */
  readonly owners: readonly (string | undefined)[];
}

export interface CommittedOffset {
  /** The next one to be read. */
  readonly offset: number;
  /** Term of the leader the last record was read from; -1: not said. */
  readonly term: number;
  readonly metadata: string;
  /** Coordinator's wall clock, milliseconds since 1970. */
  readonly committedAtMs: number;
}

/** One group: everything that follows from its facts; nothing else is in here. */
export interface GroupState {
  readonly id: string;
  /** Rises with everything members are told; numbers of one group are never used for two different things. */
  epoch: number;
  /** Epoch of the newest target. */
  targetEpoch: number;
  assignor: AssignorName;
  members: Map<string, MemberImage>;
  /** Who is to have what, by topic. */
  target: ReadonlyMap<TopicId, TargetTopic>;
  held: PartitionMap<Holding>;
  /** Holdings that are to be given back. */
  revoking: number;
  offsets: PartitionMap<CommittedOffset>;
  /** When the last member went, milliseconds since 1970 by the coordinator's wall clock; 0: it never had one; -1: unknown (`UNKNOWN_TIME`). */
  emptySinceMs: number;
}

/** @param epoch no group of this name has ever had a later one */
export function newGroup(id: string, epoch: number): GroupState {
  return {
    id,
    epoch,
    targetEpoch: 0,
    assignor: DEFAULT_ASSIGNOR,
    members: new Map(),
    target: new Map(),
    held: new PartitionMap(),
    revoking: 0,
    offsets: new PartitionMap(),
    emptySinceMs: 0,
  };
}

export function cloneGroup(group: GroupState): GroupState {
  return { ...group, members: new Map(group.members), held: group.held.clone(), offsets: group.offsets.clone() };
}

export function memberOfInstance(group: GroupState, instanceId: string | undefined): MemberImage | undefined {
  if (instanceId === undefined) return undefined;
  for (const member of group.members.values()) if (member.instanceId === instanceId) return member;
  return undefined;
}
