import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { InflightWindow, PeerProgress } from "./progress.ts";
import { isVoter, membersOf } from "./quorum.ts";
import type { ReplicaState } from "./replica-state.ts";
import type { Message, Ready } from "./types.ts";

export type AppendReply = Extract<Message<never>, { readonly kind: "appendReply" }>;
export type HeartbeatReply = Extract<Message<never>, { readonly kind: "heartbeatReply" }>;

const NOTHING: readonly never[] = [];

/** A leader's followers and learners: what each has, what is on its way to it, and what it needs next. */
export class Replication<P> {
  readonly peers = new Map<ReplicaId, PeerProgress>();
  readonly #state: ReplicaState<P>;
  #extend: Ready<P>["extend"][number][] = [];
  #reset: Ready<P>["reset"][number][] = [];

  /** Made when the leader is, before its no-op: every peer is asked about the end of the log as it was elected. */
  constructor(state: ReplicaState<P>, now: number) {
    this.#state = state;
    this.reconfigure(now);
  }

  /** The configuration changed: whoever is new is asked about the end of the log, whoever is no member any more gets nothing. */
  reconfigure(now: number): void {
    const { configuration, options, log, gone } = this.#state;
    const members = membersOf(configuration);
    for (const replica of this.peers.keys()) if (!members.includes(replica)) this.peers.delete(replica);
    for (const replica of members) {
      const learner = !isVoter(configuration, replica);
      const known = this.peers.get(replica);
      if (known !== undefined) known.learner = learner;
      else {
        const window = new InflightWindow(options.inflightMessagesMax, options.inflightBytesMax);
        // Nothing is known of those a leader begins with but that a quorum just voted: each is given one timeout to answer.
        this.peers.set(replica, new PeerProgress(log.lastIndex + 1, learner, now, gone.has(replica), window));
      }
    }
  }

  peer(replica: ReplicaId): PeerProgress {
    const peer = this.peers.get(replica);
    invariant(peer !== undefined, () => `no progress is kept of replica ${replica}`);
    return peer;
  }

  // Answers

  onAppendReply(from: ReplicaId, peer: PeerProgress, reply: AppendReply): void {
    if (peer.suspected !== undefined) return;
    this.#heardOf(peer, reply.impaired);
    const moved = this.#told(peer, reply.durable);
    this.#spareReset(peer);
    if (reply.refused !== undefined) this.#onRefusal(from, peer, reply.refused);
    else if (peer.mode === "probe" && reply.durable >= peer.match) this.#onMatch(peer, moved);
    else if (peer.mode === "extend" && peer.match >= peer.extendUpTo) peer.toReplicate();
  }

