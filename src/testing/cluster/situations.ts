/**
 * What a corpus must have come across: places where logs, leaders and disks are easily got wrong. A run that never was in one of them
 * has proved nothing about it.
 */
export const situations = {
  "leader lost with uncommitted tail": "A leader died, or was deposed, and its log held entries above its commit index.",
  truncation: "A follower cut entries off its log.",
  "vote after crash": "A replica voted for another one in a later life than its first.",
  "log begun anew": "A follower was told to begin where its leader's log begins.",
  "ISR at the minimum": "As few replicas of a partition were in sync as its minimum asks for, and more exist.",
  "ALL refused": "A produce at ALL was refused because too few replicas were in sync.",
  "segment catch-up": "A follower was sent committed frames in bulk.",
  "repair from a peer": "A broker asked another one for frames of a hole.",
  "metadata snapshot sent": "A replica of the metadata was sent a snapshot.",
  "duplicate after fail-over": "A batch sent again was answered by another leader than the first time, as what it had written.",
  "WAL reuse": "A file of the write-ahead log was begun again from its beginning.",
  "disk full": "A broker stopped taking records because its disk had no room.",
  "damage found": "A broker found a range of frames damaged.",
  "damage repaired": "A broker repaired a range of frames with those of other replicas.",
  "changed bytes refused": "A broker ended a connection on which bytes had changed.",
  "snapshot damaged": "A broker found a snapshot of the metadata damaged, or gone.",
  "records expired": "Records were let go of because of their age.",
  "expiry suspended": "A broker let nothing go because its clock could not be trusted.",
  "disk failure survived": "A broker ended because its disk failed a write.",
  "replica replaced": "A replica of a disk that is gone was replaced.",
  "controller elected": "A broker became the controller.",
  "topic recreated": "A topic was created under the name of one that was deleted.",
  "leader transferred": "A leader handed over because it was asked to.",
  "call repeated by a client": "A client asked another broker after a failure.",
  "batch sent again by a producer": "A producer sent a batch a second time.",
  "trim of records": "Records were let go of.",
  "partition given to a member": "A member of a consumer group was given a partition.",
  "topics given by pattern": "A member that subscribes by pattern was given partitions.",
  "member removed": "A member heard that it is none any more.",
  "member hung": "A member stood still, for as long as a session lasts or longer.",
  "static member returned": "Another process joined a group under the instance id of one before it.",
  "late commit refused": "A commit was refused because it came from a member that has no right to it any more.",
  "commit of unknown outcome": "Nobody knows what became of a commit.",
  "coordinator moved": "Another broker than before said that it coordinates a group.",
  "rebalance while the coordinator moves": "The coordinator of a group moved while members had something to give back or to take.",
  "offsets fetched after fail-over": "A member asked another coordinator than before where its group is.",
  "topic of a group grown": "A topic that groups read was given partitions.",
  "topic of a group recreated": "A topic that groups read was deleted and made anew.",
  "commit for a former topic refused": "A commit was refused because its topic was deleted, or is another one by now.",
  "group moved": "An operator moved a group.",
  "group deleted": "A group was deleted.",
} as const;

export type Situation = keyof typeof situations;

/** Events that brokers and clients report, and what they say. */
const byEvent: Readonly<Record<string, Situation>> = {
  "disk.full": "disk full",
  "log.hole_found": "damage found",
  "log.hole_repaired": "damage repaired",
  "peer.bad_message": "changed bytes refused",
  "metadata.snapshot_damaged": "snapshot damaged",
  "retention.suspended": "expiry suspended",
  "retention.trimmed": "records expired",
  "log.write_failed": "disk failure survived",
  "replica.replaced": "replica replaced",
  "controller.active": "controller elected",
  "client.call_repeated": "call repeated by a client",
  "producer.resend": "batch sent again by a producer",
};

/** How often a run was in each situation. */
export class Situations {
  readonly #counts = new Map<Situation, number>();

  get counts(): ReadonlyMap<Situation, number> {
    return this.#counts;
  }

  saw(situation: Situation): void {
    this.#counts.set(situation, (this.#counts.get(situation) ?? 0) + 1);
  }

  /** Something reported an event. */
  heard(event: string): void {
    const situation = byEvent[event];
    if (situation !== undefined) this.saw(situation);
  }
}
