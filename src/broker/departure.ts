import type { BrokerId, ReplicaId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { MetadataGroup } from "./metadata/metadata-group.ts";
import type { PartitionSet } from "./partition-set.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import type { Replica } from "./replica.ts";
import type { Transfers } from "./transfers.ts";

export const LEAVE_METHOD = "broker.leaving";

/** Time for one step: another controller to be known, the others to hear of the leave, the ISRs to be recorded without this broker. */
const STEP_MS = 1_000;
const LOOK_EVERY_MS = 5;
/** Hand-overs to a broker that stops too are handed on so often. */
const ROUNDS_MAX = 3;

export interface DepartureParts {
  readonly clock: Clock;
  readonly self: BrokerId;
  readonly group: MetadataGroup;
  readonly partitions: PartitionSet;
  readonly links: PeerLinks;
  readonly transfers: Transfers;
  image(): MetadataImage;
  /** Replicas of the metadata group and their brokers. */
  metadataReplicas(): readonly { readonly replicaId: ReplicaId; readonly brokerId: BrokerId }[];
}

/**
 * How a broker stops without being missed. First the controller goes to another broker, so that what follows is recorded by one that
 * stays. Then every leader hears that this broker leaves, and records its ISR without it while it still answers: acks=ALL never waits
 * for a broker that is gone. Leaderships go to others meanwhile. Each step has a limit: what cannot be handed over is left to elections.
 */
export class Departure {
  readonly #parts: DepartureParts;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  async run(graceMs: number): Promise<void> {
    const deadline = this.#parts.clock.monotonic() + graceMs;
    await this.#handControllerOver(deadline);
    await this.#announce(deadline);
    await this.#parts.transfers.leaveAll(deadline);
    // A broker that stops at the same time may have handed something over before it heard of this one, and it may take a moment to come.
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await this.#until(deadline, () => !this.#becoming());
      await this.#handControllerOver(deadline);
      await this.#parts.transfers.leaveAll(deadline);
      await this.#until(deadline, () => !this.#needed());
      if (!this.#leads() && !this.#becoming()) return;
    }
  }

  /** Something that a broker which stays could lead. */
  #leads(): boolean {
    return this.#replicas().some(({ leads }) => leads);
  }

  /** It asks for votes, as one does that was handed a leadership. */
  #becoming(): boolean {
    return this.#replicas().some(({ core }) => core.role === "candidate");
  }

  #replicas(): readonly Replica[] {
    const { group, partitions } = this.#parts;
    return [...(group.replica === undefined ? [] : [group.replica]), ...partitions.all.map(({ partition }) => partition.replica)].filter(
      ({ core }) => core.configuration.voters.length > 1,
    );
  }

  async #handControllerOver(deadline: number): Promise<void> {
    const { group, partitions } = this.#parts;
    const { replica } = group;
    if (replica === undefined || !replica.leads) return;
    const match = (id: ReplicaId): number => replica.core.progress(id)?.match ?? 0;
    const [next] = this.#parts
      .metadataReplicas()
      .filter(({ replicaId, brokerId }) => replicaId !== replica.id && partitions.stays(brokerId))
      .sort((a, b) => match(b.replicaId) - match(a.replicaId));
    if (next === undefined || replica.transfer(next.replicaId).kind === "refused") return;
    await this.#until(deadline, () => !replica.leads && group.controllerBroker !== undefined);
  }

  async #announce(deadline: number): Promise<void> {
    const { links, self, clock } = this.#parts;
    const others = [...this.#parts.image().brokers.keys()].filter((broker) => broker !== self && links.connected(broker));
    const timeoutMs = Math.min(STEP_MS, deadline - clock.monotonic());
    if (timeoutMs <= 0) return;
    await Promise.all(others.map((broker) => new Promise<void>((heard) => links.call(broker, LEAVE_METHOD, [], timeoutMs, () => heard()))));
  }

  /** Some leader that can be reached still waits for this broker's acknowledgements. */
  #needed(): boolean {
    const { partitions, links, self } = this.#parts;
    const image = this.#parts.image();
    return partitions.all.some(({ partition }) => {
      const leader = partition.leaderBroker;
      if (leader === undefined || leader === self || !links.connected(leader)) return false;
      return image.partitionOfGroup(partition.options.groupId)?.isr.includes(partition.replica.id) === true;
    });
  }

  async #until(deadline: number, holds: () => boolean): Promise<void> {
    const { clock } = this.#parts;
    const end = Math.min(deadline, clock.monotonic() + STEP_MS);
    while (!holds() && clock.monotonic() < end) await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
  }
}
