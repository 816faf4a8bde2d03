import type { GroupId, LogIndex, ReplicaId, Term } from "../base/ids.ts";
import type { FrameType } from "../records/frame-types.ts";

/**
 * The face of the Raft core (design §5). The core is synchronous and pure: no clock (every input that needs one carries `now`,
 * monotonic milliseconds), no randomness (a `draw` function is handed in), no I/O. It sees entry metadata; `payload` passes
 * through untouched and is never kept.
 */

/** An entry of the Raft log. Dense indexes, one per frame. */
export interface Entry<P> {
  readonly index: LogIndex;
  readonly term: Term;
  readonly type: FrameType;
  /** Bytes of the whole frame: what windows and limits count. */
  readonly bytes: number;
  /** Undefined for the no-op a new leader appends itself: the shell makes that frame. */
  readonly payload: P | undefined;
}

/** A proposal: an entry that has no place yet. */
export interface Proposal<P> {
  readonly type: FrameType;
  readonly bytes: number;
  readonly payload: P;
}

/** Who votes. `old` is set only while joint (later issue); its place in messages and types exists from the start. */
export interface Configuration {
  readonly voters: readonly ReplicaId[];
  readonly old?: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

export interface RaftOptions {
  readonly group: GroupId;
  readonly self: ReplicaId;
  /** Order = priority: earlier voters draw shorter election timeouts (design §5). */
  readonly configuration: Configuration;
  readonly heartbeatMs: number;
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  /** Per follower. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Bytes of entries in one append message (at least one entry always goes). */
  readonly appendBytesMax: number;
  /** Data proposals above this are refused "full"; no-ops and configurations pass (scenario 40). */
  readonly uncommittedBytesMax: number;
  /** One entry; larger is refused "too-large" (scenario 39). */
  readonly entryBytesMax: number;
  /** A number in [0, 1); called once per election attempt. */
  readonly draw: () => number;
  /** Bytes of a no-op's frame (default 128). */
  readonly noopBytes?: number;
  /**
   * Tell idle followers of a new commit index at once, by an empty append, instead of with the next append or heartbeat. For
   * machine groups, whose learners serve reads from their image; a data partition does not need it.
   */
  readonly eagerCommit?: boolean;
}

/** What recovery found (or an empty log: start {index 0, term 0}, lastIndex 0). */
export interface RaftRecovered {
  readonly term: Term;
  readonly votedFor: ReplicaId | undefined;
  /** The entry before the first one present. */
  readonly start: { readonly index: LogIndex; readonly term: Term };
  /** Ascending (term, index of its first entry present), from `start.index + 1` on. */
  readonly terms: readonly { readonly term: Term; readonly firstIndex: LogIndex }[];
  readonly lastIndex: LogIndex;
  /** Known committed (at or below the synced index of the segments). Never above `lastIndex`. */
  readonly commit: LogIndex;
  /** No vote, no candidacy, acknowledgements do not count (design §4); always false until damage handling exists. */
  readonly quarantined: boolean;
  /** Bytes of a recovered entry above `commit`. Without it each counts as `entryBytesMax`, so they are sent one by one. */
  readonly entryBytes?: (index: LogIndex) => number;
}

export type Message<P> =
  | {
      readonly kind: "vote" | "preVote";
      readonly term: Term;
      readonly lastIndex: LogIndex;
      readonly lastTerm: Term;
      /** Transfer: "heard from a leader recently" does not refuse it. */
      readonly transfer: boolean;
      /** Attempt number of the candidate, echoed: late answers to an earlier attempt do not count (scenario 12). */
      readonly attempt: number;
    }
  | { readonly kind: "voteReply" | "preVoteReply"; readonly term: Term; readonly granted: boolean; readonly attempt: number }
  | {
      readonly kind: "append";
      readonly term: Term;
      readonly prevIndex: LogIndex;
      readonly prevTerm: Term;
      readonly commit: LogIndex;
      readonly entries: readonly Entry<P>[];
    }
  | {
      readonly kind: "appendReply";
      readonly term: Term;
      /** Accepted: the follower's log equals the leader's up to here, and it is durable here. Only durable positions are reported. */
      readonly durable: LogIndex;
      /** Set on a refusal: where to look next (fast backtracking by term) and which probe is answered. */
      readonly refused?: { readonly prevIndex: LogIndex; readonly hintIndex: LogIndex; readonly hintTerm: Term };
    }
  | {
      readonly kind: "heartbeat";
      readonly term: Term;
      readonly commit: LogIndex /** Number of the newest read round; echoed. */;
      readonly round: number;
    }
  | { readonly kind: "heartbeatReply"; readonly term: Term; readonly round: number; readonly durable: LogIndex }
  | { readonly kind: "timeoutNow"; readonly term: Term }
  /**
   * Bulk catch-up (design §5): the follower refuses appends and takes committed frames on the bulk connection. It cuts its log above
   * `matched` only if its next entry is not of `nextTerm`: that proves the conflict. Without proof the suffix may be committed.
   */
  | { readonly kind: "extend"; readonly term: Term; readonly matched: LogIndex; readonly nextTerm: Term; readonly upTo: LogIndex };

export interface Outgoing<P> {
  readonly to: ReplicaId;
  /** For "append", `entries` is empty and `range` says which frames the shell puts in (the core keeps no payloads). */
  readonly message: Message<P>;
  readonly range?: { readonly first: LogIndex; readonly last: LogIndex };
}

/** One write of this group to the WAL. Writes become durable in `seq` order; `ioDone(seq)` means all up to it. */
export interface RaftWrite<P> {
  readonly seq: number;
  /** Set when term or vote changed. */
  readonly state: { readonly term: Term; readonly votedFor: ReplicaId | undefined } | undefined;
  /** Entries from here on go away, before `entries` are appended. */
  readonly truncateFrom: LogIndex | undefined;
  readonly entries: readonly Entry<P>[];
}

export type RoleName = "follower" | "preCandidate" | "candidate" | "leader";

/** What the shell performs, in this order: write, send, committed, reads, role. */
export interface Ready<P> {
  readonly write: RaftWrite<P> | undefined;
  /** May leave at once: whatever must wait for a write comes in the Ready after its `ioDone`. */
  readonly send: readonly Outgoing<P>[];
  /** New commit index, when it rose. */
  readonly committed: LogIndex | undefined;
  /** Read requests that are linearizable once everything up to `index` is applied; or refused (leadership lost). */
  readonly reads: readonly { readonly context: number; readonly index: LogIndex | undefined }[];
  /** Role, term or leader changed. */
  readonly role: { readonly role: RoleName; readonly term: Term; readonly leader: ReplicaId | undefined } | undefined;
  /** A transfer that `transfer` began has ended. */
  readonly transferEnded: { readonly to: ReplicaId; readonly done: boolean } | undefined;
  /** Followers that need bulk catch-up now: the shell streams `from`…`upTo` (committed frames) and then calls `extended`. */
  readonly extend: readonly { readonly to: ReplicaId; readonly from: LogIndex; readonly upTo: LogIndex }[];
}

export type ProposeResult =
  | { readonly kind: "accepted"; readonly firstIndex: LogIndex; readonly lastIndex: LogIndex; readonly term: Term }
  | { readonly kind: "refused"; readonly why: "not-leader" | "term-moved" | "transferring" | "full" | "too-large" | "failed" };

/** How the leader sees one follower or learner. */
export interface Progress {
  readonly mode: "probe" | "replicate" | "extend" | "reset";
  /** Highest index known equal and durable there. */
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly learner: boolean;
  /** Monotonic time of its last answer in this term. */
  readonly heardAt: number;
}

export interface RaftCore<P> {
  // Inputs. Each may be followed by `drain`; the shell drains until undefined.
  tick(now: number): void;
  step(from: ReplicaId, message: Message<P>, now: number): void;
  /**
   * All entries or none. `expectedTerm`: refused "term-moved" when the leader's term is another, so that what was validated under
   * one term (producer sequences, groups) is never applied under the next (as Redpanda's conditional replicate).
   */
  propose(proposals: readonly Proposal<P>[], expectedTerm: Term): ProposeResult;
  ioDone(seq: number, now: number): void;
  /** This replica's storage failed: it stops for good (scenario 43). */
  ioFailed(): void;
  transfer(to: ReplicaId, now: number): { readonly kind: "started" } | { readonly kind: "refused"; readonly why: string };
  /** Asks for votes now (pre-vote first) unless it leads or knows a leader: for the preferred replica of a new group, which has nobody to wait for. */
  campaign(now: number): void;
  /** Answered in `Ready.reads` by `context`. Refused at once (index undefined) when not leader. */
  readIndex(context: number, now: number): void;
  /** The control connection to this replica's broker closed and was not back in time: evidence of death (design §5). */
  peerGone(replica: ReplicaId, now: number): void;
  peerBack(replica: ReplicaId, now: number): void;
  /** Bulk catch-up of a follower ended: match moved to `match` (synced, and its `synced` record durable) or it failed (undefined). */
  extended(replica: ReplicaId, match: LogIndex | undefined, now: number): void;
  /**
   * On the follower: a piece of bulk frames, the first of them `first`, is about to be written past the WAL. False: it was not agreed
   * to, or does not follow this log's end, or another piece is under way; it is dropped. After true nothing is appended here and no
   * votes are asked for until `extendedLocally`, whatever term and leader do meanwhile: both would write the same indexes.
   */
  extendLocally(first: LogIndex): boolean;
  /**
   * On the follower that is being extended: these frames are durable in segments past the WAL. The last of those agreed to ends
   * it; an empty list says that the piece was not written, or that the stream broke, and ends it too.
   */
  extendedLocally(entries: readonly Omit<Entry<P>, "payload">[], now: number): void;
  /** Frames below here (at most `commit + 1`) may leave memory: a follower that needs them is caught up with `extend` instead of append. */
  forgetBelow(index: LogIndex): void;

  /** The bulk catch-up this replica agreed to: bulk frames are taken only while it is set. */
  readonly extending: { readonly after: LogIndex; readonly upTo: LogIndex } | undefined;

  drain(): Ready<P> | undefined;
  /** Monotonic time of the next `tick` needed; Infinity for none. */
  readonly nextDeadline: number;

  // State, for the shell to read.
  readonly self: ReplicaId;
  readonly role: RoleName;
  readonly term: Term;
  /** Whom it voted for in this term; not yet durable while its write is under way. */
  readonly votedFor: ReplicaId | undefined;
  readonly leader: ReplicaId | undefined;
  readonly configuration: Configuration;
  readonly commit: LogIndex;
  readonly lastIndex: LogIndex;
  /** Highest own index known durable. */
  readonly durable: LogIndex;
  /** Leader only: index of this term's no-op; the term is confirmed once it is committed. */
  readonly noopIndex: LogIndex | undefined;
  /** Leader only. Own entry included (match = durable). */
  progress(replica: ReplicaId): Progress | undefined;
  termAt(index: LogIndex): Term | undefined;
}
