import type { LogIndex, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { FrameType } from "../records/frame-types.ts";
import type { PeerProgress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import { PendingReads } from "./reads.ts";
import type { ReplicaState } from "./replica-state.ts";
import { type AppendReply, type HeartbeatReply, Replication } from "./replication.ts";
import type { Transfer } from "./transfer.ts";
import type { Message, Proposal, ProposeResult } from "./types.ts";

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
  transfer: Transfer | undefined;

  constructor(state: ReplicaState<P>, now: number) {
    invariant(state.termDurable, "a leader's term is durable before it leads");
    this.#state = state;
    const { options, log, self } = state;
    const replication = new Replication(state, now);
    this.replication = replication;
    // It counts itself only for what its own disk holds (scenario 30).
    this.#matchOf = (replica) => (replica === self ? log.durable : replication.peer(replica).match);
    this.#heardOf = (replica) => {
      if (replica === self) return Number.POSITIVE_INFINITY;
      const peer = replication.peer(replica);
      return peer.gone ? Number.NEGATIVE_INFINITY : peer.heardAt;
    };
    this.#roundOf = (replica) => (replica === self ? this.#round : replication.peer(replica).round);
    // Entries of earlier terms are committed by committing one of this term (Raft §5.4.2), so there is one at once.
    this.noopIndex = log.appendNew(state.term, FrameType.noop, options.noopBytes ?? NOOP_BYTES, undefined);
    this.#heartbeatAt = now + options.heartbeatMs;
  }

  propose(proposals: readonly Proposal<P>[]): ProposeResult {
    const { log, options, term } = this.#state;
    if (this.transfer !== undefined) return { kind: "refused", why: "transferring" };
    let bytes = 0;
    for (const proposal of proposals) {
      if (proposal.bytes > options.entryBytesMax) return { kind: "refused", why: "too-large" };
      if (proposal.type === FrameType.data) bytes += proposal.bytes;
    }
    const uncommitted = log.bytesBetween(Math.max(log.commit, this.noopIndex) + 1, log.lastIndex);
    // One batch always fits into an empty pipeline, whatever the limit says; otherwise it could never be written.
    if (bytes > 0 && uncommitted > 0 && uncommitted + bytes > options.uncommittedBytesMax) return { kind: "refused", why: "full" };
    const firstIndex = (log.lastIndex + 1) as LogIndex;
    for (const { type, bytes: size, payload } of proposals) log.appendNew(term, type, size, payload);
    return { kind: "accepted", firstIndex, lastIndex: log.lastIndex, term };
  }

  onAppendReply(from: ReplicaId, reply: AppendReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer !== undefined) this.replication.onAppendReply(peer, reply);
  }

  onHeartbeatReply(from: ReplicaId, reply: HeartbeatReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer === undefined) return;
    invariant(reply.round <= this.#round, () => `round ${reply.round} was echoed, the newest is ${this.#round}`);
    peer.round = Math.max(peer.round, reply.round);
    this.replication.onHeartbeatReply(from, peer, reply);
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
    this.#heartbeatAt = now + this.#state.options.heartbeatMs;
    this.#beat();
  }

  /** One message for all: nothing in it is about one follower. */
  #beat(): void {
    const { term, log, outbox, self } = this.#state;
    const message: Message<P> = { kind: "heartbeat", term, commit: log.commit, round: this.#round };
    for (const replica of this.replication.peers.keys()) if (replica !== self) outbox.send(replica, message);
  }

  peerGone(replica: ReplicaId): void {
    const peer = this.replication.peers.get(replica);
    if (peer === undefined) return;
    peer.gone = true;
    // What was in flight on the lost connections is lost.
    if (peer.mode !== "reset") this.replication.toProbe(peer);
    peer.asked = true;
  }

  peerBack(replica: ReplicaId, now: number): void {
    const peer = this.replication.peers.get(replica);
    if (peer === undefined) return;
    peer.gone = false;
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
      this.#beat();
    }
    const { log, reads, configuration } = this.#state;
    if (this.#reads.size === 0 || log.commit < this.noopIndex) return;
    this.#reads.confirm(quorumValue(configuration, this.#roundOf), this.noopIndex, (context, index) => reads.push({ context, index }));
  }

  #moveTransfer(): void {
    const transfer = this.transfer;
    if (transfer === undefined || transfer.told) return;
    const { log, outbox, term } = this.#state;
    if (this.replication.peer(transfer.to).match < log.lastIndex) return;
    transfer.told = true;
    outbox.send(transfer.to, { kind: "timeoutNow", term });
  }

  /** Called once per drain, so that one turn's proposals share messages and its reads share a round. */
  flush(): void {
    this.#moveReads();
    this.replication.flush();
    this.#moveTransfer();
  }

  progress(replica: ReplicaId): PeerProgress | undefined {
    const peer = this.replication.peers.get(replica);
    if (peer !== undefined && replica === this.#state.self) {
      peer.mode = "replicate";
      peer.advance(this.#state.log.durable);
      peer.heardAt = this.#state.now;
    }
    return peer;
  }

  /** It leads no more: no read can be answered. */
  end(): void {
    this.#reads.refuseAll((context) => this.#state.reads.push({ context, index: undefined }));
  }
}
