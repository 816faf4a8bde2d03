import type { BrokerConfig } from "../../base/broker-config.ts";
import { type BrokerId, type LogIndex, METADATA_GROUP, type Offset, type Term } from "../../base/ids.ts";
import type { Timer } from "../../base/ports/clock.ts";
import { NO_REPLICA } from "../../cluster/replay.ts";
import { isNoSpace } from "../../log/disk-space.ts";
import type { GroupLog, LogStore, RecoveredGroup } from "../../log/types.ts";
import type { GroupConfig } from "../../protocol/routing.ts";
import { GroupConfig as StoredConfig } from "../../protocol/routing.ts";
import { MemberRole } from "../members.ts";
import { machineSegmentBytes } from "../partition/settings-of.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { BrokerPorts } from "../ports.ts";
import type { Recoveries } from "../recovery/recoveries.ts";
import type { Replica } from "../replica.ts";
import type { ReplicaHost } from "../replica-host.ts";
import type { MetadataGroup } from "./metadata-group.ts";
import { MetadataSnapshots } from "./metadata-snapshots.ts";
import { MetadataFollower } from "./metadata-tail.ts";

/** How often it is looked whether the local replica hears a leader. */
const WATCH_MS = 1_000;

export interface MetadataReplicaPorts extends Pick<BrokerPorts, "clock" | "telemetry" | "background"> {
  readonly store: LogStore;
  readonly links: PeerLinks;
  readonly host: ReplicaHost;
  readonly group: MetadataGroup;
  /** The image is at least as new as this start of the broker. */
  readonly registered: () => boolean;
  readonly failed: (error: unknown) => void;
}

/**
 * This disk's replica of the metadata group, if it is to have one: opened at the start, made on a seed's new disk, given up when the disk
 * was away for so long that another one took its place. While there is none that hears a leader, the image is fed by a copy of the log
 * from other brokers.
 */
export class MetadataReplica {
  readonly #ports: MetadataReplicaPorts;
  readonly #config: BrokerConfig;
  readonly #recoveries: Pick<Recoveries, "epoch" | "metadataOpened">;
  #snapshots: MetadataSnapshots | undefined;
  #follower: MetadataFollower | undefined;
  #watch: Timer | undefined;
  /** There is a replica on this disk, open, or about to be opened or given up. */
  #holds = false;
  #closed = false;

  constructor(ports: MetadataReplicaPorts, config: BrokerConfig, recoveries: Pick<Recoveries, "epoch" | "metadataOpened">) {
    this.#ports = ports;
    this.#config = config;
    this.#recoveries = recoveries;
  }

