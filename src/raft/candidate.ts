import type { ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { membersOf, type VoteResult, voteResult } from "./quorum.ts";
import type { ReplicaState } from "./replica-state.ts";

/**
 * One attempt to be elected. Before a real one, which raises the term, a *pre-vote* asks whether it would succeed (Raft
 * dissertation §9.6): a replica that cannot win never disturbs those that work.
 */
export class Candidate<P> {
  readonly kind: "preCandidate" | "candidate";
  readonly #state: ReplicaState<P>;
  readonly #attempt: number;
  readonly #votes = new Map<ReplicaId, boolean>();

  constructor(kind: "preCandidate" | "candidate", state: ReplicaState<P>, transfer: boolean, now: number) {
    this.kind = kind;
    this.#state = state;
    invariant(state.electable, "only a voter in good standing may ask for votes");
    state.attemptNumber += 1;
    this.#attempt = state.attemptNumber;
    if (kind === "candidate") {
      state.setTerm((state.term + 1) as Term);
      state.voteFor(state.self);
      state.electionAt = now + state.timeouts.election(state.attempts);
    } else {
      this.#votes.set(state.self, true);
      state.electionAt = now + state.timeouts.retry();
    }
    state.attempts += 1;
    this.#ask(transfer);
  }

  /** Vote requests leave only once the new term and the own vote are durable (scenario 6); pre-votes raise nothing. */
  #ask(transfer: boolean): void {
    const state = this.#state;
    const { lastIndex, lastTerm } = state.log;
    const real = this.kind === "candidate";
    const term = (real ? state.term : state.term + 1) as Term;
    for (const voter of membersOf({ ...state.configuration, learners: [] })) {
      if (voter === state.self) continue;
      state.sendWhenStateDurable(voter, {
        kind: real ? "vote" : "preVote",
        term,
        lastIndex,
        lastTerm,
        transfer,
        attempt: this.#attempt,
      });
    }
  }

  /** A voter that is known to be gone will not answer, so nobody waits for it. */
  get result(): VoteResult {
    return voteResult(this.#state.configuration, this.#votes, this.#state.gone);
  }

  /** Lost whoever else may answer. */
  get refused(): boolean {
    return voteResult(this.#state.configuration, this.#votes) === "lost";
  }

  /** The own vote counts once it is durable: in a group of one it decides alone (scenario 23). */
  countOwnVote(): void {
    const writes = this.#state.log.writes;
    if (this.kind !== "candidate" || !this.#state.termDurable) return;
    invariant(writes.durableVote === this.#state.self, "a candidate's durable vote in its term is its own");
    this.#votes.set(this.#state.self, true);
  }

  onReply(from: ReplicaId, granted: boolean, attempt: number): void {
    // Late answers to an earlier attempt do not count (scenario 12); the first answer of a replica stands.
    if (attempt !== this.#attempt || this.#votes.has(from)) return;
    this.#votes.set(from, granted);
  }
}
