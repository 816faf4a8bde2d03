import type { PlacedMember, Standing, Survey } from "./recovery-plan.ts";
import { endsAfter } from "./recovery-rank.ts";

/**
 * No reachable replica could ever win an election: by nobody's configuration is a quorum alive, in good standing, and no further than who
 * asks. A leader that is heard of, or a member that merely cannot be reached from here but from somebody else, is a majority that may live.
 *
 * @param standings whose configuration counts, placed by the metadata or not
 * @param all also of replicas that vote, and whose configuration is an older one
 */
export function hasLostMajority({ answered, alive, opening }: Survey, standings: readonly Standing[], all: readonly Standing[]): boolean {
  if (standings.some(({ hasLeader }) => hasLeader)) return false;
  return !standings.some((candidate) => {
    const votes = ({ replicaId, brokerId }: PlacedMember): boolean => {
      const standing = all.find((one) => one.replicaId === replicaId);
      if (standing !== undefined) return !standing.quarantined && !endsAfter(standing, candidate);
      // A broker that answered, and did not name it, does not have it, unless it is just opening it.
      return alive.has(brokerId) && (!answered.has(brokerId) || opening(candidate.groupId, brokerId));
    };
    const quorum = (voters: readonly PlacedMember[]): boolean => voters.filter(votes).length * 2 > voters.length;
    return quorum(candidate.voters) && (candidate.oldVoters.length === 0 || quorum(candidate.oldVoters));
  });
}
