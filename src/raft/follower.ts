import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { ReplicaState } from "./replica-state.ts";
import type { Entry, Impairment, Message } from "./types.ts";

type Append<P> = Extract<Message<P>, { readonly kind: "append" }>;
type Heartbeat = Extract<Message<never>, { readonly kind: "heartbeat" }>;
type Extend = Extract<Message<never>, { readonly kind: "extend" }>;

const NONE: readonly never[] = [];

/** Takes a leader's log. One object per stay in the role: what it knows to match belongs to one leader and term. */
export class Follower<P> {
  readonly kind = "follower";
  readonly #state: ReplicaState<P>;
  /** Last index known equal to the leader's log in this term. */
  #matched = 0;
  /** Highest durable index told to the leader in this term. */
  #reported = 0;
  /** While in quarantine: the highest commit index this leader told. An older message, overtaken by the append that matched, must not count. */
  #leaderCommit = 0 as LogIndex;
  #extending: { readonly after: LogIndex; readonly upTo: LogIndex } | undefined;

  constructor(state: ReplicaState<P>) {
    this.#state = state;
  }

  get extending(): { readonly after: LogIndex; readonly upTo: LogIndex } | undefined {
    return this.#extending;
  }

  /** What may be acknowledged: equal to the leader's log, and on disk (scenario 29). */
  get #acknowledgeable(): LogIndex {
    return Math.min(this.#state.log.durable, this.#matched) as LogIndex;
  }

  onAppend(from: ReplicaId, append: Append<P>): void {
    const { log } = this.#state;
    const { prevIndex, prevTerm } = append;
    invariant((append.entries[0]?.index ?? prevIndex + 1) === prevIndex + 1, "entries of an append follow its previous index");
    if (prevIndex >= log.commit && log.termAt(prevIndex) !== prevTerm) {
      this.#refuse(from, prevIndex, prevTerm, prevIndex);
      return;
    }
    // While a piece of bulk frames is being written no entries are taken: both would write the same indexes. The question itself is
    // answered. Between pieces entries mean that the leader has given up on the stream: appends go on.
    const entries = this.#state.takingBulk ? NONE : append.entries;
    if (entries.length > 0) this.#extending = undefined;
    const before = log.lastIndex;
    this.#take(entries);
    if (append.withheld !== undefined && !this.#state.takingBulk) this.#has(append.withheld);
    // Its leader, who sent this, rests no more.
    if (log.lastIndex !== before) this.#state.wake(from, false);
    const last = entries.at(-1)?.index ?? prevIndex;
    // Below commit both logs are equal (Leader Completeness, Raft §5.4.3), whatever part of it is still here.
    this.#matched = Math.max(this.#matched, last, prevIndex < log.commit ? log.commit : 0);
    invariant(this.#matched <= log.lastIndex, "what matches the leader is in the log");
    log.commitTo(Math.min(append.commit, this.#matched));
    this.#maybeEndQuarantine(from, append.commit);
    // Still on its way to disk: the acknowledgement follows when it arrives there.
    if (this.#acknowledgeable >= last) this.#acknowledge(from);
  }

  /** Cuts at the first conflict only (scenario 26), appends what is new, leaves the rest as it is (scenarios 27, 28). */
  #take(entries: readonly Entry<P>[]): void {
    for (const entry of entries) if (!this.#has(entry)) this.#state.log.appendReceived(entry);
  }

  /** Whether this entry of the leader's is here. Another one in its place is cut, with all behind it. */
  #has({ index, term }: { readonly index: LogIndex; readonly term: Term }): boolean {
    const { log } = this.#state;
    if (index > log.lastIndex) return false;
    const ours = log.termAt(index);
    if (ours === undefined || ours === term) return true;
    invariant(index > this.#matched, () => `the leader changed its own entry ${index} from term ${ours} to ${term}`);
    log.truncateFrom(index);
    return false;
  }

  /** @param answers the previous index of the question refused */
  #refuse(from: ReplicaId, lookBelow: number, atMost: number, answers: LogIndex): void {
    const { log, term } = this.#state;
    const hintIndex = log.lastAtMost(lookBelow, atMost);
    const hintTerm = log.termAt(hintIndex);
    invariant(hintTerm !== undefined, () => `no term is known for entry ${hintIndex}`);
    const refused = { prevIndex: answers, hintIndex, hintTerm };
    this.#state.sendWhenStateDurable(from, { kind: "appendReply", term, durable: this.#acknowledgeable, refused, ...this.#standing });
  }

  /** Commit only what this leader's log was seen to match: the rest of ours may be about to be cut (scenario 34). */
  onHeartbeat(from: ReplicaId, heartbeat: Heartbeat): void {
    this.#state.log.commitTo(Math.min(heartbeat.commit, this.#matched));
    this.#recall(heartbeat);
    this.#maybeEndQuarantine(from, heartbeat.commit);
    const rests = heartbeat.rest === true && this.#mayRest(heartbeat);
    if (rests) this.#state.rest(from);
    else this.#state.wake(from, false);
    this.#state.sendWhenStateDurable(from, {
      kind: "heartbeatReply",
      term: this.#state.term,
      round: heartbeat.round,
      durable: this.#acknowledgeable,
      ...(heartbeat.remembered === undefined ? {} : { reminded: true }),
      ...(rests ? { resting: true } : {}),
      ...this.#standing,
    });
  }

  /** Everything of the leader's log is here, durable and committed, and nothing is on its way (ADR 0016). */
  #mayRest({ commit }: Heartbeat): boolean {
    const { log, impaired, takingBulk, options } = this.#state;
    const { writes } = log;
    const whole = log.lastIndex === commit && log.commit === commit && this.#acknowledgeable === commit;
    const still = writes.doneSeq >= writes.stateSeq && !takingBulk && this.#extending === undefined;
    return options.contact !== undefined && whole && still && impaired === undefined;
  }

  /**
   * The leader says what this replica acknowledged in this term. Nothing between takes that away: a later leader would have a later term,
   * and what is committed is never cut. Whoever has not got it lost it, and perhaps a vote too (scenario 70).
   */
  #recall({ remembered }: Heartbeat): void {
    if (remembered === undefined || this.#state.quarantined) return;
    const { log } = this.#state;
    const { index, term } = remembered;
    if (index <= log.commit || (index <= log.durable && (term === 0 || log.termAt(index) === term))) return;
    this.#state.beginQuarantine();
  }

  get #standing(): { readonly impaired?: Impairment } {
    const { impaired } = this.#state;
    return impaired === undefined ? {} : { impaired };
  }