  /** Partitions are opened before: the image may be there as soon as this is. */
  async open(log: GroupLog, config: GroupConfig, recovered: RecoveredGroup | undefined): Promise<void> {
    this.#holds = true;
    const { store, links, host, group, failed, clock, telemetry, background } = this.#ports;
    const { brokerId, limits } = this.#config;
    const others = config.members.map((member) => member.brokerId as BrokerId).filter((broker) => broker !== brokerId);
    const options = { everyBytes: limits.metadataSnapshotBytes, recoveryEpoch: this.#recoveries.epoch };
    const ports = { clock, telemetry, background, links, failed };
    const snapshots = new MetadataSnapshots(store.snapshots(METADATA_GROUP), group.view, others, options, ports);
    this.#snapshots = snapshots;
    const restored = await snapshots.restore(log);
    log.configure({ segmentBytes: machineSegmentBytes(this.#config), segmentMs: this.#config.log.segmentMs });
    const known =
      recovered === undefined ? undefined : { ...recovered, syncedIndex: Math.max(recovered.syncedIndex, restored) as LogIndex };
    if (this.#closed) return;
    host.open(log, config, known, (replica) => group.own(replica, snapshots));
    this.#recoveries.metadataOpened();
    this.#lookLater();
  }

  /** No replica is on this disk: the image comes from others. */
  follow(): void {
    if (this.#follower !== undefined || this.#closed) return;
    const { clock, telemetry, links, group, failed } = this.#ports;
    const sources = (): readonly BrokerId[] => {
      const { seeds } = group.view.image;
      const brokers = seeds.length > 0 ? seeds.map(({ brokerId }) => brokerId) : this.#config.seeds.map(({ id }) => id);
      return brokers.filter((broker) => broker !== this.#config.brokerId);
    };
    this.#follower = new MetadataFollower(clock, telemetry, links, group.view, sources);
    this.#follower.run().catch(failed);
  }

  /** It is on this disk, and not open yet. */
  get opening(): boolean {
    return this.#holds && this.#ports.group.replica === undefined;
  }

  /** The replica that the image places on this disk is there; also when it places none. */
  get made(): boolean {
    const placed = this.#placed;
    return placed === undefined || this.#ports.group.replica?.id === placed;
  }

  /** A seed on a new disk: its replica of the metadata starts empty and silent, until the controller makes a learner and then a voter of it. */
  imageChanged(): void {
    const { group } = this.#ports;
    const placed = this.#placed;
    if (placed === undefined || this.#closed) return;
    const { replica } = group;
    if (replica !== undefined && replica.id !== placed && this.#ports.registered()) {
      this.#giveUp(replica).catch(this.#ports.failed);
      return;
    }
    // What the local log brings and what is copied from others is one history: from here on the log alone goes on.
    if (replica !== undefined) {
      if (replica.core.commit >= group.view.applied && !group.leaderless) this.#endFollowing();
    } else if (!this.#holds) this.#make();
  }

  close(): void {
    this.#closed = true;
    this.#watch?.cancel();
    this.#endFollowing();
    this.#snapshots?.stop();
  }

  /** Id of the replica that belongs on this disk, as far as the image says. */
  get #placed() {
    const { image } = this.#ports.group.view;
    const { brokerId } = this.#config;
    const here = image.brokers.get(brokerId);
    if (here?.incarnation !== this.#ports.store.incarnation) return undefined;
    // One that was given up by a recovery is none: the next registration brings another one.
    if (here.metadataReplicaId === NO_REPLICA || this.#ports.store.wasDropped(here.metadataReplicaId)) return undefined;
    return image.seeds.some((seed) => seed.brokerId === brokerId) ? here.metadataReplicaId : undefined;
  }

  #make(): void {
    const placed = this.#placed;
    if (placed === undefined) return;
    this.#holds = true;
    const { brokerId } = this.#config;
    const { image } = this.#ports.group.view;
    const members = [
      ...image.seeds
        .filter(({ replicaId }) => replicaId !== placed)
        .map(({ replicaId, brokerId: on }) => ({ replicaId, brokerId: on, role: MemberRole.voter })),
      { replicaId: placed, brokerId, role: MemberRole.learner },
    ];
    const config: GroupConfig = { members, topicId: "", topic: "", partition: 0, recovery: this.#recoveries.epoch, fenced: [] };
    const start = { index: 0 as LogIndex, term: 0 as Term, offset: 0 as Offset };
    this.#ports.store.create(METADATA_GROUP, placed, start, StoredConfig.encode(config)).then(
      (log) => {
        // For good: there is a replica from now on.
        if (!this.#closed) this.open(log, config, undefined).catch(this.#ports.failed);
      },
      (error: unknown) => {
        // A full disk: tried again with the next change of the image.
        if (!isNoSpace(error)) return this.#ports.failed(error);
        this.#holds = false;
      },
    );
  }

  /**
   * Another disk took this one's place while it was away, and its replica with it. This one belongs to nobody any more: no leader sends to
   * it. It is set aside, and the disk gets a new one like any other that came later.
   */
  async #giveUp(replica: Replica): Promise<void> {
    const { host, group, store, telemetry } = this.#ports;
    this.#snapshots?.stop();
    group.disown();
    host.closeReplica(METADATA_GROUP);
    this.follow();
    telemetry.log("warn", "replica.set_aside", { partition: "metadata", groupId: METADATA_GROUP, replicaId: replica.id });
    await store.drop(METADATA_GROUP, "set aside");
    this.#holds = false;
    this.imageChanged();
  }

  #endFollowing(): void {
    this.#follower?.stop();
    this.#follower = undefined;
  }

  #lookLater(): void {
    this.#watch?.cancel();
    this.#watch = this.#ports.clock.after(WATCH_MS, () => {
      const { group } = this.#ports;
      if (group.leaderless) this.follow();
      else if (group.replica !== undefined && group.replica.core.commit >= group.view.applied) this.#endFollowing();
      this.#lookLater();
    });
  }
}
