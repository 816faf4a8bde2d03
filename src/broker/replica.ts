import type { GroupId, LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { GroupLog } from "../log/types.ts";
import type {
  ChangeResult,
  EntryRange,
  MembershipChange,
  Message,
  Outgoing,
  ProposeResult,
  RaftCore,
  RaftWrite,
  Ready,
} from "../raft/types.ts";
import { frameBytesOf } from "../records/frame.ts";
import type { Frame, FrameDraft } from "../records/frame-types.ts";
import { framesInMemory, framesOf, learnFrom, readFrames } from "./entry-frames.ts";
import type { Member, Members } from "./members.ts";
import { entryOf } from "./peers/raft-codec.ts";
import type { ReplicaOutputs, ReplicaPayload } from "./replica-outputs.ts";

/** A follower not heard of for so long is not waited for: what it lacks may be trimmed. */
export const FOLLOWER_SILENT_MS = 10_000;

/**
 * The loop that owns one Raft core and its log, and performs the core's outputs in order: write, send, commit, reads, role.
 * Lives as long as the replica is open on this broker. State is only touched from here, synchronously; the completion of a
 * write comes back as an input (`ioDone`).
 */
export class Replica {
  readonly core: RaftCore<ReplicaPayload>;
  readonly log: GroupLog;
  readonly members: Members;
  readonly #clock: Clock;
  readonly #outputs: ReplicaOutputs;
  #startIndex: LogIndex;
  /** First frame that this broker itself needs, whatever is trimmed: a machine's snapshot may be behind. */
  keepAbove: () => LogIndex = () => Number.MAX_SAFE_INTEGER as LogIndex;
  /** The newest snapshot from which a machine's log goes on. */
  snapshotAt: () => LogIndex | undefined = () => undefined;
  /** Up to here frames are lost that no replica has any more: nobody can need them (`obeyTrim`). */
  passedOver = 0 as LogIndex;
  #performing = false;
  #takingBulk = false;
  /** Where followers were told to begin, while they have not answered. */
  readonly #offered = new Map<ReplicaId, LogIndex>();
  #closed = false;
  #turns = 0;

  constructor(core: RaftCore<ReplicaPayload>, log: GroupLog, members: Members, clock: Clock, outputs: ReplicaOutputs) {
    this.core = core;
    this.log = log;
    this.members = members;
    this.#startIndex = log.start.index;
    log.keepFor(() => this.#neededFrom());
    this.#clock = clock;
    this.#outputs = outputs;
  }

  get groupId(): GroupId {
    return this.log.groupId;
  }
  get id(): ReplicaId {
    return this.log.replicaId;
  }
  /** Rises with every input: while it stays, nothing in here has changed. */
  get turns(): number {
    return this.#turns;
  }
  get leads(): boolean {
    return this.core.role === "leader";
  }
  /** Leads, and an entry of its own term is committed: only then does it serve clients. */
  get serves(): boolean {
    const { noopIndex } = this.core;
    return this.core.role === "leader" && noopIndex !== undefined && this.core.commit >= noopIndex;
  }

  /** Begins: performs what recovery left to do and arms the first deadline. */
  start(): void {
    this.#perform();
  }

  /** No input has any effect afterwards. */
  close(): void {
    this.#closed = true;
    this.#turns++;
  }

  tick(): void {
    if (this.#closed) return;
    this.core.tick(this.#clock.monotonic());
    this.#perform();
  }

  receive(from: ReplicaId, message: Message<ReplicaPayload>): void {
    if (this.#closed) return;
    this.core.step(from, message, this.#clock.monotonic());
    this.#perform();
  }

  /** Appends drafts as one unit, all in `expectedTerm`. Their frames are in the log when this returns "accepted". */
  propose(drafts: readonly FrameDraft[], expectedTerm: Term): ProposeResult {
    if (this.#closed) return { kind: "refused", why: "not-leader" };
    invariant(!this.#performing, "propose must not be called while outputs are performed");
    const result = this.core.propose(
      drafts.map((draft) => ({ type: draft.type, bytes: frameBytesOf(draft), payload: draft })),
      expectedTerm,
      this.#clock.monotonic(),
    );
    this.#perform();
    return result;
  }

  readIndex(context: number): void {
    if (this.#closed) {
      this.#outputs.read(context, undefined);
      return;
    }
    this.core.readIndex(context, this.#clock.monotonic());
    this.#perform();
  }

  transfer(to: ReplicaId): { readonly kind: "started" } | { readonly kind: "refused"; readonly why: string } {
    if (this.#closed) return { kind: "refused", why: "the replica is closed" };
    const result = this.core.transfer(to, this.#clock.monotonic());
    this.#perform();
    return result;
  }

  /** Leader: begins a change of members. @param placed brokers of the replicas that are new */
  changeMembership(change: MembershipChange, placed: readonly Member[]): ChangeResult {
    if (this.#closed) return { kind: "refused", why: "not-leader" };
    this.members.learn({ members: placed });
    const result = this.core.changeMembership(change, this.#clock.monotonic());
    this.#perform();
    return result;
  }

  /** Leader: this learner could be made a voter now. */
  caughtUp(learner: ReplicaId): boolean {
    return !this.#closed && this.core.caughtUp(learner, this.#clock.monotonic());
  }

  /**
   * An operator has given up the other replicas: this one alone votes from now on, and hears none of those that are `fenced` (ADR 0014).
   *
   * @returns false: not now, ask again
   */
  recover(recovery: number, fenced: readonly ReplicaId[], after: Term): boolean {
    if (this.#closed || !this.core.recover(after, this.#clock.monotonic())) return false;
    this.members.learn({ members: [], recovery, fenced });
    this.#perform();
    return true;
  }

  /** Asks for votes now, when no leader is known. */
  campaign(): void {
    if (this.#closed) return;
    this.core.campaign(this.#clock.monotonic());
    this.#perform();
  }

  /** These committed frames are missing here, or none are any more: those that rest with it have to know. */
  holed(holes: readonly EntryRange[]): void {
    if (this.#closed || (holes.length === 0 && this.core.holes.length === 0)) return;
    this.core.holes = holes;
    this.#perform();
  }

  /** Somebody remembers more of this disk than it holds: nothing it promised can be relied on. */
  quarantine(): void {
    if (this.#closed) return;
    this.core.quarantine(this.#clock.monotonic());
    this.#perform();
  }

  peerGone(replica: ReplicaId): void {
    if (this.#closed) return;
    this.core.peerGone(replica, this.#clock.monotonic());
    this.#perform();
  }

  peerBack(replica: ReplicaId): void {
    if (this.#closed) return;
    this.core.peerBack(replica, this.#clock.monotonic());
    this.#perform();
  }

  /** The broker of a replica that this one rests with is not heard any more. */
  restEnded(replica: ReplicaId): void {
    if (this.#closed) return;
    this.core.restEnded(replica, this.#clock.monotonic());
    this.#perform();
  }

  /** Leader: nothing is sent to this follower until it is released, because its disk has no room. */
  hold(replica: ReplicaId, held: boolean): void {
    if (this.#closed || this.core.progress(replica)?.held === held) return;
    this.core.hold(replica, held);
    this.#perform();
  }

  /** Leader: bulk catch-up of a follower ended. */
  extended(replica: ReplicaId, match: LogIndex | undefined): void {
    if (this.#closed) return;
    this.core.extended(replica, match, this.#clock.monotonic());
    this.#perform();
  }

  /**
   * Leader: a follower is told to begin where this log begins. Until the answer comes, or its time is over, nothing behind that start
   * is trimmed away: a start that moved meanwhile would need another reset, and so on (scenario 52).
   */
  offering(replica: ReplicaId, start: LogIndex): void {
    this.#offered.set(replica, start);
  }

  /** Leader: a follower's log begins at `start` now; undefined: it does not. */
  resetDone(replica: ReplicaId, start: { readonly index: LogIndex; readonly term: Term } | undefined): void {
    this.#offered.delete(replica);
    if (this.#closed) return;
    this.core.resetDone(replica, start, this.#clock.monotonic());
    this.#perform();
  }

  /** Follower: a piece of bulk frames is being written. */
  get takingBulk(): boolean {
    return this.#takingBulk;
  }

  /**
   * Follower: committed frames from the leader, past the WAL. Resolves when they are durable and counted; false: not agreed to.
   * From the core's yes to its being told, nothing is appended to the log, whatever term and leader do meanwhile.
   */
  async extendLocally(frames: readonly Frame[]): Promise<boolean> {
    const first = frames[0];
    // A late or repeated piece of an older attempt is refused: it was not agreed to, or does not follow the log's end.
    if (this.#closed || first === undefined || !this.core.extendLocally(first.index)) return false;
    invariant(first.index === this.log.lastIndex + 1, "core and log agree about the end of the log");
    this.#takingBulk = true;
    await this.log.extend(frames).finally(() => {
      this.#takingBulk = false;
    });
    if (this.#closed) return false;
    for (const frame of frames) learnFrom(frame, this.members);
    this.core.extendedLocally(frames.map(entryOf), this.#clock.monotonic());
    this.#perform();
    return true;
  }

  /**
   * First index a follower still needs that this leader hears from: its segments stay until it has them. Any other replica may drop
   * what is trimmed, and so may a leader when the one that is behind is silent; that one is reset when it comes back.
   */
  #neededFrom(): LogIndex {
    const here = this.keepAbove();
    const needed = this.leads ? Math.min(here, this.heardMatch(this.#clock.monotonic()) + 1) : here;
    return Math.max(needed, this.passedOver + 1) as LogIndex;
  }

  /** Leader: the lowest match of the members it has heard from within `FOLLOWER_SILENT_MS`; its own durable index when there is none. */
  heardMatch(now: number): LogIndex {
    const { core } = this;
    let lowest = Math.min(core.durable, ...this.#offered.values()) as LogIndex;
    const { voters, old = [], learners } = core.configuration;
    for (const member of new Set([...voters, ...old, ...learners])) {
      const progress = core.progress(member);
      if (progress !== undefined && progress.mode !== "reset" && now - progress.heardAt < FOLLOWER_SILENT_MS)
        lowest = Math.min(lowest, progress.match) as LogIndex;
    }
    return lowest;
  }

  #perform(): void {
    this.#turns++;
    // Outputs may call back in (a wait that is answered proposes the next batch): the outer loop picks their work up.
    if (this.#performing) return;
    this.#performing = true;
    try {
      this.#followStart();
      this.core.forgetBelow(Math.min(this.log.hotFrom, this.core.commit + 1) as LogIndex);
      for (let ready = this.core.drain(); ready !== undefined && !this.#closed; ready = this.core.drain()) this.#performOne(ready);
    } finally {
      this.#performing = false;
    }
    if (this.#closed) return;
    this.#outputs.progressed();
    this.#outputs.wakeAt(this.core.nextDeadline);
  }

  /** Segments were trimmed away since the last turn. */
  #followStart(): void {
    const { index } = this.log.start;
    // A trim among committed frames that are being streamed takes effect before the core hears of those frames: it follows with them.
    if (index <= this.#startIndex || this.#takingBulk) return;
    this.#startIndex = index;
    this.core.trimmed(this.log.start);
  }

  #performOne(ready: Ready<ReplicaPayload>): void {
    if (ready.quarantineBegan) this.log.doubt();
    if (ready.write !== undefined) this.#write(ready.write);
    if (ready.configuration !== undefined) {
      this.members.inForce(ready.configuration);
      this.#outputs.configured();
    }
    for (const outgoing of ready.send) this.#send(outgoing);
    for (const { replica, on } of ready.rest) this.#outputs.rest(replica, on);
    if (ready.committed !== undefined) {
      this.log.commit(ready.committed);
      this.#outputs.committed(ready.committed);
    }
    for (const { context, index } of ready.reads) this.#outputs.read(context, index);
    for (const { to, from, upTo } of ready.extend) this.#outputs.extend(to, from, upTo);
    for (const { to } of ready.reset) this.#outputs.reset(to);
    // Before what it may say now: a crash in between finds it quarantined once more, which is safe.
    if (ready.quarantineEnded) this.log.vouched();
    if (ready.role !== undefined) this.#outputs.roleChanged();
    if (ready.transferEnded !== undefined) this.#outputs.transferEnded(ready.transferEnded.to, ready.transferEnded.done);
  }

  #write(write: RaftWrite<ReplicaPayload>): void {
    const frames = framesOf(write, this.log, this.members, this.#clock.wall());
    if (write.truncateFrom !== undefined) this.#outputs.truncated(write.truncateFrom);
    const { seq } = write;
    this.log.write({ state: write.state, truncateFrom: write.truncateFrom, frames }, () => {
      if (this.#closed) return;
      this.core.ioDone(seq, this.#clock.monotonic());
      this.#perform();
    });
  }

  #send({ to, message, range }: Outgoing<ReplicaPayload>): void {
    const frames = range === undefined ? [] : framesInMemory(this.log, range.first, range.last);
    if (frames !== undefined) this.#outputs.send(to, message, frames);
    else if (range !== undefined) void this.#sendCold(to, message, range.first, range.last);
  }

  /** The message leaves late, if this replica still leads its term: Raft takes late messages, and a lost one is found by the next answer. */
  async #sendCold(to: ReplicaId, message: Message<ReplicaPayload>, first: LogIndex, last: LogIndex): Promise<void> {
    const frames = await readFrames(this.log, first, last);
    if (frames === undefined || this.#closed || this.core.role !== "leader" || this.core.term !== message.term) return;
    this.#outputs.send(to, message, frames);
  }
}
