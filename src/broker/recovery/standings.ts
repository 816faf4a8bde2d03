import type { BrokerId, GroupId, Incarnation, ReplicaId, Term, TopicId } from "../../base/ids.ts";
import type { Standing } from "../../cluster/recovery-plan.ts";
import type { BrokerStanding, ReplicaStanding } from "../../protocol/routing.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";

export const STANDING_METHOD = "recovery.standing";

/** What this broker says of its replicas to whoever makes a plan (ADR 0014). */
export function standingHere(
  replicas: Iterable<Replica>,
  links: Pick<PeerLinks, "connected">,
  known: readonly BrokerId[],
  held: boolean,
  /** Of the disk here. */
  incarnation: Incarnation,
  /** Groups whose replica is here and not open yet, or not again. */
  opening: readonly GroupId[],
  /** Monotonic. */
  now: number,
): BrokerStanding {
  const connected = known.filter((broker) => links.connected(broker));
  return { replicas: [...replicas].map((replica) => standingOf(replica, now)), connected, held, opening: [...opening], incarnation };
}

function standingOf({ groupId, id, core, log, members }: Replica, now: number): ReplicaStanding {
  const { voters, old = [] } = core.configuration;
  const placed = (replicaId: ReplicaId): { replicaId: number; brokerId: number; role: number } => ({
    replicaId,
    brokerId: members.brokerOf(replicaId) ?? 0,
    role: 0,
  });
  return {
    groupId,
    replicaId: id,
    term: core.term,
    lastIndex: core.lastIndex,
    lastTerm: core.termAt(core.lastIndex) ?? 0,
    commit: core.commit,
    endOffset: log.endOffset,
    voters: voters.map(placed),
    oldVoters: old.map(placed),
    hasLeader: core.leaderAlive(now),
    quarantined: core.quarantined,
    holes: log.holes.length,
    recovery: members.recovery,
    topicId: members.partition.topicId,
    topic: members.partition.topic,
    partition: members.partition.partition,
  };
}

/** As the planner takes it. */
export function standingsOf(brokerId: BrokerId, said: BrokerStanding): readonly Standing[] {
  const placed = ({ replicaId, brokerId: on }: { replicaId: number; brokerId: number }) => ({
    replicaId: replicaId as ReplicaId,
    brokerId: on as BrokerId,
  });
  return said.replicas.map((one) => ({
    ...one,
    brokerId,
    incarnation: said.incarnation as Incarnation,
    groupId: one.groupId as GroupId,
    replicaId: one.replicaId as ReplicaId,
    topicId: one.topicId as TopicId,
    term: one.term as Term,
    lastTerm: one.lastTerm as Term,
    voters: one.voters.map(placed),
    oldVoters: one.oldVoters.map(placed),
  }));
}
