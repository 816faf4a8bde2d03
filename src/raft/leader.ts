import type { LogIndex, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { FrameType } from "../records/frame-types.ts";
import { configurationBytes, firstStep, lastStep } from "./membership.ts";
import type { PeerProgress } from "./progress.ts";
import { isVoter, quorumValue } from "./quorum.ts";
import { PendingReads } from "./reads.ts";
import type { ReplicaState } from "./replica-state.ts";
import { type AppendReply, type HeartbeatReply, Replication } from "./replication.ts";
import type { ChangeResult, Configuration, MembershipChange, Proposal, ProposeRefusal, ProposeResult } from "./types.ts";

const NOOP_BYTES = 128;

/** Takes proposals, replicates them, commits what a quorum has on disk, and steps down when it hears no quorum. */
export class Leader<P> {
  readonly kind = "leader";
  readonly noopIndex: LogIndex;
  readonly replication: Replication<P>;
  readonly #state: ReplicaState<P>;
  readonly #reads = new PendingReads();
  // Bound once: a commit or a deadline is looked up for every message.
  readonly #heardOf: (replica: ReplicaId) => number;
  readonly #matchOf: (replica: ReplicaId) => number;
  readonly #roundOf: (replica: ReplicaId) => number;
  #heartbeatAt: number;
  #round = 0;
  /** Check-quorum waits until here: this process itself was stopped for a while, answers may lie unread. */
  #graceUntil = Number.NEGATIVE_INFINITY;

  constructor(state: ReplicaState<P>, now: number) {
    invariant(state.termDurable, "a leader's term is durable before it leads");
    this.#state = state;
    const { options, log, self } = state;
    const replication = new Replication(state, now);
    this.replication = replication;
    // It counts itself only for what its own disk holds (scenario 30).
    this.#matchOf = (replica) => {
      if (replica === self) return log.durable;
      const peer = replication.peer(replica);
      return peer.counts ? peer.match : 0;
    };
    this.#heardOf = (replica) => {
      if (replica === self) return Number.POSITIVE_INFINITY;
      const peer = replication.peer(replica);
      if (peer.gone || peer.impaired === "quarantined") return Number.NEGATIVE_INFINITY;
      // The shell says when its broker is not heard any more (`restEnded`).
      if (state.resting.has(replica)) return Number.POSITIVE_INFINITY;
      // Who is suspected did answer. A leader that stepped down for the lack of it could not remind it any more, and in the next term it
      // would vote (scenario 70). Not for longer than one timeout: a leader that can commit nothing is none.
      return peer.suspected === undefined ? peer.heardAt : peer.suspectedAt;
    };
    // One in quarantine may have voted for a newer leader and forgotten it: it proves nothing.
    this.#roundOf = (replica) => {
      if (replica === self) return this.#round;
      const peer = replication.peer(replica);
      return peer.counts ? peer.round : 0;
    };
    // Entries of earlier terms are committed by committing one of this term (Raft §5.4.2), so there is one at once.
    this.noopIndex = log.appendNew(state.term, FrameType.noop, options.noopBytes ?? NOOP_BYTES, undefined);
    this.#heartbeatAt = this.#nextBeat(now);
  }

  propose(proposals: readonly Proposal<P>[]): ProposeResult {
    const { log, term } = this.#state;
    const why = this.refusal(proposals);
    if (why !== undefined) return { kind: "refused", why };
    const firstIndex = (log.lastIndex + 1) as LogIndex;
    for (const { type, bytes: size, payload } of proposals) log.appendNew(term, type, size, payload);
    return { kind: "accepted", firstIndex, lastIndex: log.lastIndex, term };
  }

  refusal(proposals: readonly Pick<Proposal<P>, "type" | "bytes">[]): ProposeRefusal | undefined {
    const { log, options } = this.#state;
    if (this.#state.transfers.current !== undefined) return "transferring";
    let bytes = 0;
    for (const proposal of proposals) {
      if (proposal.bytes > options.entryBytesMax) return "too-large";
      if (proposal.type === FrameType.data) bytes += proposal.bytes;
    }
    const uncommitted = log.bytesBetween(Math.max(log.commit, this.noopIndex) + 1, log.lastIndex);
    // One batch always fits into an empty pipeline, whatever the limit says; otherwise it could never be written.
    if (bytes > 0 && uncommitted > 0 && uncommitted + bytes > options.uncommittedBytesMax) return "full";
    return undefined;
  }

  onAppendReply(from: ReplicaId, reply: AppendReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer === undefined) return;
    if (reply.refused !== undefined || reply.impaired !== undefined) this.#wake(from, peer, now);
    this.replication.onAppendReply(from, peer, reply);
    // It is reminded at once: if this leader is lost before, nobody else knows what it had.
    if (peer.suspected !== undefined && peer.remindedIn === undefined) this.#heartbeatAt = Math.min(this.#heartbeatAt, now);
  }

  onHeartbeatReply(from: ReplicaId, reply: HeartbeatReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer === undefined) return;
    invariant(reply.round <= this.#round, () => `round ${reply.round} was echoed, the newest is ${this.#round}`);
    peer.round = Math.max(peer.round, reply.round);
    this.replication.onHeartbeatReply(from, peer, reply);
    if (reply.resting === true && this.#mayRest(peer)) {
      this.#state.resting.begin(from);
      if (this.atRest) this.#heartbeatAt = Number.POSITIVE_INFINITY;
    } else this.#wake(from, peer, now);
  }

  // Rest (ADR 0016)

  /** Every other replica rests. */
  get atRest(): boolean {
    const { peers } = this.replication;
    if (this.#state.options.contact === undefined) return false;
    return this.#state.resting.size === peers.size - (peers.has(this.#state.self) ? 1 : 0);
  }

  /** It has all there is, which is committed, and it is as good as any: there is nothing to tell it, or to hear from it. */
  #mayRest(peer: PeerProgress): boolean {
    const { log, options, configuration, transfers } = this.#state;
    if (options.contact === undefined || log.commit !== log.lastIndex || log.commit < this.noopIndex) return false;
    if (configuration.old !== undefined || transfers.current !== undefined) return false;
    return peer.mode === "replicate" && peer.match === log.lastIndex && !peer.barred && !peer.gone && !peer.held;
  }

  /** A follower rests no more, whoever said so: heartbeats go to it again. */
  #wake(replica: ReplicaId, peer: PeerProgress, now: number): void {
    const { resting, options } = this.#state;
    if (!resting.end(replica)) return;
    peer.heardAt = Math.max(peer.heardAt, options.contact?.(replica) ?? now);
    this.#heartbeatAt = Math.min(this.#heartbeatAt, this.#nextBeat(now));
  }

  /** @param soon it waits for a heartbeat: its election clock runs */
  wake(replica: ReplicaId, now: number, soon: boolean): void {
    const peer = this.replication.peers.get(replica);
    if (peer === undefined || !this.#state.resting.has(replica)) return;
    this.#wake(replica, peer, now);
    if (soon) this.#heartbeatAt = Math.min(this.#heartbeatAt, now);
  }

  /** Something is to be told to all. */
  #wakeAll(): void {
    const { resting, log, transfers, now } = this.#state;
    if (resting.size === 0 || (log.commit === log.lastIndex && transfers.current === undefined)) return;
    for (const replica of resting.all) this.wake(replica, now, false);
  }

  /** Beats of all groups of a broker leave together, so that they share a message. */
  #nextBeat(now: number): number {
    const { contact, heartbeatMs } = this.#state.options;
    return contact === undefined ? now + heartbeatMs : (Math.floor(now / heartbeatMs) + 1) * heartbeatMs;
  }

  #heard(from: ReplicaId, now: number): PeerProgress | undefined {
    const peer = this.replication.peers.get(from);
    if (peer === undefined) return undefined;
    peer.heardAt = now;
    peer.gone = false;
    return peer;
  }

  /** Commits what a quorum has on disk, if it is of this term: older entries go with it, never by count (scenario 32). */
  maybeCommit(): void {
    const { log, configuration, term } = this.#state;
    const index = quorumValue(configuration, this.#matchOf);
    if (index > log.commit && log.termAt(index) === term) log.commitTo(index);
  }

  // Membership

  changeMembership(change: MembershipChange, now: number): ChangeResult {
    const { log, configuration, transfers } = this.#state;
    // Before this term committed anything, a configuration of an earlier leader may still be cut off elsewhere (scenarios 33, 54).
    if (log.commit < this.noopIndex) return { kind: "refused", why: "not-confirmed" };
    if (configuration.old !== undefined || log.configurations.index > log.commit) return { kind: "refused", why: "change-open" };
    if (transfers.current !== undefined) return { kind: "refused", why: "transferring" };
    const next = firstStep(configuration, change);
    if (next === undefined) return { kind: "refused", why: "invalid" };
    const ready = change.voters.every((voter) => configuration.voters.includes(voter) || this.caughtUp(voter, now));
    return ready ? { kind: "accepted", index: this.#configure(next) } : { kind: "refused", why: "not-caught-up" };
  }

  /** A new voter must not hold commits up: it streams, answers, and lacks no more than one window (scenario 60). */
  caughtUp(replica: ReplicaId, now: number): boolean {
    const { log, options } = this.#state;
    const peer = this.replication.peers.get(replica);
    if (peer === undefined || peer.mode !== "replicate" || peer.gone || peer.barred) return false;
    if (now - peer.heardAt >= options.electionMinMs) return false;
    return peer.match >= this.noopIndex && log.bytesBetween(peer.match + 1, log.lastIndex) <= options.inflightBytesMax;
  }

  #configure(configuration: Configuration): LogIndex {
    const { log, term, now } = this.#state;
    const index = log.appendNew(term, FrameType.config, configurationBytes(configuration), undefined, configuration);
    for (const replica of this.#state.resting.all) this.wake(replica, now, false);
    this.replication.reconfigure(now);
    this.#heartbeatAt = Math.min(this.#heartbeatAt, this.#nextBeat(now));
    return index;
  }

  /** Both majorities have the joint configuration: the old voters are not needed any more. A successor does the same (scenario 56). */
  #leaveJoint(): void {
    const { log, configuration, transfers } = this.#state;
    if (configuration.old === undefined || transfers.current !== undefined) return;
    if (log.commit >= Math.max(this.noopIndex, log.configurations.index)) this.#configure(lastStep(configuration));
  }

  /** It votes no more, and that is committed (scenario 58). Until then it leads, and does not count itself. */
  get retired(): boolean {
    const { log, configuration, self } = this.#state;
    return log.configurations.index <= log.commit && !isVoter(configuration, self) && log.commit >= this.noopIndex;
  }

  /** The voter that is furthest asks for votes at once: nobody has to miss this leader first. */
  handOn(): void {
    const { configuration, outbox, term } = this.#state;
    let best: ReplicaId | undefined;
    for (const voter of configuration.voters) {
      const peer = this.replication.peer(voter);
      if (!peer.gone && !peer.barred && peer.match > (best === undefined ? 0 : this.replication.peer(best).match)) best = voter;
    }
    if (best !== undefined) outbox.send(best, { kind: "timeoutNow", term });
  }

  // Time

  get deadline(): number {
    return Math.min(this.#heartbeatAt, this.#silentAt);
  }

  /** When a quorum will have been silent for an election timeout. */
  get #silentAt(): number {
    return Math.max(quorumValue(this.#state.configuration, this.#heardOf) + this.#state.options.electionMaxMs, this.#graceUntil);
  }

  /** Check-quorum: a leader that hears no majority steps down, so that its clients go elsewhere (scenarios 17, 18). */
  hearsQuorum(now: number): boolean {
    return now < this.#silentAt;
  }

  /** This process was stopped: what it could not read is no evidence against its followers. */
  grace(until: number): void {
    this.#graceUntil = until;
  }

  tick(now: number): void {
    if (now < this.#heartbeatAt) return;
    this.#heartbeatAt = this.atRest ? Number.POSITIVE_INFINITY : this.#nextBeat(now);
    this.#beat(false);
  }

  /**
   * One message for all, but for those that are reminded of something, and those that may rest.
   *
   * @param round all have to echo it, also those that rest
   */
  #beat(round: boolean): void {
    const { term, log, outbox, self, resting } = this.#state;
    const { peers } = this.replication;
    for (const peer of peers.values()) {
      if (peer.suspected === undefined || peer.remindedIn !== undefined) continue;
      // A round of its own: no answer to what was sent before can bear it.
      this.#round += 1;
      peer.remindedIn = this.#round;
    }
    const message = { kind: "heartbeat", term, commit: log.commit, round: this.#round } as const;
    for (const [replica, peer] of peers) {
      if (replica === self || (!round && resting.has(replica))) continue;
      const { suspected } = peer;
      if (suspected !== undefined) outbox.send(replica, { ...message, remembered: suspected });
      else outbox.send(replica, this.#mayRest(peer) ? { ...message, rest: true } : message);
    }
  }

  peerGone(replica: ReplicaId): void {
    const peer = this.replication.peers.get(replica);
    if (peer === undefined) return;
    this.wake(replica, this.#state.now, false);
    peer.gone = true;
    // What was in flight on the lost connections is lost.
    if (peer.mode !== "reset") this.replication.toProbe(peer);
    peer.asked = true;
  }

  peerBack(replica: ReplicaId, now: number): void {
    const peer = this.replication.peers.get(replica);
    if (peer === undefined) return;
    this.wake(replica, now, false);
    peer.gone = false;
    // What was in flight is lost, and another process may answer now, of a disk that forgot: it is asked what it has.
    if (peer.mode === "replicate") this.replication.toProbe(peer);
    peer.asked = false;
    // It learns at once who leads.
    this.#heartbeatAt = now;
  }

  // Reads and transfer

  readIndex(context: number): void {
    if (!this.#reads.add(context, this.#state.log.commit)) this.#state.reads.push({ context, index: undefined });
  }

  #moveReads(): void {
    if (this.#reads.needsRound) {
      this.#round += 1;
      this.#reads.startRound(this.#round);
      this.#beat(true);
    }
    const { log, reads, configuration } = this.#state;
    if (this.#reads.size === 0 || log.commit < this.noopIndex) return;
    this.#reads.confirm(quorumValue(configuration, this.#roundOf), this.noopIndex, (context, index) => reads.push({ context, index }));
  }

  #moveTransfer(): void {
    const transfer = this.#state.transfers.current;
    if (transfer === undefined || transfer.told) return;
    const { log, outbox, term } = this.#state;
    if (this.replication.peer(transfer.to).match < log.lastIndex) return;
    transfer.told = true;
    outbox.send(transfer.to, { kind: "timeoutNow", term });
  }

  /** Called once per drain, so that one turn's proposals share messages and its reads share a round. */
  flush(): void {
    this.#leaveJoint();
    this.#wakeAll();
    this.#moveReads();
    this.replication.flush();
    this.#moveTransfer();
  }

  progress(replica: ReplicaId): PeerProgress | undefined {
    const peer = this.replication.peers.get(replica);
    if (peer !== undefined && replica === this.#state.self) {
      peer.mode = "replicate";
      peer.impaired = this.#state.impaired;
      peer.advance(this.#state.log.durable);
      peer.heardAt = this.#state.now;
    }
    if (peer !== undefined && this.#state.resting.has(replica)) peer.heardAt = this.#state.options.contact?.(replica) ?? peer.heardAt;
    return peer;
  }

  /** It leads no more: no read can be answered. */
  end(): void {
    this.#reads.refuseAll((context) => this.#state.reads.push({ context, index: undefined }));
  }
}
