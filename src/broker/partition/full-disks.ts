import type { ReplicaId } from "../../base/ids.ts";
import { quorumValue, votersOf } from "../../raft/quorum.ts";
import type { Configuration } from "../../raft/types.ts";

/**
 * What a leader does about replicas whose disks have no room (ADR 0010). While joint both sets must be able to commit (Raft §6). Pure.
 */

/** Records appended now could be committed without any of the full disks. */
export function commitsWithout(configuration: Configuration, full: readonly ReplicaId[]): boolean {
  return quorumValue(configuration, (voter) => (full.includes(voter) ? 0 : 1)) === 1;
}

/**
 * Full replicas that are sent nothing: all of them while the others are a quorum without them, none while one of them is needed for the
 * commit of what was appended.
 *
 * @param keepsUp of a voter that is not full: it stays, what it acknowledges counts (one in quarantine may need the very commit it would
 * hold up), and it takes what is appended (one that is caught up in bulk may take hours)
 */
export function heldReplicas(
  configuration: Configuration,
  full: readonly ReplicaId[],
  keepsUp: (voter: ReplicaId) => boolean,
): readonly ReplicaId[] {
  const enough = quorumValue(configuration, (voter) => (!full.includes(voter) && keepsUp(voter) ? 1 : 0)) === 1;
  return enough ? full : [];
}

/** How one voter stands, as far as handing a leadership to it is concerned. */
export interface Candidate {
  readonly replicaId: ReplicaId;
  /** Recorded as in sync: it has everything that was acknowledged at ALL. */
  readonly inSync: boolean;
  /** Its disk has room, it stays, is in good standing, and takes what is appended. */
  readonly able: boolean;
  /** Highest index known durable there. */
  readonly match: number;
}

/**
 * To whom a leader without room hands its partition (ADR 0013): to the in-sync replica with room that has most; to nobody while records
 * could not be committed there either, because too few disks have room.
 *
 * @param full voters without room, the leader not among them
 */
export function successor(
  configuration: Configuration,
  self: ReplicaId,
  full: readonly ReplicaId[],
  candidates: readonly Candidate[],
): ReplicaId | undefined {
  if (!commitsWithout(configuration, [self, ...full])) return undefined;
  const fit = candidates.filter(
    ({ replicaId, inSync, able }) =>
      inSync && able && replicaId !== self && !full.includes(replicaId) && configuration.voters.includes(replicaId),
  );
  const most = Math.max(...fit.map(({ match }) => match));
  return fit.find(({ match }) => match === most)?.replicaId;
}

/** Voters of both sets that are full, but for the leader itself. */
export function fullVoters(configuration: Configuration, self: ReplicaId, isFull: (voter: ReplicaId) => boolean): readonly ReplicaId[] {
  return votersOf(configuration).filter((voter) => voter !== self && isFull(voter));
}
