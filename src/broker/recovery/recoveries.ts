import type { BrokerConfig } from "../../base/broker-config.ts";
import { type Incarnation, METADATA_GROUP, type ReplicaId, type Term } from "../../base/ids.ts";
import { refused } from "../../cluster/decide-recovery.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { Meta } from "../../log/meta.ts";
import type { LogStart } from "../../log/model/records.ts";
import type { BrokerStanding } from "../../protocol/routing.ts";
import { membersOf } from "../../raft/quorum.ts";
import type { Controller } from "../metadata/controller.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { PartitionSet } from "../partition-set.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { BrokerPorts } from "../ports.ts";
import type { Replica } from "../replica.ts";
import type { ReplicaHost } from "../replica-host.ts";
import { RecoveryMark } from "./mark.ts";
import { Recovery } from "./recovery.ts";
import { standingHere } from "./standings.ts";

/** Pause until a replica is told again that was just taking bulk frames, milliseconds. */
const RETRY_MS = 50;

export interface RecoveriesParts {
  readonly group: MetadataGroup;
  readonly image: () => MetadataImage;
  readonly host: () => ReplicaHost;
  readonly partitions: () => PartitionSet;
  /** The metadata's replica is on this disk, and not open yet. */
  readonly metadataOpening: () => boolean;
  readonly failed: (error: unknown) => void;
}

/** A member's part in recoveries after a lost majority (ADR 0014): what its disk says of them, what it does about them, and how one is begun here. */
export class Recoveries {
  readonly mark: RecoveryMark;
  /** What an operator asks for. */
  readonly recovery: Recovery;
  readonly #ports: BrokerPorts;
  readonly #config: BrokerConfig;
  readonly #links: PeerLinks;
  readonly #parts: RecoveriesParts;
  readonly #incarnation: Incarnation;
  #closed = false;

  constructor(ports: BrokerPorts, config: BrokerConfig, meta: Meta, links: PeerLinks, parts: RecoveriesParts) {
    const { clock, telemetry, disk, random } = ports;
    this.#ports = ports;
    this.#config = config;
    this.#links = links;
    this.#parts = parts;
    this.#incarnation = meta.incarnation;
    this.mark = new RecoveryMark(disk, random, meta);
    this.recovery = new Recovery({
      clock,
      telemetry,
      links,
      group: parts.group,
      self: config.brokerId,
      clusterId: meta.clusterId ?? "",
      recoveryEpoch: () => this.mark.epoch,
      image: parts.image,
      seeds: config.seeds.map(({ id }) => id),
      here: () => this.standing(),
      recoverMetadata: () => this.#recoverMetadata(),
    });
  }

  get epoch(): number {
    return this.mark.epoch;
  }
  /** Recoveries of partitions this broker has read of. */
  get known(): number {
    return this.mark.known(this.#parts.image());
  }

  /** What was held back may be opened. */
  mayOpen(registered: boolean): boolean {
    return this.mark.mayOpen(this.#parts.image(), registered);
  }

  standing(): BrokerStanding {
    const { image, host, partitions } = this.#parts;
    const known = [...new Set([...image().brokers.keys(), ...this.#config.seeds.map(({ id }) => id)])];
    const opening = [...host().resetting.keys(), ...partitions().opening, ...(this.#parts.metadataOpening() ? [METADATA_GROUP] : [])];
    return standingHere(
      host().replicas,
      this.#links,
      known,
      partitions().holdsBack,
      this.#incarnation,
      opening,
      this.#ports.clock.monotonic(),
    );
  }

  /** Somebody knows of so many recoveries of partitions: more than the image here tells of yet? */
  heard(count: number): void {
    if (this.mark.heard(count, this.#parts.image())) this.#parts.partitions().suspend();
  }

  /** The metadata was recovered without this disk: nothing here speaks or promises any more, and the next start joins what was recovered. */
  async fence(epoch: number): Promise<void> {
    this.#parts.host().close();
    await this.mark.fence(epoch);
  }

  /** The metadata's replica is open. A crash may have come between the decision that it survives and what follows from it. */
  metadataOpened(): void {
    if (this.mark.state === "survivor") this.#goOnAlone();
  }

  /** This broker is the controller now: the first one of a recovered cluster says that it was. */
  controls(controller: Controller): void {
    const { replica } = this.#parts.group;
    const { image } = controller;
    if (replica === undefined || image.clusterId === undefined || image.recoveryEpoch >= this.epoch) return;
    const { brokerId } = this.#config;
    controller.submit({ kind: "recoverCluster", recoveryEpoch: this.epoch, survivor: replica.id, brokerId }, () => {});
  }

  imageChanged(): void {
    if (this.mark.behind(this.#parts.image())) this.#followed().catch(this.#parts.failed);
  }

  close(): void {
    this.#closed = true;
  }

  /** Once what a recovery means here is done, the disk says so. */
  async #followed(): Promise<void> {
    await this.#parts.partitions().reconciled();
    if (!this.#closed) await this.mark.follow(this.#parts.image());
  }

  /** `meta.json` decides; a start finishes what comes after it. */
  async #recoverMetadata(): Promise<void> {
    const { replica, view } = this.#parts.group;
    if (replica === undefined || !goesOnFrom(replica.core, view.position.start))
      throw refused("not_ready", "this broker has read metadata that its own replica lacks: start it again, and make another plan");
    await this.mark.survive();
    this.#links.greetAnew();
    this.#goOnAlone();
  }

  #goOnAlone(): void {
    const { replica } = this.#parts.group;
    if (this.#closed || replica === undefined || !needsRecovery(replica, this.epoch)) return;
    const fenced = membersOf(replica.core.configuration).filter((replicaId) => replicaId !== replica.id);
    if (replica.recover(this.epoch, fenced, 0 as Term)) {
      this.#ports.telemetry.log("warn", "metadata.recovered", { recoveryEpoch: this.epoch, replicaId: replica.id });
    } else this.#ports.clock.after(RETRY_MS, () => this.#goOnAlone());
  }
}

/**
 * What was copied from a broker that is gone now may not be in the log that goes on; also when that is as long, by entries that nobody
 * else ever had. Below where the log begins everything was committed, so both are the same there.
 */
function goesOnFrom(core: Pick<Replica["core"], "lastIndex" | "termAt">, read: LogStart): boolean {
  return read.index <= core.lastIndex && (core.termAt(read.index) ?? read.term) === read.term;
}

/** It is not alone in its configuration by this recovery yet; or it is, and a crash left it in quarantine, which nobody else can end. */
export function needsRecovery(
  { members, core }: { readonly members: { readonly recovery: number }; readonly core: SurvivingCore },
  recovery: number,
): boolean {
  return members.recovery < recovery || (core.quarantined && core.configuration.voters.length === 1);
}

interface SurvivingCore {
  readonly quarantined: boolean;
  readonly configuration: { readonly voters: readonly ReplicaId[] };
}
