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
  /** Undefined for what a leader's core appends itself, no-ops and configurations: the shell makes that frame. */
  readonly payload: P | undefined;
  /** Set for type config, and only there: what the frame's payload says, decoded by the shell. In force as soon as it is appended (Raft §6). */
  readonly configuration?: Configuration;
}

/** A proposal: an entry that has no place yet. */
export interface Proposal<P> {
  readonly type: FrameType;
  readonly bytes: number;
  readonly payload: P;
}

/**
 * Who votes, in order of priority, and who only takes the log. While joint (Raft §6) `old` holds the voters before the change: elections,
 * commits, check-quorum and reads then need a majority of `voters` and one of `old`. Learners count nowhere.
 */
export interface Configuration {
  readonly voters: readonly ReplicaId[];
  readonly old?: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

/** A configuration and the index of the entry that holds it. */
export interface PlacedConfiguration {
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

/**
 * What a replica says of itself while it is not in good standing (design §4, *Damage*):
 *
 * - `hole`: committed frames below its synced index are missing. It votes, and leads if nobody else can; it is in no ISR.
 * - `quarantined`: it may have forgotten what it promised. It does not vote, asks for no votes, and nothing it acknowledges counts.
 *
 * The answers carry it beside the durable index, which stays true: the leader's window, back-off and catch-up work on it as ever, so a
 * quarantined replica is brought up to date by the ordinary way; only what *counts* (commit, reads, check-quorum, ISR) passes it over.
 * Withholding the index instead would have stalled its own catch-up.
 */
export type Impairment = "hole" | "quarantined";

export interface RaftOptions {
  readonly group: GroupId;
  readonly self: ReplicaId;
  /** As of the start of the log, or of the newest index whose configuration is stored. Order = priority: earlier voters draw shorter election timeouts (design §5). */
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
  /**
   * Set: a group at rest sends no heartbeats (ADR 0016), and those of all groups that are not leave at the same moments. When the broker of
   * a replica that this one rests with was last heard, monotonic: of a follower's, heard to have heard this broker; of a leader's, heard.
   */
  readonly contact?: (replica: ReplicaId) => number;
}

/** Entries `first`…`last`; none where `last` is below. */
export interface EntryRange {
  readonly first: LogIndex;
  readonly last: LogIndex;
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
  /**
   * This replica may have forgotten votes or entries (amnesia, design §4). It ends by itself: see `RaftCore.quarantined`. A replica that
   * restarts before it ended must be recovered as quarantined again.
   */
  readonly quarantined: boolean;
  /** See `RaftCore.holes`. Default none. */
  readonly holes?: readonly EntryRange[];
  /** Configurations in entries of the log, ascending by index; those in force before them are in `RaftOptions.configuration`. */
  readonly configurations?: readonly PlacedConfiguration[];
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
      /**
       * Never sent: the follower's shell has no room for the entries behind `entries`, of which this is the first. They are not appended; but what
       * they are at odds with is cut, as if they were.
       */
      readonly withheld?: { readonly index: LogIndex; readonly term: Term };
    }
  | {
      readonly kind: "appendReply";
      readonly term: Term;
      /** Accepted: the follower's log equals the leader's up to here, and it is durable here. Only durable positions are reported. */
      readonly durable: LogIndex;
      /** Set on a refusal: where to look next (fast backtracking by term) and which probe is answered. */
      readonly refused?: { readonly prevIndex: LogIndex; readonly hintIndex: LogIndex; readonly hintTerm: Term };
      readonly impaired?: Impairment;
    }
  | {
      readonly kind: "heartbeat";
      readonly term: Term;
      readonly commit: LogIndex;
      /** Number of the newest read round; echoed. */
      readonly round: number;
      /** To a replica that seems to have forgotten: in this term it said that it had this entry on disk. If it has not, it quarantines itself (scenario 70). */
      readonly remembered?: { readonly index: LogIndex; readonly term: Term };
      /** Everything is committed, and this replica has it: from now on no heartbeats need to come (ADR 0016). */
      readonly rest?: true;
    }
  | {
      readonly kind: "heartbeatReply";
      readonly term: Term;
      readonly round: number;
      readonly durable: LogIndex;
      /** The heartbeat reminded it of an entry, and it looked: a broker of before there were reminders never says so. */
      readonly reminded?: true;
      readonly impaired?: Impairment;
      /** It rests: its leader lives as long as the leader's broker is heard, and it says so before it thinks otherwise. */
      readonly resting?: true;
    }
  | { readonly kind: "timeoutNow"; readonly term: Term }
  /** Rests no more, in this term: a follower wants heartbeats again, or nobody leads the term any more. */
  | { readonly kind: "wake"; readonly term: Term }
  /**
   * Bulk catch-up (design §5): the follower refuses appends and takes committed frames on the bulk connection. It cuts its log above
   * `matched` only if its next entry is not of `nextTerm`: that proves the conflict. Without proof the suffix may be committed.
   */
  | { readonly kind: "extend"; readonly term: Term; readonly matched: LogIndex; readonly nextTerm: Term; readonly upTo: LogIndex }
  /** A quarantined replica asks every voter for its durable term; nobody takes its own. `session` is drawn per quarantine and echoed, so that no answer from before the restart counts. */
  | { readonly kind: "askTerm"; readonly term: Term; readonly session: number }
  | { readonly kind: "tellTerm"; readonly term: Term; readonly session: number };

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
  /**
   * Followers that need entries at or below the start of this leader's log: the shell streams what is before `start` and the log behind it
   * (a new replica state there), and then calls `resetDone`. Nothing else is sent to them meanwhile but heartbeats. A follower whose log
   * holds `start`, or has it committed, must refuse: it may have acknowledged what follows (scenario 47).
   */
  readonly reset: readonly { readonly to: ReplicaId; readonly start: { readonly index: LogIndex; readonly term: Term } }[];
  /** With these replicas this one now rests, or rests no more, in order: the shell watches their brokers (`restEnded`). */
  readonly rest: readonly { readonly replica: ReplicaId; readonly on: boolean }[];
  /** The configuration in force changed: one was appended, or cut off and the former is back. */
  readonly configuration: Configuration | undefined;
  /** This replica was found to have forgotten something: doubted on its disk from now on, before anything else of this Ready. */
  readonly quarantineBegan: boolean;
  /** This replica's quarantine is over. */
  readonly quarantineEnded: boolean;
}

export type ProposeResult =
  | { readonly kind: "accepted"; readonly firstIndex: LogIndex; readonly lastIndex: LogIndex; readonly term: Term }
  | { readonly kind: "refused"; readonly why: ProposeRefusal };
export type ProposeRefusal = "not-leader" | "term-moved" | "transferring" | "full" | "too-large" | "failed";

/** Who shall vote and who shall learn, in the end. A voter that is new must be a learner now. */
export interface MembershipChange {
  readonly voters: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

export type ChangeResult =
  /** The entry at `index` is in force; a change of voters is joint first, and left by itself once that is committed. */
  | { readonly kind: "accepted"; readonly index: LogIndex }
  | {
      readonly kind: "refused";
      readonly why:
        | "not-leader"
        | "failed"
        /** No entry of this term is committed yet (scenarios 33, 54). */
        | "not-confirmed"
        /** A change is joint or uncommitted (scenario 55). */
        | "change-open"
        | "transferring"
        /** A new voter is no learner, or lacks more than one window of entries, or is impaired, gone or silent (scenario 60). */
        | "not-caught-up"
        /** No voters, one named twice, or nothing would change. */
        | "invalid";
    };

/** How the leader sees one follower or learner. */
export interface Progress {
  readonly mode: "probe" | "replicate" | "extend" | "reset";
  /** Highest index known equal and durable there. */
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly learner: boolean;
  /** Monotonic time of its last answer in this term. */
  readonly heardAt: number;
  /** What it said of itself in its last answer; of this replica, what holds here. */
  readonly impaired: Impairment | undefined;
  /** It is impaired, or seems to have forgotten what it had: it is in no ISR. */
  readonly barred: boolean;
  /** No entries are sent to it (`hold`). */
  readonly held: boolean;
}

export interface RaftCore<P> {
  // Inputs. Each may be followed by `drain`; the shell drains until undefined.
  tick(now: number): void;
  step(from: ReplicaId, message: Message<P>, now: number): void;
  /**
   * All entries or none. `expectedTerm`: refused "term-moved" when the leader's term is another, so that what was validated under
   * one term (producer sequences, groups) is never applied under the next (as Redpanda's conditional replicate).
   */
  propose(proposals: readonly Proposal<P>[], expectedTerm: Term, now?: number): ProposeResult;
  /** Why `propose` would refuse one entry of data of so many bytes now; undefined: it would take it. */
  refusal(bytes: number): ProposeRefusal | undefined;
  ioDone(seq: number, now: number): void;
  /** This replica's storage failed: it stops for good (scenario 43). */
  ioFailed(): void;
  transfer(to: ReplicaId, now: number): { readonly kind: "started" } | { readonly kind: "refused"; readonly why: string };
  /**
   * Leader: begins a change of members (Raft §6). In force here when this returns "accepted"; the shell reads `configuration` for where it
   * stands: it is over when `configuration.old` is undefined again and `configurationIndex` is committed.
   */
  changeMembership(change: MembershipChange, now: number): ChangeResult;
  /**
   * An operator has given up the other voters (ADR 0014): this replica alone is the configuration from now on, in an entry of a term far above
   * `after` and its own (`termAfterRecovery`), and asks for votes at once. It is in quarantine no more: nobody is left whose word could end it. False: not
   * now, frames are being written past the WAL, or its storage failed.
   */
  recover(after: Term, now: number): boolean;
  /** Asks for votes now (pre-vote first) unless it leads or knows a leader: for the preferred replica of a new group, which has nobody to wait for. */
  campaign(now: number): void;
  /** Answered in `Ready.reads` by `context`. Refused at once (index undefined) when not leader. */
  readIndex(context: number, now: number): void;
  /** The control connection to this replica's broker closed and was not back in time: evidence of death (design §5). */
  peerGone(replica: ReplicaId, now: number): void;
  peerBack(replica: ReplicaId, now: number): void;
  /** The broker of a replica that this one rests with is not heard any more, or what it said may be lost: heartbeats have to tell. */
  restEnded(replica: ReplicaId, now: number): void;
  /** Leader: no entries are sent to this replica while held (its disk has no room); heartbeats and questions go on. */
  hold(replica: ReplicaId, held: boolean): void;
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
  /** Reset of a follower ended: its log now begins behind `start` and goes on with what was streamed; or it failed (undefined) and is asked for again. */
  resetDone(replica: ReplicaId, start: { readonly index: LogIndex; readonly term: Term } | undefined, now: number): void;
  /** The log of this replica now begins behind `start`, a committed entry: what lies at or below it was removed. Never moves back. */
  trimmed(start: { readonly index: LogIndex; readonly term: Term }): void;
  /** This replica was found to have forgotten something while it runs (a peer remembers more of its disk than it holds): as if it had been recovered so. */
  quarantine(now: number): void;
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
  /** What the disk has of the two. */
  readonly durableTerm: Term;
  readonly durableVote: ReplicaId | undefined;
  readonly leader: ReplicaId | undefined;
  /** It leads, or has heard from its leader of late. `leader` alone stays with a replica that may not ask for votes. */
  leaderAlive(now: number): boolean;
  /** Nothing happens in this group until somebody asks for it: a follower rests, or all followers of a leader do. */
  readonly atRest: boolean;
  /** In force: the newest one in the log, committed or not. */
  readonly configuration: Configuration;
  /** Index of the entry it is in; 0 when it was given at the start. */
  readonly configurationIndex: LogIndex;
  /**
   * No vote, no candidacy, acknowledgements do not count. Ends when every other member (of both sets while joint) has told its durable term
   * in answer to a question asked after the restart, the highest was taken and no vote was given in it, and a leader of that or a later
   * term is seen to have committed an entry of its own term up to which this replica has everything durable.
   */
  readonly quarantined: boolean;
  /** It has a hole: it waits one more election timeout before it asks for votes, and says so in its answers. Settable at any time. */
  lastResort: boolean;
  /**
   * Committed entries whose frames are bad or missing here. What the log says of their terms may be inferred from its neighbours: it is told
   * to nobody as proved until the frames are back, so no follower is asked about such an entry, unless it is the last
   * that matches and what comes next is here, and no stream begins at one. With any it is
   * `lastResort`, without it is not. Settable at any time.
   */
  holes: readonly EntryRange[];
  readonly commit: LogIndex;
  readonly lastIndex: LogIndex;
  /** Highest own index known durable. */
  readonly durable: LogIndex;
  /** Leader only: index of this term's no-op; the term is confirmed once it is committed. */
  readonly noopIndex: LogIndex | undefined;
  /** Leader only. Own entry included (match = durable). */
  progress(replica: ReplicaId): Progress | undefined;
  /** Leader: this learner would be taken as a voter now (scenario 60). */
  caughtUp(learner: ReplicaId, now: number): boolean;
  /** In a hole it may be a guess: see `unprovedAt`. */
  termAt(index: LogIndex): Term | undefined;
  /** The first entry of the hole that this one is in, whose term no frame here proves; undefined: its term is proved. */
  unprovedAt(index: LogIndex): LogIndex | undefined;
}
