import type { ReplicaId } from "../../base/ids.ts";
import type { Member } from "../members.ts";
import type { Replica } from "../replica.ts";

/**
 * One step of a leader towards the voters it was told (design §5): the new replica learns, catches up, and votes in a joint
 * configuration, which the core leaves by itself. Every step is read off the configuration in force, so it does not matter who
 * began it, in which term, or how often it is called.
 *
 * @param mayLeave whether these voters have been left behind by everything that counts on them (the ISR, design §6)
 * @returns true once the voters are the target, and that is committed
 */
export function moveTowards(
  replica: Replica,
  target: readonly ReplicaId[],
  adding: Member,
  mayLeave: (leaving: readonly ReplicaId[]) => boolean,
): boolean {
  const { core } = replica;
  const { voters, old, learners } = core.configuration;
  if (old !== undefined || core.configurationIndex > core.commit) return false;
  const leaving = voters.filter((voter) => !target.includes(voter));
  if (leaving.length === 0 && voters.length === target.length) return true;
  if (!learners.includes(adding.replicaId)) {
    replica.changeMembership({ voters, learners: [adding.replicaId] }, [adding]);
    return false;
  }
  // Refused while it is not caught up: asked again with the next heartbeat.
  if (mayLeave(leaving)) replica.changeMembership({ voters: target, learners: [] }, [adding]);
  return false;
}
