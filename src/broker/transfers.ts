import { MillraceError } from "../base/errors.ts";
import type { BrokerId, GroupId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import { pause, type Until, whileCalled } from "../base/until.ts";
import { ForwardedTransfer, ForwardedTransferred } from "../protocol/routing.ts";
import type { Partition } from "./partition/partition.ts";
import type { PartitionSet } from "./partition-set.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import type { Router } from "./routing/router.ts";

export const TRANSFER_METHOD = "partition.transfer";

const SETTLE_MS = 10;

/** Who leads then. */
export interface Transferred {
  readonly leaderId: number;
  readonly term: number;
}

/** Hands leaderships over: one for an operator, all of them when the broker stops. */
export class Transfers {
  readonly #clock: Clock;
  readonly #partitions: PartitionSet;
  readonly #router: Router;
  readonly #links: PeerLinks;
  readonly #failed: (error: unknown) => void;

  constructor(clock: Clock, partitions: PartitionSet, router: Router, links: PeerLinks, failed: (error: unknown) => void) {
    this.#clock = clock;
    this.#partitions = partitions;
    this.#router = router;
    this.#links = links;
    this.#failed = failed;
  }

  /** Wherever the leader is: held, like every call, while it is not known or only begins (design §8). */
  transfer(groupId: GroupId, to: number, until: Until): Promise<Transferred> {
    const { deadline, caller } = until;
    return whileCalled<Transferred>(caller, (done) => {
      let stop = (): void => {};
      const giveUp = this.#router.route({
        groupId,
        bytes: 0,
        deadline,
        direct: false,
        runHere: () => {
          this.transferHere(groupId, to, until).then(done, (error: unknown) =>
            error instanceof MillraceError ? done(error) : this.#failed(error),
          );
        },
        runThere: (broker, refused, over) => {
          const body = ForwardedTransfer.encode({ groupId, toBrokerId: to });
          stop = this.#links.call(broker, TRANSFER_METHOD, [body], deadline - this.#clock.monotonic(), (outcome) => {
            if ("error" in outcome && (outcome.error.code === "NOT_LEADER" || outcome.error.code === "LEADER_UNKNOWN"))
              return refused(outcome.error);
            over();
            done("body" in outcome ? ForwardedTransferred.decode(outcome.body) : outcome.error);
          });
        },
        fail: done,
      });
      return () => {
        giveUp();
        stop();
      };
    });
  }

  /**
   * @param to broker, or 0 for the follower that is furthest
   * @returns who leads then. @throws {MillraceError} NOT_LEADER · TRANSFER_FAILED · CALL_CANCELLED
   */
  async transferHere(groupId: GroupId, to: number, { deadline, caller }: Until): Promise<Transferred> {
    const partition = this.#partitions.get(groupId)?.partition;
    if (partition === undefined || !partition.accepts)
      throw partition?.notLeader() ?? new MillraceError("NOT_LEADER", "This broker holds no replica of the partition");
    const { core } = partition.replica;
    const self = partition.brokerOf(partition.replica.id) ?? 0;
    if (to === self) return { leaderId: self, term: core.term };
    const target = this.#target(partition, to);
    if (target === undefined) throw new MillraceError("TRANSFER_FAILED", `No replica of ${partition.name} can take over now`);
    const before = core.term;
    await whileCalled<"started">(caller, (done) => {
      partition.transfer(target, done);
      return () => {};
    });
    while (this.#clock.monotonic() < deadline) {
      const leader = partition.leaderBroker;
      if (core.term > before && leader !== undefined) return { leaderId: leader, term: core.term };
      await pause(this.#clock, SETTLE_MS, caller);
    }
    throw new MillraceError("TRANSFER_FAILED", `${partition.name}: no new leader was seen before the deadline`);
  }

  /** Every leadership goes to another broker; those that cannot stay until the process ends. */
  async leaveAll(deadline: number): Promise<void> {
    const led = this.#partitions.all.filter(({ partition }) => partition.replica.leads && partition.options.members.length > 1);
    await Promise.all(
      led.map(({ partition }) =>
        this.transferHere(partition.options.groupId, 0, { deadline }).catch((error: unknown) => {
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
