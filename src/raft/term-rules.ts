import type { LogIndex, ReplicaId } from "../base/ids.ts";
import { unreachable } from "../base/invariant.ts";
import type { ReplicaState } from "./replica-state.ts";
import type { Message } from "./types.ts";
import { answerVoteRequest, ignoresVoteRequest } from "./votes.ts";

/** Messages that belong to a term; the two others ask and tell what it is. */
export type TermMessage<P> = Exclude<Message<P>, { readonly kind: "askTerm" | "tellTerm" }>;

/**
 * What a message of a later term does before anything else (Raft §5.1, with the exceptions of pre-votes and of replicas that hear a
 * leader): it is passed over, it is looked at without taking its term, its term is taken, or its sender leads that term.
 */
export type LaterTerm = "ignore" | "look" | "take" | "follow";

export function ruleOfLaterTerm<P>(state: ReplicaState<P>, message: TermMessage<P>, now: number): LaterTerm {
  switch (message.kind) {
    case "preVote":
      // Asks about a term that does not exist yet: nobody takes it.
      return ignoresVoteRequest(state, message, now) ? "ignore" : "look";
    case "wake":
      // Of a rest this replica knows nothing of.
      return "ignore";
    case "preVoteReply":
      // Granted in the term that was asked about; a refusal tells the other's own (scenario 8).
      return message.granted ? "look" : "take";
    case "vote":
      return ignoresVoteRequest(state, message, now) ? "ignore" : "take";
    case "append":
    case "heartbeat":
    case "extend":
    case "timeoutNow":
      return "follow";
    case "voteReply":
    case "appendReply":
    case "heartbeatReply":
      return "take";
    default:
      return unreachable(message);
  }
}

/** Tells those behind the present term, so that a leader nobody follows any more, or a candidate, catches up (scenarios 8, 24). */
export function answerOlderTerm<P>(state: ReplicaState<P>, from: ReplicaId, message: TermMessage<P>, now: number): void {
  const { term } = state;
  const durable = 0 as LogIndex;
  switch (message.kind) {
    case "vote":
    case "preVote":
      if (!ignoresVoteRequest(state, message, now)) answerVoteRequest(state, from, message, now);
      return;
    case "append":
    case "extend":
      state.sendWhenStateDurable(from, { kind: "appendReply", term, durable });
      return;
    case "heartbeat":
      state.sendWhenStateDurable(from, { kind: "heartbeatReply", term, round: 0, durable });
      return;
    case "heartbeatReply":
      declineRest(state, from, message);
      return;
    default:
      return;
  }
}

/**
 * A follower rests from when it says so, its leader from when it hears so. Who led when it offered rest and leads no more when that is
 * taken says that it is over, in the term that it was taken in: else the follower would believe for ever in a leader that nobody is (ADR 0016).
 */
export function declineRest<P>(
  state: ReplicaState<P>,
  from: ReplicaId,
  { term, resting }: Extract<Message<P>, { readonly kind: "heartbeatReply" }>,
): void {
  if (resting === true) state.outbox.send(from, { kind: "wake", term });
}
