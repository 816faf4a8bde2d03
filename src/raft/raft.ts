import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant, unreachable } from "../base/invariant.ts";
import { Candidate } from "./candidate.ts";
import { Follower } from "./follower.ts";
import { Leader } from "./leader.ts";
import { isVoter } from "./quorum.ts";
import { ReplicaState } from "./replica-state.ts";
import { answerOlderTerm, ruleOfLaterTerm } from "./term-rules.ts";
import { Told } from "./told.ts";
import type { Transfer } from "./transfer.ts";
import type {
  Configuration,
  Entry,
  Message,
  Progress,
  Proposal,
  ProposeResult,
  RaftCore,
  RaftOptions,
  RaftRecovered,
  Ready,
  RoleName,
} from "./types.ts";
import { answerVoteRequest, ignoresVoteRequest } from "./votes.ts";

/**
 * Makes the core of one replica of one group from what recovery found.
 *
 * **Use.** Feed inputs (`tick`, `step`, `propose`, `ioDone`, …), then `drain` until it returns undefined, and perform each `Ready`
 * in one synchronous turn, in this order:
 *
 * 1. `write`: hand it to the log, which returns at once; call `ioDone(seq)` when it is durable. Writes become durable in order.
 * 2. `send`: all of it may leave now. *The core holds back, the shell never does*: what depends on a write comes out of the
 *    `drain` after its `ioDone`. For an append with a `range`, put in those entries; they are in memory (see `forgetBelow`), and in
 *    the log already, because `write` came first.
 * 3. `committed`: this much will never be taken back. It may pass what is durable *here* (a majority of others may be quicker):
 *    it answers QUORUM and feeds machines; segments take only what is durable here too.
 * 4. `reads`, `transferEnded`, `extend`, `role`.
 *
 * Then arm one timer for `nextDeadline`; there are no periodic ticks.
 *
 * **What waits for what.** Vote requests: own term and vote durable. Vote replies: the vote. Append replies: the index they
 * report. Everything: the term it was sent in. A leader's appends, its heartbeats and pre-votes wait for nothing else, so
 * followers write in parallel with their leader, and a leader counts itself only after its own `ioDone`.
 *
 * **The ABA story** (scenario 31). Index 6 of term 2 is being written when a leader of term 3 cuts it and writes another 6. The
 * first write returns: is 6 durable? Not the 6 that now stands there. Comparing indexes cannot tell them apart, so a cut at k
 * clips every write in flight, and the durable index, to k - 1 the moment it is accepted (`PendingWrites`). Late completions then
 * claim only what no one has overwritten.
 *
 * **Bulk catch-up.** A follower that needs frames below `forgetBelow` is put in mode `extend`: `Ready.extend` asks the shell to
 * stream committed frames, the follower is told where it matches, cuts the rest. Each piece is announced by
 * `extendLocally` and reported by `extendedLocally`; in between no append is taken. The leader goes on after `extended`.
 *
 * Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014), by section in the tests; etcd-io/raft for asynchronous
 * storage and the probe and replicate modes.
 */
export function createRaft<P>(options: RaftOptions, recovered: RaftRecovered, now: number): RaftCore<P> {
  return new Raft<P>(options, recovered, now);
}

type Role<P> = Follower<P> | Candidate<P> | Leader<P>;

const NOTHING: readonly never[] = [];

class Raft<P> implements RaftCore<P> {
  readonly #state: ReplicaState<P>;
  #role: Role<P>;
  #failed = false;
  /** A transfer this replica began; kept after stepping down until the next leader is known. */
  #transfer: Transfer | undefined;
  #transferEnded: Ready<P>["transferEnded"];
  readonly #told: Told;

