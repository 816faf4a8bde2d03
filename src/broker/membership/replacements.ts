import type { BrokerId, ReplicaId } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import { NO_REPLICA } from "../../cluster/replay.ts";
import type { Controller } from "../metadata/controller.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import { dropLearners, moveTowards } from "./replacement.ts";

const LOOK_EVERY_MS = 500;

/** What of the metadata group it needs. */
interface ControlledGroup extends Pick<MetadataGroup, "replica"> {
  readonly controller: Pick<Controller, "active" | "image" | "submit"> | undefined;
}

/**
 * The controller's part in replacing replicas whose disk is gone: a broker that is back under its id with another disk gets new ones,
 * so many at a time as the setting says, the metadata group's own replica first. What is under way is in the metadata, so another
 * controller goes on where this one stopped.
 */
export class Replacements {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #group: ControlledGroup;
  readonly #atOnceMax: number;
  #timer: Timer | undefined;

  constructor(clock: Clock, telemetry: Telemetry, group: ControlledGroup, atOnceMax: number) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#group = group;
    this.#atOnceMax = atOnceMax;
  }

  /** This broker became the controller. */
  restart(): void {
    this.#timer?.cancel();
    this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#clock.after(LOOK_EVERY_MS, () => {
      const { controller } = this.#group;
      // Whoever is it now looks.
      if (controller === undefined) return;
      if (controller.image.clusterId !== undefined) {
        // The image moves with each command: it is looked at anew.
        this.#seed(controller.image);
        if (controller.active) this.#partitions(controller.image);
      }
      this.#arm();
    });
  }

  #partitions(image: MetadataImage): void {
    let underWay = 0;
    for (const { replacing } of image.partitions.values()) if (replacing !== undefined && image.isPresent(replacing.adding)) underWay += 1;
    for (const { partition, replica } of image.replaceable().slice(0, Math.max(0, this.#atOnceMax - underWay))) {
      const { groupId } = partition;
      this.#telemetry.log("info", "replica.replacing", { groupId, replicaId: replica.replicaId, brokerId: replica.brokerId });
      this.#group.controller?.submit({ kind: "replaceReplica", groupId, removing: replica.replicaId }, () => {});
    }
  }

  /** One seed at a time: each swap leaves a majority that holds everything. */
  #seed(image: MetadataImage): void {
    const { replica } = this.#group;
    if (replica === undefined) return;
    for (const seed of image.seeds) {
      const broker = image.brokers.get(seed.brokerId);
      if (broker === undefined || broker.state !== "live") continue;
      // Also the disk the metadata still names, when another one came in between and its replica votes.
      const votes = replica.core.configuration.voters.includes(broker.metadataReplicaId);
      if (broker.incarnation === seed.incarnation && votes) continue;
      // Its replica was given up, and it has not registered since.
      if (broker.metadataReplicaId === NO_REPLICA) continue;
      const adding = { replicaId: broker.metadataReplicaId, brokerId: broker.id };
      const done = moveTowards(replica, this.#target(broker.id, adding.replicaId), adding, () => true);
      if (done && broker.incarnation !== seed.incarnation)
        this.#group.controller?.submit({ kind: "replaceSeed", brokerId: broker.id }, () => {});
      return;
    }
    dropLearners(replica);
  }

  /** The voters, with the one on this broker exchanged. */
  #target(broker: BrokerId, adding: ReplicaId): readonly ReplicaId[] {
    const { core, members } = this.#group.replica ?? {};
    const target: ReplicaId[] = [];
    for (const voter of core?.configuration.voters ?? []) {
      const next = members?.brokerOf(voter) === broker ? adding : voter;
      if (!target.includes(next)) target.push(next);
    }
    // Nobody votes there any more: the replica was given up (ADR 0014).
    if (!target.includes(adding)) target.push(adding);
    return target;
  }
}
