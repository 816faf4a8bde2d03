import type { TopicId } from "../base/ids.ts";

/** What members, operators and the coordinator's own timers ask of a group. Not replicated, never stored: a call that was let in. */

export interface TopicPartitions {
  readonly topicId: TopicId;
  readonly partitions: readonly number[];
}

/** Member epoch 0. Also from a member that is there: then it begins anew and holds nothing. */
export interface JoinGroup {
  readonly kind: "join";
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | undefined;
  readonly rack: string;
  readonly clientAddress: string;
  readonly topics: readonly string[];
  /** Besides: all topics whose whole name it matches, also those that come later; RE2 syntax. Empty: none. */
  readonly topicPattern: string;
  /** Empty: no wish. */
  readonly assignor: string;
  /** 0: the default. */
  readonly rebalanceTimeoutMs: number;
}

export interface Heartbeat {
  readonly kind: "heartbeat";
  readonly groupId: string;
  readonly memberId: string;
  /** The newest it was told, ≥ 1. */
  readonly memberEpoch: number;
  readonly instanceId: string | undefined;
  /** What it wants from now on; undefined: as before. */
  readonly subscription: Pick<JoinGroup, "topics" | "topicPattern" | "assignor" | "rebalanceTimeoutMs"> | undefined;
  /** All it holds; undefined: not said. What it was told to give back and is not among them it has given back. */
  readonly owned: readonly TopicPartitions[] | undefined;
}

export interface LeaveGroup {
  readonly kind: "leave";
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | undefined;
  /** False (member epoch -2): a static member that will be back keeps its partitions until its session ends. */
  readonly forGood: boolean;
}

/** From the coordinator's timers. Does nothing when what it rests on is not so any more. */
export interface ExpireMember {
  readonly kind: "expireMember";
  readonly groupId: string;
  readonly memberId: string;
  /** The life of the member whose time ran out. */
  readonly joinEpoch: number;
  /** Undefined: the session ended. Else the member was told at this epoch to give partitions back, and has not. */
  readonly revoking: number | undefined;
}

/** The topics of the group may have changed: made, grown, deleted. */
export interface RefreshTopics {
  readonly kind: "refreshTopics";
  readonly groupId: string;
  /** Known to be deleted, by a tombstone or behind a read barrier; an id that the metadata here does not know yet is none. */
  readonly deleted: readonly TopicId[];
}

export interface OffsetToCommit {
  readonly topic: string;
  /** When given it must be the topic's. */
  readonly topicId: TopicId | undefined;
  readonly partition: number;
  readonly offset: number;
  /** -1: not said. */
  readonly term: number;
  readonly metadata: string;
  /** High watermark of the partition, known to be at least as new as the commit; undefined: not known, and nothing is judged by it. */
  readonly highWatermark: number | undefined;
  /**
   * The topic that was asked for the high watermark. It says nothing of a topic that was made under the name since. Absent: it is of the topic
   * that has the name when the commit is decided.
   */
  readonly endOf?: TopicId;
  /**
   * What was committed here (0: nothing) before the high watermark was asked for. Only if it still is may a commit go back, where the log has
   * lost its end: a high watermark below a commit that came after it was asked for says nothing. Absent: it may not.
   */
  readonly seen?: number;
  /** Of `seen`, by its term: the log does not hold what was committed up to there, because it lost its end and was written anew. */
  readonly truncated?: boolean;
}

export interface CommitOffsets {
  readonly kind: "commitOffsets";
  readonly groupId: string;
  /** Undefined: from outside, while the group has no members. */
  readonly member: { readonly id: string; readonly epoch: number } | undefined;
  readonly offsets: readonly OffsetToCommit[];
}

export interface SeekPosition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly offset: number;
  /** Of the record before `offset`; absent, or -1: not known. */
  readonly term?: number;
  /** Of the partition now. */
  readonly logStartOffset: number;
  readonly highWatermark: number;
}

/** All or nothing. */
export interface SeekGroup {
  readonly kind: "seekGroup";
  readonly groupId: string;
  readonly positions: readonly SeekPosition[];
  /** Says what would be, changes nothing. */
  readonly dryRun: boolean;
  /** Also while it has members: they are removed, and join again from where it was moved to. */
  readonly force: boolean;
}

export interface DeleteOffsets {
  readonly kind: "deleteOffsets";
  readonly groupId: string;
  readonly topics: readonly TopicPartitions[];
}

export interface DeleteGroup {
  readonly kind: "deleteGroup";
  readonly groupId: string;
}

/** From the coordinator's timers, only while its wall clock may be trusted (FC1): what has been without members for too long is forgotten. */
export interface ExpireOffsets {
  readonly kind: "expireOffsets";
  readonly groupId: string;
  /** What happened at an unknown time (`UNKNOWN_TIME`) counts as of then: of this coordinator's first look with a clock it may trust. */
  readonly unknownSinceMs: number;
}

export type GroupCommand =
  | JoinGroup
  | Heartbeat
  | LeaveGroup
  | ExpireMember
  | RefreshTopics
  | CommitOffsets
  | SeekGroup
  | DeleteOffsets
  | DeleteGroup
  | ExpireOffsets;
export type GroupCommandOf<K extends GroupCommand["kind"]> = Extract<GroupCommand, { kind: K }>;
