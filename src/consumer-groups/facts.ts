import { enumeration, int32, int64, type MessageOf, message, optional, repeated, string, submessage } from "../protocol/codec/index.ts";
import { type UnionOf, UnionType } from "../protocol/codec/union.ts";
import { TopicPartitions, topicIdField } from "./fields.ts";
import { malformedUnless } from "./malformed.ts";

/**
 * What the log of a partition of `__groups` says happened (design §9), drawn in FORMAT.md. A fact is recorded only by the coordinator,
 * after `decide` allowed it; replaying it never fails. What happened is said outright: nobody who replays computes an assignment, so
 * brokers of two versions agree. Field and case numbers are for ever.
 */

/** A member came, or came back under its own id: then it holds nothing any more. */
export const MemberJoined = message("millrace.internal.v1.MemberJoined", {
  memberId: string(1),
  instanceId: optional(string(2)),
  rack: string(3),
  clientAddress: string(4),
  /** Names, ascending, each once. */
  topics: repeated(string(5)),
  assignor: string(6),
  rebalanceTimeoutMs: int32(7),
  epoch: int32(8),
  /** The member that had the instance id and is gone; what was meant for it is meant for this one. */
  replaces: optional(string(9)),
  /** What it matches is not in here: the target says what came of it. */
  topicPattern: string(10),
});

/** Wants something else from now on. */
export const MemberSubscribed = message("millrace.internal.v1.MemberSubscribed", {
  memberId: string(1),
  topics: repeated(string(2)),
  assignor: string(3),
  rebalanceTimeoutMs: int32(4),
  topicPattern: string(5),
});

/** A static member said it will be back. */
export const MemberAway = message("millrace.internal.v1.MemberAway", { memberId: string(1) });

export const RemovedBecause = { unspecified: 0, left: 1, session: 2, rebalance: 3, seek: 4 } as const;
export type RemovedBecause = (typeof RemovedBecause)[keyof typeof RemovedBecause];

/** It holds nothing any more; nothing that it sends is taken until it joins again. */
export const MemberRemoved = message("millrace.internal.v1.MemberRemoved", {
  memberId: string(1),
  because: enumeration(2, RemovedBecause),
  /** Coordinator's wall clock; -1: it was not trusted (`UNKNOWN_TIME`). */
  atMs: int64(3),
});

const Target = message("millrace.internal.v1.GroupTarget", {
  topicId: topicIdField(1),
  name: string(2),
  /** By partition number: 0 nobody, n the nth member of the list. */
  owners: repeated(int32(3)),
});
/** Who is to have what, of all topics of the group; takes the place of the former one. */
export const TargetAssigned = message("millrace.internal.v1.TargetAssigned", {
  epoch: int32(1),
  assignor: string(2),
  members: repeated(string(3)),
  topics: repeated(submessage(4, Target)),
});

/** Who holds these is told to give them back. */
export const RevocationBegun = message("millrace.internal.v1.RevocationBegun", {
  epoch: int32(1),
  topics: repeated(submessage(2, TopicPartitions)),
});

/** It has given them back. */
export const Released = message("millrace.internal.v1.Released", { topics: repeated(submessage(1, TopicPartitions)) });

const Grant = message("millrace.internal.v1.GroupGrant", {
  topicId: topicIdField(1),
  partitions: repeated(int32(2)),
  /** Of each of them: the nth member of the list, from 1. */
  owners: repeated(int32(3)),
});
/** Partitions nobody held are in the hands of these members from now on. */
export const Granted = message("millrace.internal.v1.Granted", {
  epoch: int32(1),
  members: repeated(string(2)),
  topics: repeated(submessage(3, Grant)),
});

const Position = message("millrace.internal.v1.GroupPosition", {
  partition: int32(1),
  offset: int64(2),
  term: int64(3),
  metadata: string(4),
});
const Positions = message("millrace.internal.v1.GroupPositions", {
  topicId: topicIdField(1),
  positions: repeated(submessage(2, Position)),
});
export type Positions = MessageOf<typeof Positions>;

export const OffsetsCommitted = message("millrace.internal.v1.OffsetsCommitted", {
  atMs: int64(1),
  topics: repeated(submessage(2, Positions)),
});

/** An operator moved the group: the only way by which a committed offset goes back. */
export const OffsetsMoved = message("millrace.internal.v1.OffsetsMoved", {
  atMs: int64(1),
  topics: repeated(submessage(2, Positions)),
});

export const DroppedBecause = { unspecified: 0, deleted: 1, expired: 2, topicDeleted: 3 } as const;
export type DroppedBecause = (typeof DroppedBecause)[keyof typeof DroppedBecause];

export const OffsetsDropped = message("millrace.internal.v1.OffsetsDropped", {
  because: enumeration(1, DroppedBecause),
  topics: repeated(submessage(2, TopicPartitions)),
});

/** It had no members. A group of the same name begins anew, at a later epoch. */
export const GroupDeleted = message("millrace.internal.v1.GroupDeleted", {});

export const FactUnion = new UnionType("millrace.internal.v1.GroupFact", {
  memberJoined: [1, MemberJoined],
  memberSubscribed: [2, MemberSubscribed],
  memberAway: [3, MemberAway],
  memberRemoved: [4, MemberRemoved],
  targetAssigned: [5, TargetAssigned],
  revocationBegun: [6, RevocationBegun],
  released: [7, Released],
  granted: [8, Granted],
  offsetsCommitted: [9, OffsetsCommitted],
  offsetsMoved: [10, OffsetsMoved],
  offsetsDropped: [11, OffsetsDropped],
  groupDeleted: [12, GroupDeleted],
});
export type Fact = UnionOf<typeof FactUnion>;
export type FactOf<K extends Fact["kind"]> = Extract<Fact, { kind: K }>;

/** What one decision recorded about one group. */
export interface GroupFacts {
  readonly groupId: string;
  readonly facts: readonly Fact[];
}

const Batch = message("millrace.internal.v1.GroupFacts", { groupId: string(1), facts: repeated(submessage(2, FactUnion.envelope)) });
const Batches = message("millrace.internal.v1.GroupFactsFrame", { groups: repeated(submessage(1, Batch)) });

/** Payload of one data frame of payload format `facts`: decisions, in order. Its record count is the number of all facts (design §4). */
export function encodeFacts(batches: readonly GroupFacts[]): Uint8Array {
  return Batches.encode({
    groups: batches.map(({ groupId, facts }) => ({ groupId, facts: facts.map((fact) => FactUnion.wrap(fact)) })),
  });
}

/** @throws {GroupsMalformed} when the payload holds something else than facts this version knows */
export function decodeFacts(payload: Uint8Array): readonly GroupFacts[] {
  return malformedUnless(() =>
    Batches.decode(payload).groups.map(({ groupId, facts }) => ({ groupId, facts: facts.map((envelope) => FactUnion.unwrap(envelope)) })),
  );
}
