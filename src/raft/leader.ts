import type { LogIndex, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { FrameType } from "../records/frame-types.ts";
import { InflightWindow, PeerProgress } from "./progress.ts";
import { isVoter, membersOf, quorumValue } from "./quorum.ts";
import { PendingReads } from "./reads.ts";
import type { ReplicaState } from "./replica-state.ts";
import type { Transfer } from "./transfer.ts";
import type { Message, Proposal, ProposeResult, Ready } from "./types.ts";

type AppendReply = Extract<Message<never>, { readonly kind: "appendReply" }>;
type HeartbeatReply = Extract<Message<never>, { readonly kind: "heartbeatReply" }>;

const NO_ENTRIES: readonly never[] = [];
const NOOP_BYTES = 128;

/** Replicates its log: appends run ahead, answers move `match`, a quorum of matches moves the commit index. */
export class Leader<P> {
  readonly kind = "leader";
  readonly noopIndex: LogIndex;
  readonly #state: ReplicaState<P>;
  readonly #peers = new Map<ReplicaId, PeerProgress>();
  readonly #reads = new PendingReads();
  readonly #heardOf: (replica: ReplicaId) => number;
  readonly #matchOf: (replica: ReplicaId) => number;
  readonly #roundOf: (replica: ReplicaId) => number;
  #extend: Ready<P>["extend"][number][] = [];
  #heartbeatAt: number;
  #round = 0;
  /** Check-quorum waits until here: this process itself was stopped for a while, answers may lie unread. */
  #graceUntil = Number.NEGATIVE_INFINITY;
  transfer: Transfer | undefined;

  constructor(state: ReplicaState<P>, now: number) {
    this.#state = state;
    const { options, log, self } = state;
    invariant(state.termDurable, "a leader's term is durable before it leads");
    this.#matchOf = (replica) => (replica === self ? log.durable : this.#peer(replica).match);
    this.#heardOf = (replica) => {
      if (replica === self) return Number.POSITIVE_INFINITY;
      const peer = this.#peer(replica);
      return peer.gone ? Number.NEGATIVE_INFINITY : peer.heardAt;
    };
    this.#roundOf = (replica) => (replica === self ? this.#round : this.#peer(replica).round);
    for (const replica of membersOf(state.configuration)) {
      const window = new InflightWindow(options.inflightMessagesMax, options.inflightBytesMax);
      const learner = !isVoter(state.configuration, replica);
      // Nothing is known of them but that a quorum just voted: each is given one timeout to answer.
      this.#peers.set(replica, new PeerProgress(log.lastIndex + 1, learner, now, state.gone.has(replica), window));
    }
    // Entries of earlier terms are committed by committing one of this term (Raft §5.4.2), so there is one at once.
    this.noopIndex = log.appendNew(state.term, FrameType.noop, options.noopBytes ?? NOOP_BYTES, undefined);
    this.#heartbeatAt = now + options.heartbeatMs;
  }

  // Proposals

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

  // Answers

  onAppendReply(from: ReplicaId, reply: AppendReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer === undefined) return;
    const moved = this.#advance(peer, reply.durable);
    if (reply.refused !== undefined) {
      this.#onRefusal(peer, reply.refused);
    } else if (peer.mode === "probe" && reply.durable >= peer.match) {
      peer.toReplicate();
    } else if (peer.mode === "extend" && moved && peer.match >= this.#extendedTo(from)) {
      peer.toReplicate();
    }
  }

  #onRefusal(peer: PeerProgress, refused: NonNullable<AppendReply["refused"]>): void {
    const { log } = this.#state;
    // An answer to something older: what it asks for was settled since.
    if (refused.prevIndex < peer.match || (refused.prevIndex === peer.match && peer.mode !== "extend")) return;
    if (peer.mode === "replicate") {
      // An append got lost. All above match is open again.
      this.#toProbe(peer);
      return;
    }
    if (peer.mode === "extend" && refused.prevIndex === peer.match) {
      // Its log goes on like ours: look for where they part from its end down.
      peer.toProbe(Math.max(peer.match, log.lastAtMost(refused.hintIndex, refused.hintTerm)) + 1);
      return;
    }
    if (peer.mode !== "probe" || refused.prevIndex !== peer.next - 1) return;
    // The last place where a term of theirs may meet ours; skips a whole run of our terms (scenario 41).
    peer.backTo(refused.prevIndex, log.lastAtMost(refused.hintIndex, refused.hintTerm));
    if (peer.next <= log.startIndex) peer.toReset();
  }

  onHeartbeatReply(from: ReplicaId, reply: HeartbeatReply, now: number): void {
    const peer = this.#heard(from, now);
    if (peer === undefined) return;
    if (reply.round > peer.round) {
      invariant(reply.round <= this.#round, () => `round ${reply.round} was echoed, the newest is ${this.#round}`);
      peer.round = reply.round;
    }
    // Carries the durable index so that a lost acknowledgement is made up for (scenario 37).
    const moved = this.#advance(peer, reply.durable);
    if (peer.mode === "probe") {
      if (moved) {
        peer.toReplicate();
      } else if (peer.asked) {
        // The question or its answer may be lost: ask again.
        peer.asked = false;
        peer.again = true;
      }
    } else if (peer.mode === "replicate" && peer.match < peer.next - 1) {
      // In flight and not moving: if an append was lost, this question is refused and probing starts; if the disk there is
      // slow, it changes nothing. An append that was lost with nothing behind it is found in no other way.
      if (peer.matchAtBeat === peer.match) this.#ask(from, peer);
      peer.matchAtBeat = peer.match;
    }
  }

  /**
   * Asks again where the logs part. With the next frames in memory an append compares as it goes; without them the question must
   * find the very place, and backtracking does so when it starts at the end: no step passes over the last equal entry.
   */
  #toProbe(peer: PeerProgress): void {
    const { log } = this.#state;
    const next = peer.match + 1;
    peer.toProbe(next < log.inMemoryFrom ? log.lastIndex + 1 : next);
  }

  #heard(from: ReplicaId, now: number): PeerProgress | undefined {
    const peer = this.#peers.get(from);
    if (peer === undefined) return undefined;
    peer.heardAt = now;
    peer.gone = false;
    return peer;
  }

  #advance(peer: PeerProgress, durable: number): boolean {
    invariant(
      durable <= this.#state.log.lastIndex,
      () => `a follower reports ${durable} durable, the leader's log ends at ${this.#state.log.lastIndex}`,
    );
    return peer.advance(durable);
  }

  /** Commits what a quorum has on disk, if it is of this term: older entries go with it, never by count (scenario 32). */
  maybeCommit(): void {
    const { log, configuration, term } = this.#state;
    const index = quorumValue(configuration, this.#matchOf);
    if (index > log.commit && log.termAt(index) === term) log.commitTo(index);
  }

  // Time

  get deadline(): number {
    return Math.min(this.#heartbeatAt, this.#silentAt, this.transfer?.deadline ?? Number.POSITIVE_INFINITY);
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

  #beat(): void {
    const { term, log, outbox, self } = this.#state;
    const message: Message<P> = {
      kind: "heartbeat",
      term,
      commit: log.commit,
      round: this.#round,
    };
    for (const replica of this.#peers.keys()) if (replica !== self) outbox.send(replica, message);
  }

  peerGone(replica: ReplicaId): void {
    const peer = this.#peers.get(replica);
    if (peer === undefined) return;
    peer.gone = true;
    // What was in flight on the lost connections is lost.
    if (peer.mode !== "reset") this.#toProbe(peer);
    peer.asked = true;
  }

  peerBack(replica: ReplicaId, now: number): void {
    const peer = this.#peers.get(replica);
    if (peer === undefined) return;
    peer.gone = false;
    peer.asked = false;
    // It learns at once who leads.
    this.#heartbeatAt = now;
  }

  // Reads

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

  // Bulk catch-up

  extended(replica: ReplicaId, match: LogIndex | undefined): void {
    const peer = this.#peers.get(replica);
    if (peer === undefined || peer.mode !== "extend") return;
    if (match === undefined) {
      this.#toProbe(peer);
      return;
    }
    this.#advance(peer, match);
    peer.toReplicate();
  }

  readonly #extendTargets = new Map<ReplicaId, number>();

  #extendedTo(replica: ReplicaId): number {
    return this.#extendTargets.get(replica) ?? Number.POSITIVE_INFINITY;
  }

  #startExtend(replica: ReplicaId, peer: PeerProgress): void {
    const { log, outbox, term } = this.#state;
    const from = (peer.match + 1) as LogIndex;
    if (from <= log.startIndex) {
      peer.toReset();
      return;
    }
    invariant(log.commit >= from, "bulk catch-up streams committed frames");
    peer.toExtend();
    this.#extendTargets.set(replica, log.commit);
    const nextTerm = log.termAt(from);
    invariant(nextTerm !== undefined, () => `no term is known for entry ${from}`);
    outbox.send(replica, { kind: "extend", term, matched: peer.match, nextTerm, upTo: log.commit });
    this.#extend.push({ to: replica, from, upTo: log.commit });
  }

  takeExtend(): Ready<P>["extend"] {
    if (this.#extend.length === 0) return NO_ENTRIES;
    const extend = this.#extend;
    this.#extend = [];
    return extend;
  }

  // Sending

  /** Sends whatever may go now: called once per drain, so that one turn's proposals share messages. */
  flush(): void {
    this.#moveReads();
    for (const [replica, peer] of this.#peers) if (replica !== this.#state.self) this.#sendTo(replica, peer);
    this.#moveTransfer();
  }

  #sendTo(replica: ReplicaId, peer: PeerProgress): void {
    const { log, options } = this.#state;
    if (peer.mode === "probe") {
      if (!peer.asked) this.#probe(replica, peer);
      return;
    }
    if (peer.mode !== "replicate") return;
    if (peer.next < log.inMemoryFrom) {
      this.#startExtend(replica, peer);
      return;
    }
    while (peer.next <= log.lastIndex && !peer.window.full) {
      const first = peer.next;
      const last = log.fit(first, log.lastIndex, options.appendBytesMax);
      this.#append(replica, peer, first, last);
      peer.sent(last, log.bytesBetween(first, last));
    }
    if (options.eagerCommit === true && peer.toldCommit < log.commit && peer.match === log.lastIndex) this.#ask(replica, peer);
  }

  #probe(replica: ReplicaId, peer: PeerProgress): void {
    const { log, options } = this.#state;
    peer.asked = true;
    if (peer.again || peer.next > log.lastIndex || peer.next < log.inMemoryFrom) this.#ask(replica, peer);
    else this.#append(replica, peer, peer.next, log.fit(peer.next, log.lastIndex, options.appendBytesMax));
  }

  /** An append without entries: does your log match mine up to here? */
  #ask(replica: ReplicaId, peer: PeerProgress): void {
    const message = this.#appendMessage(peer);
    this.#state.outbox.send(replica, message);
  }

  #append(replica: ReplicaId, peer: PeerProgress, first: LogIndex, last: LogIndex): void {
    this.#state.outbox.sendRange(replica, this.#appendMessage(peer), first, last);
  }

  #appendMessage(peer: PeerProgress): Message<P> {
    const { log, term } = this.#state;
    const prevIndex = (peer.next - 1) as LogIndex;
    const prevTerm = log.termAt(prevIndex);
    invariant(prevTerm !== undefined, () => `no term is known for entry ${prevIndex}`);
    peer.toldCommit = log.commit;
    return {
      kind: "append",
      term,
      prevIndex,
      prevTerm,
      commit: log.commit,
      entries: NO_ENTRIES,
    };
  }

  // Transfer

  #moveTransfer(): void {
    const transfer = this.transfer;
    if (transfer === undefined || transfer.told) return;
    const { log, outbox, term } = this.#state;
    if (this.#peer(transfer.to).match < log.lastIndex) return;
    transfer.told = true;
    outbox.send(transfer.to, { kind: "timeoutNow", term });
  }

  // State

  progress(replica: ReplicaId): PeerProgress | undefined {
    const peer = this.#peers.get(replica);
    if (peer !== undefined && replica === this.#state.self) {
      peer.mode = "replicate";
      peer.advance(this.#state.log.durable);
      peer.heardAt = this.#state.now;
    }
    return peer;
  }

  end(): void {
    this.#reads.refuseAll((context) => this.#state.reads.push({ context, index: undefined }));
  }

  #peer(replica: ReplicaId): PeerProgress {
    const peer = this.#peers.get(replica);
    invariant(peer !== undefined, () => `no progress is kept of replica ${replica}`);
    return peer;
  }
}