  /**
   * The question was answered: the logs match there. If it carried entries and none was taken, the follower has no room for them, or bulk
   * frames are being written there: the whole window sent at once would be refused at once, and so on, as fast as messages go.
   */
  #onMatch(peer: PeerProgress, moved: boolean): void {
    if (!moved && peer.asked && peer.carries && peer.match === peer.next - 1) peer.withheld = true;
    else peer.toReplicate();
  }

  #told(peer: PeerProgress, durable: LogIndex): boolean {
    const moved = this.advance(peer, durable);
    peer.told = Math.max(peer.told, durable);
    return moved;
  }

  /**
   * It denies what it acknowledged in this term, on a connection that keeps the order: its disk forgot, and it does not know (scenario 70).
   * From now on it counts for nothing. It is reminded with each heartbeat, and sent nothing else: once it has caught up again nobody could
   * tell any more. A replica that forgot quarantines itself and says so; one that has what it is reminded of was suspected for a message
   * that came late.
   */
  #suspect(peer: PeerProgress): void {
    const { log } = this.#state;
    const index = peer.told as LogIndex;
    const proved = log.unprovedAt(index) === undefined ? log.termAt(index) : undefined;
    peer.suspected = { index, term: proved ?? (0 as Term) };
    peer.suspectedAt = peer.heardAt;
    peer.remindedIn = undefined;
    peer.forgot(log.lastIndex + 1);
  }

  /**
   * A suspected replica answered the heartbeat of this round. That clears it if it looked. A broker that passes over what it is reminded of
   * echoes the round as well, whatever it has: it stays out until the next term.
   */
  #onReminded(peer: PeerProgress, { round, reminded, impaired }: HeartbeatReply): void {
    if (peer.remindedIn === undefined || round < peer.remindedIn) return;
    if (reminded !== true && impaired !== "quarantined") return;
    peer.suspected = undefined;
    peer.impaired = impaired;
    peer.toProbe(this.#state.log.lastIndex + 1);
  }

  /** A replica in quarantine lost some of what it had: nothing it said before holds. */
  #heardOf(peer: PeerProgress, impaired: PeerProgress["impaired"]): void {
    const forgot = impaired === "quarantined" && peer.counts;
    peer.impaired = impaired;
    if (forgot) peer.forgot(this.#state.log.lastIndex + 1);
  }

  #onRefusal(from: ReplicaId, peer: PeerProgress, refused: NonNullable<AppendReply["refused"]>): void {
    const { log } = this.#state;
    if (peer.mode === "extend") {
      if (refused.prevIndex !== peer.extendAfter) return;
      // Its log goes on like ours: look for where they part from its end down.
      peer.toProbe(Math.max(peer.match, log.lastAtMost(refused.hintIndex, refused.hintTerm)) + 1);
      return;
    }
    if (refused.prevIndex <= peer.match) {
      // What it said itself it has no more, or another entry stands there. Anything else is an answer to something older.
      if (refused.prevIndex > peer.told || !this.#denies(refused)) return;
      if (peer.counts) this.#suspect(peer);
      else peer.forgot(log.lastIndex + 1);
      return;
    }
    if (peer.mode === "replicate") {
      // An append got lost. All above match is open again.
      this.toProbe(peer);
      return;
    }
    if (peer.mode !== "probe" || refused.prevIndex !== peer.next - 1) return;
    // The last place where a term of theirs may meet ours; skips a whole run of our terms (scenario 41).
    peer.backTo(refused.prevIndex, log.lastAtMost(refused.hintIndex, refused.hintTerm));
    if (peer.next <= log.startIndex) this.#startReset(from, peer);
  }

  /** Its log ends before the place it was asked about, or differs there. (One that refuses bulk frames points behind that place.) */
  #denies({ prevIndex, hintIndex, hintTerm }: NonNullable<AppendReply["refused"]>): boolean {
    const { log } = this.#state;
    if (hintIndex !== prevIndex) return hintIndex < prevIndex;
    return hintIndex > 0 && log.unprovedAt(prevIndex) === undefined && log.termAt(prevIndex) !== hintTerm;
  }

  /** A heartbeat reply carries the durable index, so a lost acknowledgement is made up for (scenario 37). */
  onHeartbeatReply(from: ReplicaId, peer: PeerProgress, reply: HeartbeatReply): void {
    if (peer.suspected !== undefined) {
      this.#onReminded(peer, reply);
      return;
    }
    this.#heardOf(peer, reply.impaired);
    const moved = this.#told(peer, reply.durable);
    this.#spareReset(peer);
    if (peer.mode === "probe") {
      if (moved) {
        peer.toReplicate();
      } else if (peer.asked) {
        // The question or its answer may be lost: ask again.
        peer.asked = false;
        peer.again = !peer.withheld;
        peer.withheld = false;
      }
    } else if (peer.mode === "replicate" && peer.match < peer.next - 1) {
      // In flight and not moving: if an append was lost, this question is refused and probing starts; if the disk there is
      // slow, it changes nothing. An append that was lost with nothing behind it is found in no other way.
      if (peer.matchAtBeat === peer.match) this.#ask(from, peer);
      peer.matchAtBeat = peer.match;
    }
  }

  advance(peer: PeerProgress, durable: number): boolean {
    const { lastIndex } = this.#state.log;
    invariant(durable <= lastIndex, () => `a follower reports ${durable} durable, the leader's log ends at ${lastIndex}`);
    return peer.advance(durable);
  }

  /**
   * Asks again where the logs part. With the next frames in memory an append compares as it goes; without them the question must
   * find the very place, and backtracking does so when it starts at the end: no step passes over the last equal entry.
   */
  toProbe(peer: PeerProgress): void {
    const { log } = this.#state;
    const next = peer.match + 1;
    peer.toProbe(next < log.inMemoryFrom ? log.lastIndex + 1 : next);
  }

  hold(replica: ReplicaId, held: boolean): void {
    const peer = this.peers.get(replica);
    if (peer === undefined) return;
    // What was asked before the hold says nothing of what is taken now.
    if (peer.held && !held && peer.withheld) {
      peer.asked = false;
      peer.withheld = false;
    }
    peer.held = held;
  }

  // Bulk catch-up

  extended(replica: ReplicaId, match: LogIndex | undefined): void {
    const peer = this.peers.get(replica);
    if (peer === undefined || peer.mode !== "extend") return;
    if (match === undefined) {
      this.toProbe(peer);
      return;
    }
    this.advance(peer, match);
    peer.toReplicate();
  }

  #startExtend(replica: ReplicaId, peer: PeerProgress): void {
    const { log, outbox, term } = this.#state;
    const from = (peer.match + 1) as LogIndex;
    if (from <= log.startIndex) {
      this.#startReset(replica, peer);
      return;
    }
    // The follower cuts its log at an entry that is not of this term. It has to wait for ours to be whole.
    if (log.holeAt(from) !== undefined) return;
    invariant(log.commit >= from, "bulk catch-up streams committed frames");
    const nextTerm = log.termAt(from);
    invariant(nextTerm !== undefined, () => `no term is known for entry ${from}`);
    peer.toExtend(log.commit);
    outbox.send(replica, { kind: "extend", term, matched: peer.match, nextTerm, upTo: log.commit });
    this.#extend.push({ to: replica, from, upTo: log.commit });
  }

  #startReset(replica: ReplicaId, peer: PeerProgress): void {
    const { startIndex: index, startTerm: term } = this.#state.log;
    peer.toReset();
    this.#reset.push({ to: replica, start: { index, term } });
  }

  /** An answer that was on its way when the reset began shows that this log can go on. */
  #spareReset(peer: PeerProgress): void {
    if (peer.mode === "reset" && peer.match >= this.#state.log.startIndex) this.toProbe(peer);
  }

  resetDone(replica: ReplicaId, start: { readonly index: LogIndex } | undefined): void {
    const peer = this.peers.get(replica);
    if (peer === undefined || peer.mode !== "reset") return;
    // What lies at or below a start point is committed, so it is equal.
    if (start !== undefined) this.advance(peer, start.index);
    peer.toProbe(this.#state.log.lastIndex + 1);
    // After a failure it is asked again only once it answers a heartbeat: a follower that cannot be reset is not asked all the time.
    peer.asked = start === undefined;
  }

  /** The log begins later than before: a question below its start cannot be asked any more, the one at its start can. */
  trimmed(): void {
    const { startIndex } = this.#state.log;
    for (const peer of this.peers.values()) {
      if (peer.mode === "probe" && peer.next <= startIndex) peer.toProbe(Math.max(peer.match, startIndex) + 1);
    }
  }

  takeReset(): Ready<P>["reset"] {
    if (this.#reset.length === 0) return NOTHING;
    const reset = this.#reset;
    this.#reset = [];
    return reset;
  }

  takeExtend(): Ready<P>["extend"] {
    if (this.#extend.length === 0) return NOTHING;
    const extend = this.#extend;
    this.#extend = [];
    return extend;
  }

  // Sending

  /** Sends whatever may go now. */
  flush(): void {
    for (const [replica, peer] of this.peers) if (replica !== this.#state.self) this.#sendTo(replica, peer);
  }

  #sendTo(replica: ReplicaId, peer: PeerProgress): void {
    const { log, options } = this.#state;
    if (peer.suspected !== undefined) return;
    if (peer.mode === "probe") {
      if (!peer.asked) this.#probe(replica, peer);
      return;
    }
    if (peer.mode !== "replicate" || peer.held) return;
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
    const hole = log.unprovedAt(peer.next - 1);
    // Where nothing proves what stands here, below it: further down is never wrong. What matches is equal whatever is said of its term; it is
    // asked about when something can follow, for a hole may stay.
    if (hole !== undefined && hole <= peer.match && log.holeAt(peer.match + 1) !== undefined) return;
    if (hole !== undefined && peer.next - 1 > peer.match) peer.backTo(peer.next - 1, Math.max(peer.match, hole - 1));
    peer.asked = true;
    peer.carries = !(peer.again || peer.held || peer.next > log.lastIndex || peer.next < log.inMemoryFrom);
    if (!peer.carries) this.#ask(replica, peer);
    else this.#append(replica, peer, peer.next, log.fit(peer.next, log.lastIndex, options.appendBytesMax));
  }

  /** An append without entries: does your log match mine up to here? */
  #ask(replica: ReplicaId, peer: PeerProgress): void {
    this.#state.outbox.send(replica, this.#appendMessage(peer));
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
    return { kind: "append", term, prevIndex, prevTerm, commit: log.commit, entries: NOTHING };
  }
}
