import type { GroupId, LogIndex, ReplicaId, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";

/** What the metadata log records of one partition's in-sync replicas. */
export interface IsrRecord {
  /** Recorded members, any order. */
  readonly isr: readonly ReplicaId[];
  /** Rises with every record. */
  readonly isrVersion: number;
  /** The newest claim; undefined before the first leader claimed. */
  readonly claim: { readonly replicaId: ReplicaId; readonly term: Term } | undefined;
}

/** What the tracker asks the controller to record. */
export type IsrCommand =
  /** Compare-and-set on (term, version): the members from now on. */
  | {
      readonly kind: "alterIsr";
      readonly group: GroupId;
      readonly term: Term;
      readonly isrVersion: number;
      readonly isr: readonly ReplicaId[];
    }
  /** "I lead this term": of the recorded members keep those in `isr`, add me, fence older terms. */
  | {
      readonly kind: "leaderClaim";
      readonly group: GroupId;
      readonly replicaId: ReplicaId;
      readonly term: Term;
      readonly isr: readonly ReplicaId[];
    };

/** How the controller answered the command taken last. */
export type IsrAnswer =
  | { readonly kind: "recorded"; readonly record: IsrRecord }
  /** `isrVersion`: the recorded one, when the refusal said so. */
  | { readonly kind: "refused"; readonly isrVersion: number | undefined }
  /** Timed out, connection lost, controller gone: it may be recorded now, later, or never. */
  | { readonly kind: "unknown" };

/** How the leader sees one of its voters (from `RaftCore.progress`). */
export interface FollowerView {
  /** Highest index known equal and durable there. */
  readonly match: LogIndex;
  /** Monotonic ms of its last answer in this term. */
  readonly heardAt: number;
  /** It has a hole or is quarantined (design §4): never in sync. */
  readonly barred?: boolean;
}

/** The leader's own state at a tick. */
export interface LeaderView {
  readonly lastIndex: LogIndex;
  readonly commit: LogIndex;
  /** Highest own durable index. */
  readonly durable: LogIndex;
  /** undefined: nothing known of this voter. */
  readonly follower: (replica: ReplicaId) => FollowerView | undefined;
}

export interface IsrOptions {
  readonly group: GroupId;
  readonly self: ReplicaId;
  /** The leader's term; a tracker lives as long as one leadership. */
  readonly term: Term;
  /** Index of this term's no-op. */
  readonly noopIndex: LogIndex;
  /** Voters of both sets while joint, self included, as this leadership begins; then see `configure`. Learners never count. */
  readonly voters: readonly ReplicaId[];
  /** A member leaves when it was not caught up for so long (`replica.lag.max.ms`). */
  readonly replicaLagMaxMs: number;
  /** A member leaves when it was not heard for so long (2 × the election timeout). */
  readonly silentMs: number;
  /** Least time between a refused or unanswered command and the next one; ten times as long a refused joiner is left out, or a newer record waited for. */
  readonly retryMs: number;
}

/** What is known of one follower over time. */
interface Samples {
  /** The leader's last index at some tick, and when that was: reaching it proves "caught up as of then" (Kafka KIP-16). */
  sampleIndex: LogIndex;
  sampleAt: number;
  caughtUpAt: number;
  /** Its broker's connection is gone: silent at once (design §5). */
  gone: boolean;
  /** It is about to be left out of the voters: it leaves the ISR first (design §6). */
  leaving: boolean;
  /** A proposal with it was refused: not proposed again before. */
  notBefore: number;
}

/**
 * The leader's side of the in-sync replicas of one partition, for one term (design §6). It decides who is in sync, which replicas an
 * acknowledgement at ALL must wait for (`required`), and what to ask the controller to record. Pure: `now` is monotonic ms.
 *
 * The rule everything hangs on: *whoever may be in the recorded ISR is in the required set*. So a joiner counts from the moment it is
 * proposed, a leaver counts until its leaving is recorded, and before this term's claim is known every voter counts. A proposal stays
 * open until a record of a higher version is known: its outcome may be unknown, and a delayed copy of it may still be recorded while
 * the version is the one it names. A refusal therefore closes nothing; the tracker records the present set again, which raises the version.
 *
 * Use: `tick` at every heartbeat while anything moves (`resume` after that) and after `peerGone`; perform the command it returns, and tell `answered` what came of it (always,
 * after a time limit as "unknown"). `recorded` whenever the local image shows the partition anew. After each, look at `required` again.
 */
export class IsrTracker {
  readonly #options: IsrOptions;
  readonly #followers = new Map<ReplicaId, Samples>();
  #record: IsrRecord;
  /** Members of proposals sent under the present version. */
  #open = new Set<ReplicaId>();
  #inFlight: IsrCommand | undefined;
  #notBefore = 0;
  #lastTick: number;
  #voters: readonly ReplicaId[];
  /** Silence before this proves nothing: the leadership began, or the process stood still. */
  #listeningSince: number;
  #required: readonly ReplicaId[] = [];

  /** @param record as the local image shows it; it may be old */
  constructor(options: IsrOptions, record: IsrRecord, now: number) {
    invariant(options.voters.includes(options.self), "only a voter keeps an ISR");
    this.#options = options;
    this.#voters = options.voters;
    this.#record = record;
    this.#lastTick = now;
    this.#listeningSince = now;
    this.configure(options.voters, now);
  }

  /** The configuration changed: voters of both sets while joint. Whoever is left out has left the ISR before (design §6). */
  configure(voters: readonly ReplicaId[], now: number): void {
    this.#voters = voters;
    for (const known of this.#followers.keys()) if (!voters.includes(known)) this.#followers.delete(known);
    for (const voter of voters) {
      if (voter === this.#options.self || this.#followers.has(voter)) continue;
      // Nothing is known of the past: everyone gets the full time.
      const { noopIndex } = this.#options;
      this.#followers.set(voter, { sampleIndex: noopIndex, sampleAt: now, caughtUpAt: now, gone: false, leaving: false, notBefore: 0 });
    }
    this.#settleRequired();
  }

  /** Exactly these will not vote much longer: they leave the ISR, and stay out until they are not named any more. */
  expel(replicas: readonly ReplicaId[]): void {
    for (const [replica, follower] of this.#followers) follower.leaving = replicas.includes(replica);
  }

  /** This leader's claim is committed: the recorded ISR counts. Before it, ALL waits for all voters. */
  get claimed(): boolean {
    const claim = this.#record.claim;
    return claim !== undefined && claim.term === this.#options.term && claim.replicaId === this.#options.self;
  }

  /** Whose durable index an acknowledgement at ALL waits for. Ascending; a new array whenever it changed. */
  get required(): readonly ReplicaId[] {
    return this.#required;
  }

  /** What is compared with `min.insync.replicas`: recorded members; all voters before the claim is known. */
  get isrSize(): number {
    return this.claimed ? this.#record.isr.length : this.#voters.length;
  }

  /** The newest record known. */
  get record(): IsrRecord {
    return this.#record;
  }

  /** Every voter is recorded in sync, and nothing is asked for or open. */
  get settled(): boolean {
    const { isr } = this.#record;
    const all = isr.length === this.#voters.length && this.#voters.every((voter) => isr.includes(voter));
    return all && this.claimed && this.#inFlight === undefined && this.#open.size === 0;
  }

  /** It was not ticked because its group was at rest: nothing was appended, so whoever was caught up then was until now. */
  resume(now: number): void {
    const rested = now - this.#lastTick;
    for (const follower of this.#followers.values()) follower.caughtUpAt += rested;
    this.#lastTick = now;
  }

  /** The connection to the broker of this replica is gone and did not come back in time. */
  peerGone(replica: ReplicaId): void {
    const follower = this.#followers.get(replica);
    if (follower !== undefined) follower.gone = true;
  }

  peerBack(replica: ReplicaId): void {
    const follower = this.#followers.get(replica);
    if (follower !== undefined) follower.gone = false;
  }

  /** The committed metadata shows this. Older than what is known: ignored. */
  recorded(record: IsrRecord): void {
    if (record.isrVersion <= this.#record.isrVersion) return;
    this.#record = record;
    this.#notBefore = 0;
    // Every open proposal names a lower version: it can no longer be recorded.
    this.#open = new Set();
    this.#settleRequired();
  }

  /** The outcome of the command `tick` returned last. */
  answered(answer: IsrAnswer, now: number): void {
    const command = this.#inFlight;
    invariant(command !== undefined, "an answer belongs to a command under way");
    this.#inFlight = undefined;
    if (answer.kind === "recorded") {
      this.recorded(answer.record);
      return;
    }
    this.#notBefore = now + this.#options.retryMs;
    if (answer.kind === "unknown" || answer.isrVersion === undefined || command.kind !== "alterIsr") return;
    if (answer.isrVersion > this.#record.isrVersion) {
      // Its record is on the way. Only a pause: the version may be one that its controller could not commit.
      this.#notBefore = now + 10 * this.#options.retryMs;
    } else if (answer.isrVersion === command.isrVersion) {
      // Refused for what it asked, not for its age: joiners are left out for a while, so what is tried next is the present set.
      for (const replica of command.isr) {
        const follower = this.#followers.get(replica);
        if (follower !== undefined && !this.#record.isr.includes(replica)) follower.notBefore = now + 10 * this.#options.retryMs;
      }
    }
  }

  /**
   * Takes samples and decides.
   * @returns what to send to the controller now; the tracker counts it as under way until `answered`
   */
  tick(view: LeaderView, now: number): IsrCommand | undefined {
    this.#sample(view, now);
    if (this.#inFlight !== undefined || now < this.#notBefore) return undefined;
    const command = this.claimed ? this.#alterIsr(view, now) : this.#leaderClaim(view, now);
    this.#inFlight = command;
    return command;
  }

  #sample(view: LeaderView, now: number): void {
    // A process that stood still itself (SIGSTOP, a long pause) has no evidence against anyone: the time it slept does not count.
    const slept = now - this.#lastTick > this.#options.silentMs / 2 ? now - this.#lastTick : 0;
    this.#lastTick = now;
    for (const [replica, follower] of this.#followers) {
      follower.caughtUpAt += slept;
      follower.sampleAt += slept;
      const match = view.follower(replica)?.match ?? -1;
      if (match >= view.lastIndex) follower.caughtUpAt = now;
      else if (match >= follower.sampleIndex) follower.caughtUpAt = Math.max(follower.caughtUpAt, follower.sampleAt);
      else continue;
      follower.sampleIndex = view.lastIndex;
      follower.sampleAt = now;
    }
    if (slept > 0) this.#listeningSince = now;
  }

  /** Not caught up for too long, or silent. */
  #lagging(replica: ReplicaId, view: LeaderView, now: number): boolean {
    const follower = this.#followers.get(replica);
    if (follower === undefined) return false;
    const seen = view.follower(replica);
    const heardAt = Math.max(seen?.heardAt ?? this.#listeningSince, this.#listeningSince);
    return (
      follower.gone ||
      follower.leaving ||
      seen?.barred === true ||
      now - heardAt > this.#options.silentMs ||
      now - follower.caughtUpAt > this.#options.replicaLagMaxMs
    );
  }

  #joins(replica: ReplicaId, view: LeaderView, now: number): boolean {
    const match = view.follower(replica)?.match ?? -1;
    const follower = this.#followers.get(replica);
    // The no-op proves that it holds all that earlier leaders acknowledged, commit that it holds all that this one did (design §6).
    return (
      follower !== undefined &&
      match >= view.commit &&
      match >= this.#options.noopIndex &&
      now >= follower.notBefore &&
      !this.#lagging(replica, view, now)
    );
  }

  #leaderClaim(view: LeaderView, now: number): IsrCommand | undefined {
    const { group, self, term, noopIndex } = this.#options;
    // Its own log up to its no-op holds everything ever acknowledged; only once that is durable may it stand in the ISR.
    if (view.durable < noopIndex) return undefined;
    // With a hole it does not add itself: who is in sync can give any record to any other (design §4).
    const own = view.follower(self)?.barred !== true;
    const isr = this.#voters.filter((voter) => (voter === self ? own : !this.#lagging(voter, view, now)));
    return { kind: "leaderClaim", group, replicaId: self, term, isr };
  }

  #alterIsr(view: LeaderView, now: number): IsrCommand | undefined {
    const { group, term, self } = this.#options;
    const { isr, isrVersion } = this.#record;
    const own = view.follower(self)?.barred !== true;
    const inSync = this.#voters.filter((voter) => {
      if (voter === self) return own;
      return isr.includes(voter) ? !this.#lagging(voter, view, now) : this.#joins(voter, view, now);
    });
    // Never an empty ISR: it would name nobody who holds the acknowledged records.
    const wanted = inSync.length > 0 ? inSync : [self];
    const same = wanted.length === isr.length && wanted.every((replica) => isr.includes(replica));
    // With a proposal open the present set is recorded again: only a higher version proves that the open one is dead.
    if (same && this.#open.size === 0) return undefined;
    for (const replica of wanted) this.#open.add(replica);
    this.#settleRequired();
    return { kind: "alterIsr", group, term, isrVersion, isr: wanted };
  }

  #settleRequired(): void {
    const members = this.claimed ? new Set([...this.#record.isr, ...this.#open]) : new Set(this.#voters);
    const required = [...members].sort((a, b) => a - b);
    const same = required.length === this.#required.length && required.every((replica, at) => replica === this.#required[at]);
    if (!same) this.#required = required;
  }
}
