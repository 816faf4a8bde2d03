import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant, unreachable } from "../base/invariant.ts";
import { FrameType } from "../records/frame-types.ts";
import type { Candidate } from "./candidate.ts";
import { configurationBytes } from "./membership.ts";
import { termAfterRecovery } from "./recovery-term.ts";
import { ReplicaState } from "./replica-state.ts";
import { Roles } from "./roles.ts";
import { answerOlderTerm, declineRest, ruleOfLaterTerm, type TermMessage } from "./term-rules.ts";
import { Told } from "./told.ts";
import type {
  ChangeResult,
  Configuration,
  Entry,
  EntryRange,
  MembershipChange,
  Message,
  Progress,
  Proposal,
  ProposeRefusal,
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
 * 4. `reads`, `transferEnded`, `extend`, `reset`, `configuration`, `quarantineEnded`, `role`.
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
 * **Membership.** Joint consensus (Raft §6): a change of voters appends a joint configuration, in force at once here and wherever it is
 * appended; once it is committed by both majorities the leader appends the one without the old voters. A leader that is not in it
 * commits it without counting itself, tells the furthest voter to ask for votes, and is quiet from then on.
 *
 * Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014), by section in the tests; etcd-io/raft for asynchronous
 * storage and the probe and replicate modes.
 */
export function createRaft<P>(options: RaftOptions, recovered: RaftRecovered, now: number): RaftCore<P> {
  return new Raft<P>(options, recovered, now);
}

const NOTHING: readonly never[] = [];

class Raft<P> implements RaftCore<P> {
  readonly #state: ReplicaState<P>;
  readonly #roles: Roles<P>;
  readonly #told: Told;
  #failed = false;

  constructor(options: RaftOptions, recovered: RaftRecovered, now: number) {
    const state = new ReplicaState<P>(options, recovered, now);
    this.#state = state;
    this.#roles = new Roles(state);
    this.#told = new Told(state.log.commit, state.term, state.configuration, state.quarantined);
    state.resetElection(now);
    // Alone, nobody else could ask first.
    const { voters, old } = state.configuration;
    if (voters.length === 1 && voters[0] === state.self && old === undefined && state.electable) state.electionAt = now;
  }

  // Inputs

  tick(now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    const stopped = now - state.now > state.options.heartbeatMs * 3;
    state.now = now;
    state.transfers.expire(now);
    const leader = this.#roles.leader;
    if (leader !== undefined) {
      if (stopped) leader.grace(now + state.options.heartbeatMs * 2);
      if (!leader.hearsQuorum(now)) this.#roles.follow(state.term, undefined, now);
      else leader.tick(now);
      return;
    }
    state.quarantine?.tick(now);
    if (now >= state.electionAt) this.#roles.campaign("preCandidate", false, now);
  }

