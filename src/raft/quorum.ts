import type { ReplicaId } from "../base/ids.ts";
import type { Configuration } from "./types.ts";

/** Replicas that must agree: more than half. */
export function majorityOf(count: number): number {
  return (count >>> 1) + 1;
}

/**
 * The greatest number that a quorum has reached: for match indexes the commit index, for times of last contact the moment since
 * which a quorum is silent. While joint, both majorities count (Raft §6), so it is the lesser of the two.
 *
 * Replica sets are tiny (3, 5, 7): counting is quicker than sorting and allocates nothing.
 */
export function quorumValue(configuration: Configuration, reach: (replica: ReplicaId) => number): number {
  const value = majorityValue(configuration.voters, reach);
  return configuration.old === undefined ? value : Math.min(value, majorityValue(configuration.old, reach));
}

function majorityValue(voters: readonly ReplicaId[], reach: (replica: ReplicaId) => number): number {
  const needed = majorityOf(voters.length);
  let best = Number.NEGATIVE_INFINITY;
  for (const candidate of voters) {
    const value = reach(candidate);
    if (value <= best) continue;
    let reached = 0;
    for (const voter of voters) if (reach(voter) >= value) reached += 1;
    if (reached >= needed) best = value;
  }
  return best;
}

const NOBODY: ReadonlySet<ReplicaId> = new Set();

export type VoteResult = "won" | "lost" | "open";

/**
 * @param votes answers so far; of replicas that do not vote they are not counted (scenario 13)
 * @param gone replicas that will not answer, if they have not
 */
export function voteResult(
  configuration: Configuration,
  votes: ReadonlyMap<ReplicaId, boolean>,
  gone: ReadonlySet<ReplicaId> = NOBODY,
): VoteResult {
  const result = majorityResult(configuration.voters, votes, gone);
  if (configuration.old === undefined) return result;
  const old = majorityResult(configuration.old, votes, gone);
  if (result === "lost" || old === "lost") return "lost";
  return result === "won" && old === "won" ? "won" : "open";
}

function majorityResult(voters: readonly ReplicaId[], votes: ReadonlyMap<ReplicaId, boolean>, gone: ReadonlySet<ReplicaId>): VoteResult {
  const needed = majorityOf(voters.length);
  let granted = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) open += gone.has(voter) ? 0 : 1;
    else if (vote) granted += 1;
  }
  if (granted >= needed) return "won";
  return granted + open < needed ? "lost" : "open";
}

export function isVoter(configuration: Configuration, replica: ReplicaId): boolean {
  return configuration.voters.includes(replica) || configuration.old?.includes(replica) === true;
}

/** Whoever votes, in either set, each once. */
export function votersOf({ voters, old }: Configuration): readonly ReplicaId[] {
  return old === undefined ? voters : [...new Set([...voters, ...old])];
}

/** Every replica a leader talks to, each once. */
export function membersOf(configuration: Configuration): ReplicaId[] {
  return [...new Set([...configuration.voters, ...(configuration.old ?? []), ...configuration.learners])];
}
