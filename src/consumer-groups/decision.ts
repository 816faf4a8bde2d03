import type { MillraceError } from "../base/errors.ts";
import type { TopicId } from "../base/ids.ts";
import type { TopicPartitions } from "./commands.ts";
import type { Fact } from "./facts.ts";
import type { GroupSettings } from "./settings.ts";

export interface GroupTopic {
  readonly id: TopicId;
  readonly name: string;
  readonly partitions: number;
}

/** The topics there are, by the metadata of the coordinator's broker. */
export interface TopicDirectory {
  byName(name: string): GroupTopic | undefined;
  byId(id: TopicId): GroupTopic | undefined;
  /** This metadata has read of its deletion. False of one that it has never heard of, and of some that are long gone. */
  isDeleted(id: TopicId): boolean;
  /** Those whose whole name the pattern matches, never an internal one; none by a pattern that is refused. */
  matching(pattern: string): readonly GroupTopic[];
  /** Whether it matches a whole name, of whatever topic. */
  matches(pattern: string, name: string): boolean;
  /** Why nobody can subscribe by this pattern (INVALID_REQUEST, with `position` where there is one), or undefined. */
  refusePattern(pattern: string): MillraceError | undefined;
}

/** What a decision rests on besides the image. */
export interface GroupWorld {
  readonly topics: TopicDirectory;
  readonly settings: GroupSettings;
  /** Coordinator's wall clock, milliseconds since 1970: it expires offsets. Sessions are not judged by it (`GroupTimers`). */
  readonly wall: number;
  /** What is recorded as the time of a fact: `wall`, or `UNKNOWN_TIME` while that clock may be wrong. */
  readonly stampMs: number;
}

/**
 * When something happened, as a coordinator says whose wall clock is not trusted: a stamp is believed by others long after, so one that may
 * be wrong is not made. What has it counts as of the time in office of whoever expires (`ExpireOffsets.unknownSinceMs`): kept longer, never shorter.
 */
export const UNKNOWN_TIME = -1;

/** What a member is told. */
export interface MemberState {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** All that it is to hold; undefined: what it was told at this epoch still counts. */
  readonly assignment: readonly TopicPartitions[] | undefined;
}

export interface RefusedOffset {
  /** Place in the request's list. */
  readonly at: number;
  readonly error: MillraceError;
}

export interface SeekStep {
  readonly topicId: TopicId;
  readonly partition: number;
  /** Undefined: nothing was committed. */
  readonly before: number | undefined;
  readonly after: number;
}

export type GroupReply =
  | { readonly kind: "done" }
  | { readonly kind: "member"; readonly state: MemberState }
  /** Those that were refused; the others are committed, or deleted. */
  | { readonly kind: "offsets"; readonly refused: readonly RefusedOffset[] }
  | { readonly kind: "seek"; readonly steps: readonly SeekStep[] };

/** What to record of the command's group, and what to answer once it is committed; or why not. A refusal, too, rests on facts that may not be committed yet. */
export type Decision = { readonly facts: readonly Fact[]; readonly reply: GroupReply } | { readonly error: MillraceError };

export const done = (facts: readonly Fact[] = []): Decision => ({ facts, reply: { kind: "done" } });
export const refuse = (error: MillraceError): Decision => ({ error });
