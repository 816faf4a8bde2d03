import type { LogIndex, ReplicaId } from "../base/ids.ts";
import { membersOf } from "./quorum.ts";
import type { ReplicaState } from "./replica-state.ts";

/**
 * The way out of quarantine (design §4, *Damage*; scenario 16). A replica whose disk forgot may have voted for a candidate nobody
 * knows it voted for, and may have acknowledged entries that were committed because of it. So:
 *
 * 1. *Votes.* Every other member tells its durable term, asked after the restart. Whoever got a forgotten vote made its own term durable
 *    before it asked, so the highest term told is at least that of every forgotten vote. This replica takes it, and gives no vote in any
 *    term up to the one in which its quarantine ends.
 * 2. *Entries.* A leader of that or a later term has committed an entry of its own term (only then is its commit index at least that
 *    of every leader before it, Raft §5.4.2), and this replica has everything up to there durable: nothing forgotten is missing any more.
 *
 * In the term in which it ends, the vote goes to the leader of that term, and is durable before anything is acknowledged: after a
 * restart, in good standing, it could otherwise give its vote in that term a second time.
 *
 * Asked are all members of the configuration in force when the second condition holds: one that was forgotten is back by then, also the one in
 * which a candidate that votes only by a change this replica has not got is a learner. While the configuration is not known to be committed,
 * those of the one it replaced are asked as well: whoever is left out may have the forgotten vote, and be elected by those that have not got
 * it. Once it is committed, a majority without this replica has it, and elects nobody who has not.
 */
export class Quarantine<P> {
  readonly #state: ReplicaState<P>;
  /** Of this quarantine: answers to an earlier process of this replica do not count. */
  readonly #session: number;
  readonly #told = new Set<ReplicaId>();
  #askAt: number;

  constructor(state: ReplicaState<P>, now: number) {
    this.#state = state;
    this.#session = Math.floor(state.options.draw() * 2 ** 52);
    this.#askAt = now;
  }

  /** When it asks (again). */
  get deadline(): number {
    return this.#silent.length === 0 ? Number.POSITIVE_INFINITY : this.#askAt;
  }

  tick(now: number): void {
    if (now < this.#askAt) return;
    this.#askAt = now + this.#state.options.electionMinMs;
    for (const member of this.#silent)
      this.#state.outbox.send(member, { kind: "askTerm", term: this.#state.log.writes.durableTerm, session: this.#session });
  }

  /** A member told its durable term; the caller has taken it. */
  told(by: ReplicaId, session: number): void {
    if (session === this.#session) this.#told.add(by);
  }

  /** One that could not be asked is there. */
  peerBack(now: number): void {
    this.#askAt = Math.min(this.#askAt, now);
  }

  /**
   * @param durable equal to the leader's log up to here, and on disk
   * @param leaderCommit as the leader of the present term says
   */
  isOver(durable: LogIndex, leaderCommit: LogIndex): boolean {
    const { log, term } = this.#state;
    return durable >= leaderCommit && log.termAt(leaderCommit) === term && this.#silent.length === 0;
  }

  get #silent(): ReplicaId[] {
    const { log, self } = this.#state;
    const { current, replaced } = log.configurations;
    const members = new Set([...membersOf(current), ...(replaced === undefined ? [] : membersOf(replaced))]);
    return [...members].filter((member) => member !== self && !this.#told.has(member));
  }
}
