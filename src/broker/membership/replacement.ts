import type { ReplicaId } from "../../base/ids.ts";
import type { Member } from "../members.ts";
import type { Replica } from "../replica.ts";

/**
 * One step of a leader towards the voters it was told (design §5): the new replica learns, catches up, and votes in a joint
 * configuration, which the core leaves by itself. Every step is read off the configuration in force, so it does not matter who
 * began it, in which term, or how often it is called.
 *
 * @param mayLeave whether everything that counts on the leaving voters has left them behind (the ISR, design §6)
 * @returns true once the voters are the target, and that is committed
 */
export function moveTowards(replica: Replica, target: readonly ReplicaId[], adding: Member, mayLeave: () => boolean): boolean {
  const { core } = replica;
  const { voters, learners } = core.configuration;
  if (changing(replica)) return false;
  if (voters.every((voter) => target.includes(voter)) && voters.length === target.length) return true;
  if (!learners.includes(adding.replicaId)) replica.changeMembership({ voters, learners: [adding.replicaId] }, [adding]);
  else if (replica.caughtUp(adding.replicaId) && mayLeave()) replica.changeMembership({ voters: target, learners: [] }, [adding]);
  return false;
}

/** Voters on their way out: those of the old set only while joint; before that, those that will be left out by the next step. */
export function leavingVoters(replica: Replica, target: readonly ReplicaId[], adding: ReplicaId): readonly ReplicaId[] {
  const { voters, old } = replica.core.configuration;
  if (old !== undefined) return old.filter((voter) => !voters.includes(voter));
  // Until then it may be needed more than the one that comes.
  return replica.caughtUp(adding) ? voters.filter((voter) => !target.includes(voter)) : [];
}

/** Nobody is to be added any more: whoever learned for that is let go of. */
export function dropLearners(replica: Replica): void {
  const { voters, learners } = replica.core.configuration;
  if (learners.length > 0 && !changing(replica)) replica.changeMembership({ voters, learners: [] }, []);
}

/** A change is joint or not committed. */
export function changing({ core }: Replica): boolean {
  return core.configuration.old !== undefined || core.configurationIndex > core.commit;
}
