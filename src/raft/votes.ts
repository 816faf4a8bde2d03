import type { ReplicaId, Term } from "../base/ids.ts";
import type { ReplicaState } from "./replica-state.ts";
import type { Message } from "./types.ts";

export type VoteRequest = Extract<Message<never>, { readonly kind: "vote" | "preVote" }>;

/**
 * A request for a vote is passed over without an answer, and without taking its term, while a leader is alive: a replica that
 * was cut off cannot depose a leader everybody else hears. A transfer is the leader's own wish, so it passes.
 */
export function ignoresVoteRequest<P>(state: ReplicaState<P>, request: VoteRequest, now: number): boolean {
  if (state.quarantined) return true;
  return !request.transfer && state.leaderAlive(now);
}

/**
 * Answers a vote or pre-vote of the present term, or of an earlier one (refused), or a pre-vote of a later one.
 *
 * @returns whether it was granted
 */
export function answerVoteRequest<P>(state: ReplicaState<P>, from: ReplicaId, request: VoteRequest, now: number): boolean {
  const preVote = request.kind === "preVote";
  const mayVote = state.votedFor === from || (state.votedFor === undefined && state.leader === undefined);
  const termAllows = preVote
    ? request.term > state.term || (request.term === state.term && mayVote)
    : request.term === state.term && mayVote;
  const granted = termAllows && isUpToDate(state, request);
  if (granted && !preVote) {
    state.voteFor(from);
    // Only a granted vote restarts the clock: refused ones must not keep a better candidate from asking (scenario 9).
    state.resetElection(now);
  }
  // A granted pre-vote answers in the term asked for; a refusal tells the present one, so that a candidate behind catches up.
  const term: Term = granted ? request.term : state.term;
  // Only after fsync: a vote that a crash can forget may be given twice in one term (Raft §5.2, scenario 5).
  state.sendWhenStateDurable(from, {
    kind: preVote ? "preVoteReply" : "voteReply",
    term,
    granted,
    attempt: request.attempt,
  });
  return granted;
}

/** Raft §5.4.1: the later last term wins, then the longer log. */
function isUpToDate<P>(state: ReplicaState<P>, request: VoteRequest): boolean {
  const lastTerm = state.log.lastTerm;
  return request.lastTerm > lastTerm || (request.lastTerm === lastTerm && request.lastIndex >= state.log.lastIndex);
}