  step(from: ReplicaId, message: Message<P>, now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    invariant(from !== state.self, "a replica does not send messages to itself");
    state.now = now;
    state.gone.delete(from);
    if (message.kind === "askTerm")
      return state.sendWhenStateDurable(from, { kind: "tellTerm", term: state.term, session: message.session });
    if (message.kind === "tellTerm") return this.#onToldTerm(from, message, now);
    // Whoever asks for votes leads no more: its broker stands for it no longer.
    if ((message.kind === "vote" || message.kind === "preVote") && this.#roles.leader === undefined) state.wake(from, false);
    if (message.term > state.term) {
      const rule = ruleOfLaterTerm(state, message, now);
      if (rule === "ignore") return;
      if (rule !== "look") this.#roles.follow(message.term, rule === "follow" ? from : undefined, now);
    } else if (message.term < state.term) {
      answerOlderTerm(state, from, message, now);
      return;
    }
    this.#stepInTerm(from, message, now);
  }

  propose(proposals: readonly Proposal<P>[], expectedTerm: Term, now = this.#state.now): ProposeResult {
    const { leader } = this.#roles;
    this.#state.now = now;
    if (this.#failed) return { kind: "refused", why: "failed" };
    if (leader === undefined) return { kind: "refused", why: "not-leader" };
    if (this.#state.term !== expectedTerm) return { kind: "refused", why: "term-moved" };
    invariant(proposals.length > 0, "a proposal has at least one entry");
    invariant(
      proposals.every(({ type }) => type !== FrameType.config),
      "configurations are proposed by changeMembership",
    );
    return leader.propose(proposals);
  }

  refusal(bytes: number): ProposeRefusal | undefined {
    if (this.#failed) return "failed";
    const { leader } = this.#roles;
    return leader === undefined ? "not-leader" : leader.refusal([{ type: FrameType.data, bytes }]);
  }

  ioDone(seq: number, now: number): void {
    if (this.#failed) return;
    const { log, outbox } = this.#state;
    this.#state.now = now;
    log.writes.done(seq);
    outbox.release(log.writes.doneSeq);
    const role = this.#roles.current;
    if (role.kind === "leader") role.maybeCommit();
    else if (role.kind === "follower") role.onDurable();
    else {
      role.countOwnVote();
      this.#roles.decideElection(role, now);
    }
  }

  ioFailed(): void {
    if (this.#failed) return;
    const { term, now, outbox } = this.#state;
    this.#roles.follow(term, undefined, now);
    outbox.dropHeld();
    this.#failed = true;
  }

  transfer(to: ReplicaId, now: number): { readonly kind: "started" } | { readonly kind: "refused"; readonly why: string } {
    const { leader } = this.#roles;
    if (this.#failed || leader === undefined) return { kind: "refused", why: "not the leader" };
    const { self, configuration, options, transfers } = this.#state;
    const { impaired } = leader.progress(to) ?? {};
    const current = transfers.current;
    const why =
      to === self
        ? `replica ${to} leads already`
        : !configuration.voters.includes(to)
          ? `replica ${to} is not a voter`
          : impaired !== undefined
            ? `replica ${to} ${impaired === "hole" ? "has a hole" : "is quarantined"}`
            : current !== undefined
              ? `a transfer to replica ${current.to} is under way`
              : undefined;
    if (why !== undefined) return { kind: "refused", why };
    this.#state.now = now;
    transfers.begin(to, now + options.electionMaxMs);
    return { kind: "started" };
  }

  changeMembership(change: MembershipChange, now: number): ChangeResult {
    this.#state.now = now;
    if (this.#failed) return { kind: "refused", why: "failed" };
    return this.#roles.leader?.changeMembership(change, now) ?? { kind: "refused", why: "not-leader" };
  }

  recover(after: Term, now: number): boolean {
    const state = this.#state;
    state.now = now;
    if (this.#failed || state.takingBulk) return false;
    state.quarantine = undefined;
    // A term that nobody voted in, here or elsewhere: leaders of the old configuration may have come and gone unheard of here.
    this.#roles.follow(termAfterRecovery(Math.max(state.term, after) as Term, state.options.draw), undefined, now);
    const configuration = { voters: [state.self], learners: [] };
    state.log.appendNew(state.term, FrameType.config, configurationBytes(configuration), undefined, configuration);
    state.attempts = 0;
    state.electionAt = now;
    return true;
  }

  campaign(now: number): void {
    const state = this.#state;
    if (this.#failed || this.#roles.leader !== undefined || !state.electable || state.leader !== undefined) return;
    state.now = now;
    this.#roles.campaign("preCandidate", false, now);
  }

  readIndex(context: number, now: number): void {
    this.#state.now = now;
    const { leader } = this.#roles;
    if (!this.#failed && leader !== undefined) leader.readIndex(context);
    else this.#state.reads.push({ context, index: undefined });
  }

  peerGone(replica: ReplicaId, now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    state.now = now;
    state.gone.add(replica);
    const { leader } = this.#roles;
    if (leader === undefined) state.wake(replica, true);
    if (leader !== undefined) leader.peerGone(replica);
    else if (replica === state.leader && state.electable) state.electionAt = Math.min(state.electionAt, now + state.timeouts.evidence());
  }

  peerBack(replica: ReplicaId, now: number): void {
    if (this.#failed) return;
    const state = this.#state;
    state.now = now;
    state.gone.delete(replica);
    state.quarantine?.peerBack(now);
    const { leader } = this.#roles;
    if (leader !== undefined) leader.peerBack(replica, now);
    // One more that could vote: nothing is gained by waiting for a timeout that was drawn when there were too few.
    else if (state.leader === undefined && state.electable && !this.lastResort)
      state.electionAt = Math.min(state.electionAt, now + state.timeouts.retry());
  }

  restEnded(replica: ReplicaId, now: number): void {
    if (this.#failed) return;
    this.#state.now = now;
    const { leader } = this.#roles;
    if (leader !== undefined) leader.wake(replica, now, true);
    else this.#state.wake(replica, true);
  }

  hold(replica: ReplicaId, held: boolean): void {
    if (this.#failed) return;
    const { leader } = this.#roles;
    leader?.wake(replica, this.#state.now, false);
    leader?.replication.hold(replica, held);
  }

  extended(replica: ReplicaId, match: LogIndex | undefined, now: number): void {
    this.#state.now = now;
    const { leader } = this.#roles;
    if (this.#failed || leader === undefined) return;
    leader.replication.extended(replica, match);
    leader.maybeCommit();
  }

  resetDone(replica: ReplicaId, start: { readonly index: LogIndex; readonly term: Term } | undefined, now: number): void {
    this.#state.now = now;
    const { leader } = this.#roles;
    if (this.#failed || leader === undefined) return;
    leader.replication.resetDone(replica, start);
    leader.maybeCommit();
  }

  extendLocally(first: LogIndex): boolean {
    const role = this.#roles.current;
    return !this.#failed && role.kind === "follower" && role.extendLocally(first);
  }

  extendedLocally(entries: readonly Omit<Entry<P>, "payload">[], now: number): void {
    this.#state.now = now;
    if (this.#failed) return;
    const role = this.#roles.current;
    // Since `extendLocally` it asked for no votes.
    invariant(role.kind === "follower", () => `a ${role.kind} is extended`);
    role.onExtendedLocally(entries);
  }

  forgetBelow(index: LogIndex): void {
    this.#state.log.forgetBelow(index);
  }

  trimmed(start: { readonly index: LogIndex; readonly term: Term }): void {
    this.#state.log.trimmed(start);
    this.#roles.leader?.replication.trimmed();
  }

  quarantine(now: number): void {
    const state = this.#state;
    state.now = now;
    if (this.#failed || state.quarantined) return;
    this.#roles.follow(state.term, undefined, now);
    state.beginQuarantine();
  }

  // Dispatch

  #stepInTerm(from: ReplicaId, message: TermMessage<P>, now: number): void {
    const roles = this.#roles;
    const role = roles.current;
    switch (message.kind) {
      case "vote":
      case "preVote":
        if (ignoresVoteRequest(this.#state, message, now)) return;
        if (answerVoteRequest(this.#state, from, message, now) && role.kind === "preCandidate") roles.yieldTo(from, now);
        return;
      case "voteReply":
      case "preVoteReply":
        if (role.kind !== (message.kind === "voteReply" ? "candidate" : "preCandidate")) return;
        (role as Candidate<P>).onReply(from, message.granted, message.attempt);
        roles.decideElection(role as Candidate<P>, now);
        return;
      case "append":
        roles.followerOf(from, now).onAppend(from, message);
        return;
      case "heartbeat":
        roles.followerOf(from, now).onHeartbeat(from, message);
        return;
      case "extend":
        roles.followerOf(from, now).onExtend(from, message);
        return;
      case "wake":
        if (role.kind === "leader") role.wake(from, now, true);
        else this.#state.wake(from, false);
        return;
      case "timeoutNow":
        roles.followerOf(from, now);
        if (this.#state.electable) roles.campaign("candidate", true, now);
        return;
      case "appendReply":
        if (role.kind !== "leader") return;
        role.onAppendReply(from, message, now);
        role.maybeCommit();
        return;
      case "heartbeatReply":
        if (role.kind !== "leader") return declineRest(this.#state, from, message);
        role.onHeartbeatReply(from, message, now);
        role.maybeCommit();
        return;
      default:
        unreachable(message);
    }
  }

  /** Only a quarantined replica asked, and takes every term it is told. */
  #onToldTerm(from: ReplicaId, message: Extract<Message<P>, { readonly kind: "tellTerm" }>, now: number): void {
    const state = this.#state;
    if (state.quarantine === undefined) return;
    if (message.term > state.term) this.#roles.follow(message.term, undefined, now);
    state.quarantine.told(from, message.session);
  }

  // Output

  drain(): Ready<P> | undefined {
    const state = this.#state;
    const { log, outbox } = state;
    this.#retire();
    const { leader } = this.#roles;
    leader?.flush();
    const write = this.#failed ? undefined : log.takeWrite(state.term, state.votedFor);
    const send = outbox.take();
    const committed = this.#told.committed(log.commit);
    const reads = state.reads.length > 0 ? state.reads.splice(0) : NOTHING;
    const role = this.#told.role(this.#roles.current.kind, state.term, state.leader);
    const configuration = this.#told.configuration(state.configuration);
    const { quarantineBegan, quarantineEnded } = this.#told.quarantine(state.quarantined);
    // Whoever just became a voter has had no election clock so far.
    if (configuration !== undefined && leader === undefined && state.electionAt === Number.POSITIVE_INFINITY)
      state.resetElection(state.now);
    const extend = leader?.replication.takeExtend() ?? NOTHING;
    const reset = leader?.replication.takeReset() ?? NOTHING;
    const transferEnded = state.transfers.takeEnded();
    const rest = state.resting.take();
    const lists = send.length + reads.length + extend.length + reset.length + rest.length;
    const turned = quarantineBegan || quarantineEnded;
    if (!write && lists === 0 && committed === undefined && !role && !transferEnded && !configuration && !turned) return undefined;
    return { write, send, committed, reads, role, transferEnded, extend, reset, rest, configuration, quarantineBegan, quarantineEnded };
  }

  /** A leader that is no member any more has done its last duty once the configuration that says so is committed (scenario 58). */
  #retire(): void {
    const { leader } = this.#roles;
    if (leader === undefined || !leader.retired) return;
    leader.handOn();
    this.#roles.follow(this.#state.term, undefined, this.#state.now);
  }

  get nextDeadline(): number {
    if (this.#failed) return Number.POSITIVE_INFINITY;
    const { transfers, electionAt, quarantine } = this.#state;
    const role = this.#roles.leader?.deadline ?? Math.min(electionAt, quarantine?.deadline ?? Number.POSITIVE_INFINITY);
    return Math.min(transfers.deadline, role);
  }

  // State

  get self(): ReplicaId {
    return this.#state.self;
  }
  get role(): RoleName {
    return this.#roles.current.kind;
  }
  get votedFor(): ReplicaId | undefined {
    return this.#state.votedFor;
  }
  get term(): Term {
    return this.#state.term;
  }
  get durableTerm(): Term {
    return this.#state.log.writes.durableTerm;
  }
  get durableVote(): ReplicaId | undefined {
    return this.#state.log.writes.durableVote;
  }
  get leader(): ReplicaId | undefined {
    return this.#state.leader;
  }
  leaderAlive(now: number): boolean {
    return !this.#failed && this.#state.leaderAlive(now);
  }
  get atRest(): boolean {
    return this.#roles.leader?.atRest ?? this.#state.resting.size > 0;
  }
  get configuration(): Configuration {
    return this.#state.configuration;
  }
  get configurationIndex(): LogIndex {
    return this.#state.log.configurations.index;
  }
  get quarantined(): boolean {
    return this.#state.quarantined;
  }
  get lastResort(): boolean {
    return this.#state.timeouts.lastResort;
  }
  set lastResort(on: boolean) {
    const { timeouts, options } = this.#state;
    // Its leader has to hear of it.
    if (on && !timeouts.lastResort && this.#roles.leader === undefined) this.#state.stopResting();
    if (on && !timeouts.lastResort) this.#state.electionAt += options.electionMaxMs;
    timeouts.lastResort = on;
  }
  get holes(): readonly EntryRange[] {
    return this.#state.log.holes;
  }
  set holes(holes: readonly EntryRange[]) {
    this.#state.log.holes = holes;
    this.lastResort = holes.length > 0;
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
    return this.#roles.leader?.noopIndex;
  }
  get extending(): { readonly after: LogIndex; readonly upTo: LogIndex } | undefined {
    const role = this.#roles.current;
    return role.kind === "follower" ? role.extending : undefined;
  }
  progress(replica: ReplicaId): Progress | undefined {
    return this.#roles.leader?.progress(replica);
  }
  caughtUp(learner: ReplicaId, now: number): boolean {
    return this.#roles.leader?.caughtUp(learner, now) === true;
  }
  termAt(index: LogIndex): Term | undefined {
    return this.#state.log.termAt(index);
  }
  unprovedAt(index: LogIndex): LogIndex | undefined {
    return this.#state.log.unprovedAt(index);
  }
}