  /** What follows is said in good standing, once the vote that `leave` gives is durable (`Quarantine`). */
  #maybeEndQuarantine(leader: ReplicaId, leaderCommit: LogIndex): void {
    const { quarantine } = this.#state;
    if (quarantine === undefined) return;
    this.#leaderCommit = Math.max(this.#leaderCommit, leaderCommit) as LogIndex;
    if (quarantine.isOver(this.#acknowledgeable, this.#leaderCommit)) this.#state.leaveQuarantine(leader);
  }

  /** Something became durable: tell the leader. */
  onDurable(): void {
    const { leader } = this.#state;
    if (leader === undefined || !this.#state.termDurable) return;
    this.#maybeEndQuarantine(leader, this.#leaderCommit);
    if (this.#acknowledgeable > this.#reported) this.#acknowledge(leader);
  }

  #acknowledge(to: ReplicaId): void {
    const durable = this.#acknowledgeable;
    this.#reported = Math.max(this.#reported, durable);
    this.#state.sendWhenStateDurable(to, {
      kind: "appendReply",
      term: this.#state.term,
      durable,
      ...this.#standing,
    });
  }

  /**
   * The leader will stream `matched + 1`…`upTo` in bulk: make way.
   *
   * The suffix is cut only at a proved conflict. A leader that forgot how far this log matches (a probe answered long ago, a
   * connection that broke) may name too low a place; cutting there would take entries off this disk that are committed because
   * this disk has them, and the next election could lose them.
   */
  onExtend(from: ReplicaId, extend: Extend): void {
    const { log } = this.#state;
    if (this.#state.takingBulk || (this.#extending !== undefined && extend.matched < this.#matched)) return;
    const next = log.termAt(extend.matched + 1);
    if (extend.matched < Math.max(log.commit, this.#matched) || extend.matched > log.lastIndex || next === extend.nextTerm) {
      this.#refuse(from, log.lastIndex, log.lastTerm, extend.matched);
      return;
    }
    this.#matched = extend.matched;
    if (next !== undefined) log.truncateFrom(extend.matched + 1);
    this.#extending = { after: extend.matched, upTo: extend.upTo };
  }

  extendLocally(first: LogIndex): boolean {
    const { log } = this.#state;
    if (this.#extending === undefined || this.#state.takingBulk || first !== log.lastIndex + 1) return false;
    this.#state.takingBulk = true;
    return true;
  }

  /**
   * Frames that came in bulk are durable. They are committed, so every later leader has them too: they are taken whatever term it
   * is by now. The last ones end the catch-up; so does an empty call, which says that the stream broke.
   */
  onExtendedLocally(entries: readonly Omit<Entry<P>, "payload">[]): void {
    const { log, leader } = this.#state;
    this.#state.takingBulk = false;
    for (const entry of entries) log.adopt(entry);
    const last = entries.at(-1)?.index;
    if (last === undefined || last >= (this.#extending?.upTo ?? 0)) this.#extending = undefined;
    this.#matched = Math.max(this.#matched, last ?? 0);
    if (leader !== undefined) this.#acknowledge(leader);
  }
}
