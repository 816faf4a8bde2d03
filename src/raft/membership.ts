import type { ReplicaId } from "../base/ids.ts";
import type { Configuration, MembershipChange } from "./types.ts";

/** Bytes a configuration's frame is counted as: a header, and for each replica two ids and a role. What limits count, not what is stored. */
export function configurationBytes({ voters, old, learners }: Configuration): number {
  return 256 + 32 * (voters.length + (old?.length ?? 0) + learners.length);
}

/**
 * What to append first for a change: joint when other replicas shall vote, at once when only learners come or go, or the order of the
 * voters changes (their majorities are the same).
 *
 * @returns undefined when it names no voters, somebody twice, or what is in force
 */
export function firstStep(current: Configuration, { voters, learners }: MembershipChange): Configuration | undefined {
  const all = [...voters, ...learners];
  if (voters.length === 0 || new Set(all).size !== all.length) return undefined;
  if (sameOrder(voters, current.voters) && sameSet(learners, current.learners)) return undefined;
  return sameSet(voters, current.voters) ? { voters, learners } : { voters, old: current.voters, learners };
}

/** What follows a joint configuration once it is committed. */
export function lastStep({ voters, learners }: Configuration): Configuration {
  return { voters, learners };
}

function sameOrder(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}

function sameSet(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
