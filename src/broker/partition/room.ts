import type { MillraceError } from "../../base/errors.ts";
import type { BrokerId, ReplicaId } from "../../base/ids.ts";
import { votersOf } from "../../raft/quorum.ts";
import type { Replica } from "../replica.ts";
import { commitsWithout, fullVoters, heldReplicas } from "./full-disks.ts";
import type { PartitionPorts } from "./partition-types.ts";
import { diskFull, ringFull, uncommittedFull } from "./refusals.ts";

/** As much of a partition as this needs. */
export interface Roomy {
  readonly name: string;
  readonly replica: Replica;
  brokerOf(replicaId: ReplicaId): BrokerId | undefined;
}

/** Whether there is room for what a leader would append: in its ring, on its disk and on those of the replicas it needs (ADR 0010). */
export class Room {
  readonly #partition: Roomy;
  readonly #ports: Pick<PartitionPorts, "ring" | "diskFull" | "stays">;

  constructor(partition: Roomy, ports: Pick<PartitionPorts, "ring" | "diskFull" | "stays">) {
    this.#partition = partition;
    this.#ports = ports;
  }

  /** Why a frame of so many bytes may not be appended now. */
  refuse(frameBytes: number): MillraceError | undefined {
    const { name } = this.#partition;
    const { ring } = this.#ports;
    const { uncommittedBytes, uncommittedBytesMax } = ring;
    const full = this.#refuseFull();
    if (full !== undefined) return full;
    if (uncommittedBytes > uncommittedBytesMax) return uncommittedFull(name, uncommittedBytes, uncommittedBytesMax);
    return ring.takes(frameBytes) ? undefined : ringFull(name);
  }

  /** Voters other than this one whose disks have no room. */
  get fullReplicas(): readonly ReplicaId[] {
    const { core } = this.#partition.replica;
    return fullVoters(core.configuration, core.self, (voter) => {
      const broker = this.#partition.brokerOf(voter);
      return broker !== undefined && this.#ports.diskFull(broker);
    });
  }

  /** Followers without room are sent nothing, as long as others can do without them. @param full as of `fullReplicas` */
  hold(full: readonly ReplicaId[]): void {
    const { replica } = this.#partition;
    const { core } = replica;
    const held = heldReplicas(core.configuration, full, (voter) => voter === core.self || this.keepsUp(voter));
    for (const voter of votersOf(core.configuration)) if (voter !== core.self) replica.hold(voter, held.includes(voter));
  }

  /** It is there, what it acknowledges counts, and appends reach it. */
  keepsUp(voter: ReplicaId): boolean {
    const progress = this.#partition.replica.core.progress(voter);
    return progress?.mode === "replicate" && !progress.barred && this.#ports.stays(this.#partition.brokerOf(voter) as BrokerId);
  }

  /**
   * Records appended here would fill what is left of this disk, or could not be committed without disks that are full. What was appended
   * before goes on to every replica that is needed for its commit: that is what reserves are for (ADR 0010).
   */
  #refuseFull(): MillraceError | undefined {
    const { name, replica } = this.#partition;
    const { space } = this.#ports.ring;
    const { configuration } = replica.core;
    const replicas = votersOf(configuration).length;
    const broker = (id: ReplicaId): BrokerId => this.#partition.brokerOf(id) as BrokerId;
    if (space.full) return diskFull(name, [broker(replica.id)], replicas, space);
    const full = this.fullReplicas;
    return commitsWithout(configuration, full) ? undefined : diskFull(name, full.map(broker), replicas, undefined);
  }
}
