import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { Outbox } from "./outbox.ts";
import { Quarantine } from "./quarantine.ts";
import { isVoter } from "./quorum.ts";
import { ReplicaLog } from "./replica-log.ts";
import { Resting } from "./resting.ts";
import { Timeouts } from "./timeouts.ts";
import { Transfers } from "./transfer.ts";
import type { Configuration, Impairment, Message, RaftOptions, RaftRecovered } from "./types.ts";

/** What a replica keeps in every role: term, vote, log, messages on their way, and when it last heard a leader. */
export class ReplicaState<P> {
  readonly options: RaftOptions;
  readonly self: ReplicaId;
  readonly log: ReplicaLog<P>;
  readonly outbox = new Outbox<P>();
  readonly timeouts: Timeouts;
  readonly transfers = new Transfers();
  readonly resting = new Resting();
  /** Set while this replica may have forgotten what it promised. */
  quarantine: Quarantine<P> | undefined;
  /** Replicas whose broker is known to be gone (design §5). A message from one proves the contrary. */
  readonly gone = new Set<ReplicaId>();
  readonly reads: {
    readonly context: number;
    readonly index: LogIndex | undefined;
  }[] = [];
  #term: Term;
  #votedFor: ReplicaId | undefined;
  #leader: ReplicaId | undefined;
  /** Monotonic time a leader was last heard. */
  heardAt = Number.NEGATIVE_INFINITY;
  /** When this replica asks for votes; meaningless for a leader. */
  electionAt = Number.POSITIVE_INFINITY;
  /** Attempts since a leader was last heard. */
  attempts = 0;
  /** Of this process: late answers to an earlier attempt carry another number. */
  attemptNumber = 0;
  /** A piece of a bulk catch-up is being written past the WAL: nothing else may touch the end of the log, whatever the term. */
  takingBulk = false;
  now: number;

  constructor(options: RaftOptions, recovered: RaftRecovered, now: number) {
    invariant(options.heartbeatMs > 0 && options.heartbeatMs < options.electionMinMs, "heartbeats must be more frequent than elections");
    invariant(options.electionMinMs <= options.electionMaxMs, "electionMinMs must not be above electionMaxMs");
    invariant(options.inflightMessagesMax >= 1 && options.inflightBytesMax >= 1, "the in-flight window must let one message go");
    this.options = options;
    this.self = options.self;
    this.log = new ReplicaLog(options, recovered);
    invariant(
      recovered.term >= this.log.lastTerm,
      () => `the log has entries of term ${this.log.lastTerm}, the stored term is ${recovered.term}`,
    );
    this.timeouts = new Timeouts(options, () => this.configuration);
    this.timeouts.lastResort = this.log.holes.length > 0;
    this.#term = recovered.term;
    this.#votedFor = recovered.votedFor;
    this.now = now;
    if (recovered.quarantined) this.quarantine = new Quarantine(this, now);
  }

  /** In force: the newest one in the log. */
  get configuration(): Configuration {
    return this.log.configurations.current;
  }
  get quarantined(): boolean {
    return this.quarantine !== undefined;
  }
  /** What this replica says of itself. */
  get impaired(): Impairment | undefined {
    if (this.quarantined) return "quarantined";
    return this.timeouts.lastResort ? "hole" : undefined;
  }

  get term(): Term {
    return this.#term;
  }
  get votedFor(): ReplicaId | undefined {
    return this.#votedFor;
  }
  get leader(): ReplicaId | undefined {
    return this.#leader;
  }
  get termDurable(): boolean {
    return this.log.writes.durableTerm === this.#term;
  }
  /**
   * May ask for votes. Whoever votes no more still asks until the configuration that says so is known to be committed (dissertation §4.2.2):
   * those that have not got it may need this replica's vote, and cannot have it, because its log is longer. It does not count itself.
   */
  get electable(): boolean {
    const { current, replaced } = this.log.configurations;
    if (this.quarantined) return false;
    return isVoter(current, this.self) || (replaced !== undefined && isVoter(replaced, this.self));
  }

  setTerm(term: Term): void {
    invariant(term > this.#term, () => `the term cannot go from ${this.#term} to ${term}`);
    this.#term = term;
    this.#votedFor = undefined;
    this.#leader = undefined;
    this.log.writes.stateChanged();
    // Answers in the old term help nobody, and a vote in it must not leave after this term was heard of.
    this.outbox.dropHeld();
  }

  voteFor(candidate: ReplicaId): void {
    if (this.#votedFor === candidate) return;
    invariant(this.#votedFor === undefined, () => `voted for ${this.#votedFor} in term ${this.#term}, cannot vote for ${candidate}`);
    invariant(!this.quarantined, "a quarantined replica does not vote");
    this.#votedFor = candidate;
    this.log.writes.stateChanged();
  }

  /** It forgot something: what it was about to answer rested on that. */
  beginQuarantine(): void {
    this.outbox.dropHeld();
    this.quarantine = new Quarantine(this, this.now);
    this.resetElection(this.now);
  }

  /** Nothing it forgot can do harm any more: in this term its vote is the leader's, whatever it was (`Quarantine`). */
  leaveQuarantine(leader: ReplicaId): void {
    this.quarantine = undefined;
    if (this.#votedFor === undefined) this.voteFor(leader);
    this.resetElection(this.now);
  }

  setLeader(leader: ReplicaId | undefined): void {
    invariant(
      leader === undefined || this.#leader === undefined || this.#leader === leader,
      () => `two leaders in term ${this.#term}: ${this.#leader} and ${leader}`,
    );
    this.#leader = leader;
  }

  /** The leader spoke: the election clock starts anew. */
  heardLeader(leader: ReplicaId, now: number): void {
    this.setLeader(leader);
    this.heardAt = now;
    this.attempts = 0;
    this.resetElection(now);
  }

  resetElection(now: number): void {
    // A follower at rest is told when its leader's broker is not heard any more.
    this.electionAt = this.electable && this.resting.size === 0 ? now + this.timeouts.election(this.attempts) : Number.POSITIVE_INFINITY;
  }

  /** A leader lives as far as this replica can tell: requests for votes are ignored (Raft dissertation §4.2.3). */
  leaderAlive(now: number): boolean {
    const leader = this.#leader;
    if (leader === undefined || this.gone.has(leader)) return false;
    return leader === this.self || this.resting.has(leader) || now - this.heardAt < this.options.electionMinMs;
  }

  /** Follower: its leader lives while its broker is heard. */
  rest(leader: ReplicaId): void {
    this.resting.begin(leader);
    this.electionAt = Number.POSITIVE_INFINITY;
  }

  /** Follower: its leader is heard by itself again, or not at all. What is known of it is what is known of its broker. */
  wake(leader: ReplicaId, tell: boolean): void {
    const { contact } = this.options;
    if (!this.resting.end(leader) || contact === undefined) return;
    if (tell) this.outbox.send(leader, { kind: "wake", term: this.#term });
    this.heardAt = Math.max(this.heardAt, contact(leader));
    this.resetElection(this.heardAt);
  }

  /** In whatever role: what this replica was is over, and those that rest with it have to know. */
  stopResting(): void {
    for (const replica of this.resting.all) {
      if (this.#leader !== this.self) this.wake(replica, true);
      else if (this.resting.end(replica)) this.outbox.send(replica, { kind: "wake", term: this.#term });
    }
  }

  /** For messages that must not leave before the present term (and vote) are durable. */
  sendWhenStateDurable(to: ReplicaId, message: Message<P>): void {
    const writes = this.log.writes;
    this.outbox.sendAfter(writes.stateSeq, writes.doneSeq, to, message);
  }
}
