import type { LogIndex } from "../../base/ids.ts";
import type { GroupLog } from "../../log/types.ts";
import type { GroupConfig } from "../../protocol/routing.ts";
import type { Partition } from "../partition/partition.ts";
import type { ReplicaOwner } from "../replica-host.ts";

/** A machine on the log of a partition: fed beside what every partition does (ADR 0019). Lives as long as the replica is open. */
export interface PartitionMachine
  extends Pick<ReplicaOwner, "roleChanged" | "progressed" | "closed">,
    Required<Pick<ReplicaOwner, "prepareReset">> {
  /** It takes commands. */
  readonly active: boolean;
  /** Something waits for a commit: a handover of the leadership waits for it, as for batches. */
  readonly busy: boolean;
}

/** The partitions on this broker whose logs are machines'. */
export interface PartitionMachines {
  /** Its log is one: nobody but the machine appends to it, reads it or trims it. */
  runsOn(topic: string): boolean;
  /** Before a replica is opened over the log. @returns up to where its snapshot shows it committed */
  prepare(log: GroupLog, config: GroupConfig): Promise<LogIndex>;
  /** A replica is open, or open anew behind a reset. @param confirmed asks whether it leads still, as `PartitionSet.readIndex` */
  open(partition: Partition, confirmed: (done: (index: LogIndex | undefined) => void) => void): PartitionMachine;
  /** There is no open replica any more: the next one begins with what is on its disk. */
  forget(log: GroupLog): void;
}
