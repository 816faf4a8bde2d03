import { MillraceError } from "../base/errors.ts";
import type { BrokerId, GroupId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Partition } from "./partition/partition.ts";
import type { PartitionSet } from "./partition-set.ts";

const SETTLE_MS = 10;

/** Hands leaderships over: one for an operator, all of them when the broker stops. */
export class Transfers {
  readonly #clock: Clock;
  readonly #partitions: PartitionSet;

  constructor(clock: Clock, partitions: PartitionSet) {
    this.#clock = clock;
    this.#partitions = partitions;
  }

  /**
   * @param to broker, or 0 for the follower that is furthest
   * @returns who leads then. @throws {MillraceError} NOT_LEADER · TRANSFER_FAILED
   */
  async transfer(groupId: GroupId, to: number, deadline: number): Promise<{ readonly leaderId: number; readonly term: number }> {
    const partition = this.#partitions.get(groupId)?.partition;
    if (partition === undefined || !partition.accepts)
      throw partition?.notLeader() ?? new MillraceError("NOT_LEADER", "This broker holds no replica of the partition");
    const { core } = partition.replica;
    const self = partition.brokerOf(partition.replica.id) ?? 0;
    if (to === self) return { leaderId: self, term: core.term };
    const target = this.#target(partition, to);
    if (target === undefined) throw new MillraceError("TRANSFER_FAILED", `No replica of ${partition.name} can take over now`);
    const before = core.term;
    const outcome = await new Promise<"started" | MillraceError>((resolve) => partition.transfer(target, resolve));
    if (outcome instanceof MillraceError) throw outcome;
    while (this.#clock.monotonic() < deadline) {
      const leader = partition.leaderBroker;
      if (core.term > before && leader !== undefined) return { leaderId: leader, term: core.term };
      await new Promise<void>((resolve) => void this.#clock.after(SETTLE_MS, resolve));
    }
    throw new MillraceError("TRANSFER_FAILED", `${partition.name}: no new leader was seen before the deadline`);
  }

  /** Every leadership goes to another broker; those that cannot stay until the process ends. */
  async leaveAll(deadline: number): Promise<void> {
    const led = this.#partitions.all.filter(({ partition }) => partition.replica.leads && partition.options.members.length > 1);
    await Promise.all(
      led.map(({ partition }) =>
        this.transfer(partition.options.groupId, 0, deadline).catch((error: unknown) => {
          if (!(error instanceof MillraceError)) throw error;
        }),
      ),
    );
  }

  #target(partition: Partition, to: number): Partition["replica"]["id"] | undefined {
    const { core } = partition.replica;
    const candidates = partition.options.members
      .filter(
        ({ replicaId, brokerId }) =>
          // One that stops too would only hand it on, or not find the time to.
          replicaId !== core.self &&
          core.configuration.voters.includes(replicaId) &&
          (to === 0 || brokerId === to) &&
          this.#partitions.stays(brokerId as BrokerId),
      )
      .map(({ replicaId }) => ({ replicaId, match: core.progress(replicaId)?.match ?? -1 }))
      .sort((a, b) => b.match - a.match);
    return candidates[0]?.replicaId;
  }
}
