import type { ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { Candidate } from "./candidate.ts";
import { Follower } from "./follower.ts";
import { Leader } from "./leader.ts";
import { isVoter } from "./quorum.ts";
import type { ReplicaState } from "./replica-state.ts";

export type Role<P> = Follower<P> | Candidate<P> | Leader<P>;

/** The role a replica plays, and how it passes from one to the next. */
export class Roles<P> {
  readonly #state: ReplicaState<P>;
  #role: Role<P>;

  constructor(state: ReplicaState<P>) {
    this.#state = state;
    this.#role = new Follower(state);
  }

  get current(): Role<P> {
    return this.#role;
  }
  get leader(): Leader<P> | undefined {
    return this.#role.kind === "leader" ? this.#role : undefined;
  }

  /** A leader of the present term spoke: whatever this replica was, it follows now (scenario 11). */
  followerOf(leader: ReplicaId, now: number): Follower<P> {
    const state = this.#state;
    invariant(this.#role.kind !== "leader", () => `replicas ${state.self} and ${leader} both lead term ${state.term}`);
    if (this.#role.kind !== "follower") this.follow(state.term, leader, now);
    state.heardLeader(leader, now);
    state.transfers.ledBy(leader);
    return this.#role as Follower<P>;
  }

  follow(term: Term, leader: ReplicaId | undefined, now: number): void {
    const state = this.#state;
    state.stopResting();
    this.leader?.end();
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

  campaign(kind: "preCandidate" | "candidate", transfer: boolean, now: number): void {
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
    state.stopResting();
    // Whoever led, this replica has given up on it.
    state.setLeader(undefined);
    const candidate = new Candidate<P>(kind, state, transfer, now);
    this.#role = candidate;
    this.decideElection(candidate, now);
  }

  /**
   * Two that ask at the same time would both win the pre-vote and then split the vote, which costs a whole election timeout. Of
   * those who could vote for one another the first in order goes on, the other stands back for as long as an attempt takes.
   */
  yieldTo(rival: ReplicaId, now: number): void {
    const state = this.#state;
    const { configuration } = state;
    const { voters } = configuration;
    if (!isVoter(configuration, rival) || voters.indexOf(rival) > voters.indexOf(state.self)) return;
    this.follow(state.term, undefined, now);
    state.electionAt = now + state.timeouts.retry();
  }

  decideElection(candidate: Candidate<P>, now: number): void {
    const state = this.#state;
    const result = candidate.result;
    if (result === "open") return;
    if (result === "lost") {
      this.follow(state.term, undefined, now);
      state.resetElection(now);
      // Nobody else is about to win: a candidate had won the pre-vote, so its log is as good as any and the vote was split; and those
      // that nobody waits for may come back.
      if (candidate.kind === "candidate" || !candidate.refused) state.electionAt = now + state.timeouts.retry();
    } else if (candidate.kind === "preCandidate") {
      this.campaign("candidate", false, now);
    } else {
      state.setLeader(state.self);
      state.attempts = 0;
      state.electionAt = Number.POSITIVE_INFINITY;
      // A transfer this replica began in an earlier term has come back to it.
      state.transfers.ledBy(state.self);
      this.#role = new Leader(state, now);
    }
  }
}