  constructor(options: RaftOptions, recovered: RaftRecovered, now: number) {
    this.#state = new ReplicaState(options, recovered, now);
    this.#role = new Follower(this.#state);
    this.#told = new Told(this.#state.log.commit, this.#state.term);
    this.#state.resetElection(now);
    // Alone, nobody else could ask first.
    if (options.configuration.voters.length === 1 && options.configuration.old === undefined && this.#state.electable)
      this.#state.electionAt = now;
  }

  // Inputs

  tick(now: number): void {
    if (this.#failed) return;
    const stopped = now - this.#state.now > this.#state.options.heartbeatMs * 3;
    this.#state.now = now;
    this.#endTransferAt(now);
    const role = this.#role;
    if (role.kind === "leader") {
      if (stopped) role.grace(now + this.#state.options.heartbeatMs * 2);
      if (!role.hearsQuorum(now)) this.#follow(this.#state.term, undefined, now);
      else role.tick(now);
    } else if (now >= this.#state.electionAt) {
      this.#campaign("preCandidate", false, now);
    }
  }

  step(from: ReplicaId, message: Message<P>, now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    invariant(from !== state.self, "a replica does not send messages to itself");
    state.now = now;
    state.gone.delete(from);
    if (message.term > state.term) {
      const rule = ruleOfLaterTerm(state, message, now);
      if (rule === "ignore") return;
      if (rule !== "look") this.#follow(message.term, rule === "follow" ? from : undefined, now);
    } else if (message.term < state.term) {
      answerOlderTerm(state, from, message, now);
      return;
    }
    this.#stepInTerm(from, message, now);
  }

  propose(proposals: readonly Proposal<P>[], expectedTerm: Term): ProposeResult {
    if (this.#failed) return { kind: "refused", why: "failed" };
    if (this.#role.kind !== "leader") return { kind: "refused", why: "not-leader" };
    if (this.#state.term !== expectedTerm) return { kind: "refused", why: "term-moved" };
    invariant(proposals.length > 0, "a proposal has at least one entry");
    return this.#role.propose(proposals);
  }

  ioDone(seq: number, now: number): void {
    if (this.#failed) return;
    const { log, outbox } = this.#state;
    this.#state.now = now;
    log.writes.done(seq);
    outbox.release(log.writes.doneSeq);
    const role = this.#role;
    if (role.kind === "leader") role.maybeCommit();
    else if (role.kind === "follower") role.onDurable();
    else {
      role.countOwnVote();
      this.#decideElection(role, now);
    }
  }

  ioFailed(): void {
    if (this.#failed) return;
    const { term, now, outbox } = this.#state;
    this.#follow(term, undefined, now);
    outbox.dropHeld();
    this.#failed = true;
  }

  transfer(to: ReplicaId, now: number): { readonly kind: "started" } | { readonly kind: "refused"; readonly why: string } {
    const role = this.#role;
    const { self, configuration, options } = this.#state;
    if (this.#failed || role.kind !== "leader") return { kind: "refused", why: "not the leader" };
    if (to === self) return { kind: "refused", why: `replica ${to} leads already` };
    if (!isVoter(configuration, to)) return { kind: "refused", why: `replica ${to} is not a voter` };
    if (this.#transfer !== undefined)
      return {
        kind: "refused",
        why: `a transfer to replica ${this.#transfer.to} is under way`,
      };
    this.#state.now = now;
    this.#transfer = { to, deadline: now + options.electionMaxMs, told: false };
    role.transfer = this.#transfer;
    return { kind: "started" };
  }

  campaign(now: number): void {
    if (this.#failed || this.#role.kind === "leader" || !this.#state.electable || this.#state.leader !== undefined) return;
    this.#state.now = now;
    this.#campaign("preCandidate", false, now);
  }

  readIndex(context: number, now: number): void {
    this.#state.now = now;
    if (!this.#failed && this.#role.kind === "leader") this.#role.readIndex(context);
    else this.#state.reads.push({ context, index: undefined });
  }

  peerGone(replica: ReplicaId, now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    state.now = now;
    state.gone.add(replica);
    if (this.#role.kind === "leader") this.#role.peerGone(replica);
    else if (replica === state.leader && state.electable) state.electionAt = Math.min(state.electionAt, now + state.timeouts.evidence());
  }

  peerBack(replica: ReplicaId, now: number): void {
    if (this.#failed) return;
    this.#state.now = now;
    const state = this.#state;
    state.gone.delete(replica);
    if (this.#role.kind === "leader") this.#role.peerBack(replica, now);
    // One more that could vote: nothing is gained by waiting for a timeout that was drawn when there were too few.
    else if (state.leader === undefined && state.electable) state.electionAt = Math.min(state.electionAt, now + state.timeouts.retry());
  }

  extended(replica: ReplicaId, match: LogIndex | undefined, now: number): void {
    this.#state.now = now;
    if (this.#failed || this.#role.kind !== "leader") return;
    this.#role.replication.extended(replica, match);
    this.#role.maybeCommit();
  }

  extendLocally(first: LogIndex): boolean {
    return !this.#failed && this.#role.kind === "follower" && this.#role.extendLocally(first);
  }

  extendedLocally(entries: readonly Omit<Entry<P>, "payload">[], now: number): void {
    this.#state.now = now;
    if (this.#failed) return;
    // Since `extendLocally` it asked for no votes.
    invariant(this.#role.kind === "follower", () => `a ${this.#role.kind} is extended`);
    this.#role.onExtendedLocally(entries);
  }

  forgetBelow(index: LogIndex): void {
    this.#state.log.forgetBelow(index);
  }

  // Dispatch

  #stepInTerm(from: ReplicaId, message: Message<P>, now: number): void {
    const role = this.#role;
    switch (message.kind) {
      case "vote":
      case "preVote":
        if (ignoresVoteRequest(this.#state, message, now)) return;
        if (answerVoteRequest(this.#state, from, message, now) && role.kind === "preCandidate") this.#yieldTo(from, now);
        return;
      case "voteReply":
      case "preVoteReply":
        if (role.kind !== (message.kind === "voteReply" ? "candidate" : "preCandidate")) return;
        (role as Candidate<P>).onReply(from, message.granted, message.attempt);
        this.#decideElection(role as Candidate<P>, now);
        return;
      case "append":
        this.#followerOf(from, now).onAppend(from, message);
        return;
      case "heartbeat":
        this.#followerOf(from, now).onHeartbeat(from, message);
        return;
      case "extend":
        this.#followerOf(from, now).onExtend(from, message);
        return;
      case "timeoutNow":
        this.#followerOf(from, now);
        if (this.#state.electable) this.#campaign("candidate", true, now);
        return;
      case "appendReply":
        if (role.kind !== "leader") return;
        role.onAppendReply(from, message, now);
        role.maybeCommit();
        return;
      case "heartbeatReply":
        if (role.kind !== "leader") return;
        role.onHeartbeatReply(from, message, now);
        role.maybeCommit();
        return;
      default:
        unreachable(message);
    }
  }

  // Changes of role

  /** A leader of the present term spoke: whatever this replica was, it follows now (scenario 11). */
  #followerOf(leader: ReplicaId, now: number): Follower<P> {
    invariant(this.#role.kind !== "leader", () => `replicas ${this.#state.self} and ${leader} both lead term ${this.#state.term}`);
    if (this.#role.kind !== "follower") this.#follow(this.#state.term, leader, now);
    this.#state.heardLeader(leader, now);
    this.#endTransferBy(leader);
    return this.#role as Follower<P>;
  }

  #follow(term: Term, leader: ReplicaId | undefined, now: number): void {
    const state = this.#state;
    if (this.#role.kind === "leader") this.#role.end();
    const sameTerm = term === state.term;
    // Inside a term the vote stays (scenario 10): it may have been told already.
    if (!sameTerm) state.setTerm(term);
    else if (leader === undefined && state.leader === state.self) state.setLeader(undefined);
    const wasLeader = this.#role.kind === "leader";
    this.#role = new Follower(state);
    if (leader !== undefined) state.setLeader(leader);
    // A refused or superseded request must not keep this replica quiet: only a leader, a vote given or an attempt of its own
    // starts the clock anew. A leader had none running.
    if (wasLeader || leader !== undefined) state.resetElection(now);
  }

  #campaign(kind: "preCandidate" | "candidate", transfer: boolean, now: number): void {
    const state = this.#state;
    if (!state.electable) {
      state.electionAt = Number.POSITIVE_INFINITY;
      return;
    }
    if (state.takingBulk) {
      // A new leader's no-op would stand where bulk frames are being written.
      state.resetElection(now);
      return;
    }
    invariant(this.#role.kind !== "leader", "a leader does not ask for votes");
    // Whoever led, this replica has given up on it.
    state.setLeader(undefined);
    const candidate = new Candidate<P>(kind, state, transfer, now);
    this.#role = candidate;
    this.#decideElection(candidate, now);
  }

  /**
   * Two that ask at the same time would both win the pre-vote and then split the vote, which costs a whole election timeout. Of
   * those who could vote for one another the first in order goes on, the other stands back for as long as an attempt takes.
   */
  #yieldTo(rival: ReplicaId, now: number): void {
    const state = this.#state;
    const { voters } = state.configuration;
    if (voters.indexOf(rival) > voters.indexOf(state.self)) return;
    this.#follow(state.term, undefined, now);
    state.electionAt = now + state.timeouts.retry();
  }

  #decideElection(candidate: Candidate<P>, now: number): void {
    const result = candidate.result;
    if (result === "open") return;
    if (result === "lost") {
      this.#follow(this.#state.term, undefined, now);
      this.#state.resetElection(now);
      // Nobody else is about to win: a candidate had won the pre-vote, so its log is as good as any and the vote was split; and those
      // that nobody waits for may come back.
      if (candidate.kind === "candidate" || !candidate.refused) this.#state.electionAt = now + this.#state.timeouts.retry();
    } else if (candidate.kind === "preCandidate") {
      this.#campaign("candidate", false, now);
    } else {
      this.#state.setLeader(this.#state.self);
      this.#state.attempts = 0;
      this.#state.electionAt = Number.POSITIVE_INFINITY;
      // A transfer this replica began in an earlier term has come back to it.
      if (this.#transfer !== undefined) this.#endTransfer(false);
      this.#role = new Leader(this.#state, now);
    }
  }

  #endTransferAt(now: number): void {
    if (this.#transfer !== undefined && now >= this.#transfer.deadline) this.#endTransfer(false);
  }

  #endTransferBy(leader: ReplicaId): void {
    if (this.#transfer !== undefined) this.#endTransfer(leader === this.#transfer.to);
  }

  #endTransfer(done: boolean): void {
    const transfer = this.#transfer as Transfer;
    this.#transferEnded = { to: transfer.to, done };
    this.#transfer = undefined;
    if (this.#role.kind === "leader") this.#role.transfer = undefined;
  }

  // Output

  drain(): Ready<P> | undefined {
    const state = this.#state;
    const { log, outbox } = state;
    const leader = this.#role.kind === "leader" ? this.#role : undefined;
    leader?.flush();
    const write = this.#failed ? undefined : log.takeWrite(state.term, state.votedFor);
    const send = outbox.take();
    const committed = this.#told.committed(log.commit);
    const reads = state.reads.length > 0 ? state.reads.splice(0) : NOTHING;
    const role = this.#told.role(this.#role.kind, state.term, state.leader);
    const extend = leader?.replication.takeExtend() ?? NOTHING;
    const transferEnded = this.#transferEnded;
    this.#transferEnded = undefined;
    const lists = send.length + reads.length + extend.length;
    if (!write && lists === 0 && committed === undefined && !role && !transferEnded) return undefined;
    return { write, send, committed, reads, role, transferEnded, extend };
  }

  get nextDeadline(): number {
    if (this.#failed) return Number.POSITIVE_INFINITY;
    const transferAt = this.#transfer?.deadline ?? Number.POSITIVE_INFINITY;
    return Math.min(transferAt, this.#role.kind === "leader" ? this.#role.deadline : this.#state.electionAt);
  }

  // State

  get self(): ReplicaId {
    return this.#state.self;
  }
  get role(): RoleName {
    return this.#role.kind;
  }
  get votedFor(): ReplicaId | undefined {
    return this.#state.votedFor;
  }
  get term(): Term {
    return this.#state.term;
  }
  get leader(): ReplicaId | undefined {
    return this.#state.leader;
  }
  get configuration(): Configuration {
    return this.#state.configuration;
  }
  get commit(): LogIndex {
    return this.#state.log.commit;
  }
  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex;
  }
  get durable(): LogIndex {
    return this.#state.log.durable;
  }
  get noopIndex(): LogIndex | undefined {
    return this.#role.kind === "leader" ? this.#role.noopIndex : undefined;
  }
  get extending(): { readonly after: LogIndex; readonly upTo: LogIndex } | undefined {
    return this.#role.kind === "follower" ? this.#role.extending : undefined;
  }
  progress(replica: ReplicaId): Progress | undefined {
    return this.#role.kind === "leader" ? this.#role.progress(replica) : undefined;
  }
  termAt(index: LogIndex): Term | undefined {
    return this.#state.log.termAt(index);
  }
}
