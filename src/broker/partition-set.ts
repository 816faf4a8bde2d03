import type { BrokerConfig } from "../base/broker-config.ts";
import type { BrokerId, GroupId, Incarnation, LogIndex, TopicId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { PartitionImage } from "../cluster/image-state.ts";
import { isNoSpace } from "../log/disk-space.ts";
import type { GroupLog, LogStore, RecoveredGroup, StartPoint } from "../log/types.ts";
import { GroupConfig, type GroupMembers } from "../protocol/routing.ts";
import { AgeClock } from "./age-clock.ts";
import { campaignSoon } from "./campaigns.ts";
import { FullDiskHandover } from "./full-disk-handover.ts";
import { type HostedPartition, type HostingPorts, hostPartition, ownerOf } from "./hosted-partition.ts";
import { IsrTicks } from "./isr-ticks.ts";
import type { PartitionMachines } from "./machine/partition-machine.ts";
import { membersHere, Unplaced, type UnplacedPorts } from "./membership/unplaced.ts";
import type { IsrAnswer, IsrCommand } from "./partition/isr-tracker.ts";
import type { Partition } from "./partition/partition.ts";
import type { PartitionSettings } from "./partition/partition-types.ts";
import { machineSegmentBytes, machineSettings, settingsOf, unknownSettings } from "./partition/settings-of.ts";
import { PeerClocks } from "./peer-clocks.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import { configOfPlaced, isFenced } from "./placed-replica.ts";
import { HeldReplicas } from "./recovery/held-replicas.ts";
import { needsRecovery } from "./recovery/recoveries.ts";
import type { ReplicaHost } from "./replica-host.ts";
import { RetentionLoop } from "./retention-loop.ts";

export interface PartitionSetPorts {
  /** Of this very disk. */
  readonly incarnation: Incarnation;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly inflate: Inflate;
  readonly submit: UnplacedPorts["submit"];
  readonly askController: (command: IsrCommand, answered: (answer: IsrAnswer) => void) => void;
  /** A group's leader, or whether it serves here, may have changed. */
  readonly changed: (groupId: GroupId) => void;
  /** Calls `reconcile` with the image of then. */
  readonly reconcileAgain: () => void;
  /** These deleted topics have no replica here any more. */
  readonly confirmDeleted: (topicIds: readonly TopicId[]) => void;
  /** All other brokers of the cluster. */
  readonly others: () => Iterable<BrokerId>;
  /** That broker said that its disk has no room. */
  readonly diskFull: (broker: BrokerId) => boolean;
  /** This broker's image holds at least what was recorded when it started: settings may be trusted. */
  readonly settled: () => boolean;
  /** Once per heartbeat for each partition that is led here: a replica of it may have to be replaced. */
  /** @returns whether a replica is being replaced */
  readonly succeed: (partition: Partition) => boolean;
  readonly machines: PartitionMachines;
  /** The image says of every replica here whether it still stands: what was held back may be opened (ADR 0014). */
  readonly mayOpen: () => boolean;
  /** The log cannot do what it must: the broker stops. */
  readonly failed: (error: unknown) => void;
}

/** Nothing is trimmed before it is known which snapshot is whole. */
const keepAll = (): LogIndex => 0 as LogIndex;
const emptyStart: StartPoint = { index: 0 as LogIndex, term: 0 as StartPoint["term"], offset: 0 as StartPoint["offset"] };
/** Milliseconds until a replica is made again that had no room. */
const NO_ROOM_RETRY_MS = 1_000;
/** Milliseconds until a survivor is asked again that was just taking bulk frames. */
const RECOVER_RETRY_MS = 50;
/**
 * The partitions this broker holds: opened from disk at start, made and deleted as the metadata says (design D6: deleted only by a
 * committed tombstone), ticked together.
 */
export class PartitionSet {
  readonly #store: LogStore;
  readonly #host: ReplicaHost;
  readonly #links: PeerLinks;
  readonly #config: BrokerConfig;
  readonly #ports: PartitionSetPorts;
  readonly #partitions = new Map<GroupId, HostedPartition>();
  readonly #held: HeldReplicas;
  #reconciling: Promise<void> | undefined;
  #again = false;
  /** The last round made whatever was missing. */
  #allMade = false;
  #closed = false;
  readonly #ticks: IsrTicks<Partition>;
  /** What may be said of age by this broker's wall clock. */
  readonly age: AgeClock;
  readonly #clocks: PeerClocks;
  readonly #retention: RetentionLoop;
  readonly #handover: FullDiskHandover;
  readonly #unplaced: Unplaced;
  readonly #hosting: HostingPorts;
  #nextRead = 1;
  readonly #opening = new Set<GroupId>();
  /** Rises each time that everything here is held back. */
  #suspensions = 0;
  /** Brokers that said they stop, until they are connected anew. */
  readonly #leaving = new Set<BrokerId>();

  constructor(store: LogStore, host: ReplicaHost, links: PeerLinks, config: BrokerConfig, ports: PartitionSetPorts) {
    this.#store = store;
    this.#host = host;
    this.#links = links;
    this.#config = config;
    this.#ports = ports;
    this.#held = new HeldReplicas(ports.clock);
    this.#ticks = new IsrTicks(ports.clock, config.timings.heartbeatMs, ports.succeed);
    this.#clocks = new PeerClocks({ clock: ports.clock, links, others: ports.others });
    this.age = new AgeClock(ports.clock, this.#clocks);
    this.#retention = new RetentionLoop(ports.clock, ports.telemetry, config.timings.retentionCheckMs, this.age, () =>
      this.all.filter(({ partition }) => partition.machine === undefined).map(({ retention }) => retention),
    );
    this.#handover = new FullDiskHandover(ports.clock, ports.telemetry, store.space, () => this.all.map(({ partition }) => partition));
    this.#unplaced = this.#makeUnplaced();
    const { clock, telemetry, inflate, askController, diskFull, settled, machines, changed } = ports;
    this.#hosting = {
      ...{ clock, telemetry, inflate, askController, diskFull, settled, machines, changed },
      ring: store,
      stays: (broker) => this.stays(broker),
      readIndex: (hosted, done) => this.readIndex(hosted, done),
      touch: (partition) => this.#ticks.touch(partition),
      ended: (hosted) => this.#ended(hosted),
    };
  }

  #makeUnplaced(): Unplaced {
    const { incarnation, clock, telemetry, submit, reconcileAgain: again, failed } = this.#ports;
    const members = (groupId: GroupId): Promise<GroupMembers | undefined> => this.membersHere(groupId);
    const ports = { self: this.#config.brokerId, incarnation, clock, telemetry, links: this.#links, submit, again, failed };
    return new Unplaced({ ...ports, membersHere: members });
  }

  get(groupId: GroupId): HostedPartition | undefined {
    return this.#partitions.get(groupId);
  }
  get all(): readonly HostedPartition[] {
    return [...this.#partitions.values()];
  }

  /** A replica found on disk is opened before any metadata is read: it may be needed to elect. Resolves when it is. */
  openRecovered(recovered: RecoveredGroup): Promise<void> | undefined {
    return this.#opened(this.#found(recovered), GroupConfig.decode(recovered.config), recovered);
  }

  #found({ groupId, config }: RecoveredGroup): GroupLog {
    // Nothing of a machine's log is let go of before it is known which snapshot is whole.
    return this.#ports.machines.runsOn(GroupConfig.decode(config).topic) ? this.#store.open(groupId, keepAll) : this.#store.open(groupId);
  }

  /** Groups whose replica is here and not open yet. */
  get opening(): Iterable<GroupId> {
    return this.#opening;
  }

  /** A replica found on disk that a recovery may have given up: opened when the metadata was read (ADR 0014). */
  hold(recovered: RecoveredGroup): void {
    this.#held.hold(this.#found(recovered));
  }

  /** There was a recovery that is not known here: nothing is served, nobody voted for, until the image tells of it. */
  suspend(): void {
    this.#suspensions += 1;
    for (const [groupId, hosted] of this.#partitions) {
      const { replica } = hosted.partition;
      // One that is being reset is closed already, and follows a leader that somebody elected.
      if (this.#host.get(groupId) !== replica) continue;
      this.#close(hosted);
      this.#held.hold(replica.log, replica);
    }
  }

  get holdsBack(): boolean {
    return this.#held.any;
  }

  /** Makes what is missing, deletes what a tombstone names, passes settings on. Runs one at a time. */
  reconcile(image: MetadataImage): void {
    for (const hosted of this.#partitions.values()) {
      const known = image.partitionOfGroup(hosted.partition.options.groupId);
      if (known === undefined) continue;
      hosted.partition.changed(this.#settings(known, image));
      this.#ticks.touch(hosted.partition);
    }
    if (this.#closed) return;
    if (this.#reconciling !== undefined) {
      this.#again = true;
      return;
    }
    this.#allMade = false;
    this.#reconciling = this.#reconcileFiles(image)
      .then((all) => {
        this.#allMade = all;
      })
      .catch((error: unknown) => this.#ports.failed(error))
      .finally(() => {
        this.#reconciling = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.reconcile(image);
      });
  }

  /** Resolves when nothing is made or deleted any more, with whether all that the newest image places on this disk is there. */
  async reconciled(): Promise<boolean> {
    while (this.#reconciling !== undefined) await this.#reconciling;
    return this.#allMade;
  }

  /** Linearizable: `done` with the commit index of a confirmed leader, or undefined when it is not (any more) the leader. */
  readIndex(hosted: HostedPartition, done: (index: LogIndex | undefined) => void): void {
    const context = this.#nextRead++;
    hosted.reads.set(context, done);
    hosted.partition.replica.readIndex(context);
  }

  /** What a leader here says of its group; undefined: nothing, ask again or elsewhere. */
  async membersHere(groupId: GroupId): Promise<GroupMembers | undefined> {
    const hosted = this.#partitions.get(groupId);
    return hosted === undefined ? undefined : membersHere(hosted.partition.replica, (done) => this.readIndex(hosted, done));
  }

  /** Connected, and has not said that it stops: it may be counted on. */
  stays(broker: BrokerId): boolean {
    return this.#links.connected(broker) && !this.#leaving.has(broker);
  }

  peerLeaves(broker: BrokerId): void {
    this.#leaving.add(broker);
    for (const { partition } of this.all) {
      // First: who is in sync is judged at once, and the time in which nobody looked is no time in which this process stood still.
      this.#ticks.touch(partition);
      partition.peerLeaves(broker);
    }
  }
  peerGone(broker: BrokerId): void {
    for (const { partition } of this.all) {
      this.#ticks.touch(partition);
      partition.peerGone(broker);
    }
  }
  peerBack(broker: BrokerId): void {
    this.#leaving.delete(broker);
    this.#clocks.peerBack(broker);
    for (const { partition } of this.all) partition.peerBack(broker);
  }

  /** What is known of the disks of others changed. */
  disksChanged(): void {
    for (const { partition } of this.all) {
      this.#ticks.touch(partition);
      partition.tickIsr();
    }
  }

  /** Nothing is made or deleted any more; resolves when what was under way has ended, so that the store may be closed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ticks.close();
    this.#retention.close();
    this.#clocks.close();
    this.#handover.close();
    this.#unplaced.close();
    await this.#reconciling;
  }

  /** What recoveries after a lost majority mean here: who was given up is set aside, who survived goes on alone. */
  async #followRecoveries(image: MetadataImage): Promise<void> {
    if (this.#ports.mayOpen())
      await this.#held.release(
        (groupId, replicaId) => this.#closed || isFenced(image, groupId, replicaId),
        (log) => this.#opened(log, GroupConfig.decode(log.asRecovered.config), log.asRecovered),
      );
    for (const [groupId, hosted] of this.#partitions) {
      const { replica, name } = hosted.partition;
      const { recovery, claim } = image.partitionOfGroup(groupId) ?? {};
      if (this.#closed || recovery === undefined) continue;
      if (recovery.fenced.includes(replica.id)) {
        this.#close(hosted);
        this.#held.hold(replica.log, replica);
      } else if (
        recovery.survivor === replica.id &&
        // Once the survivor has claimed a term, others may vote: a disk that forgot since looks as if nothing had been done yet, and an
        // image of a while ago as if it were not known.
        claim?.term === recovery.term &&
        this.#ports.settled() &&
        needsRecovery(replica, recovery.number)
      ) {
        if (!replica.recover(recovery.number, recovery.fenced, recovery.term)) this.#later(RECOVER_RETRY_MS);
        else this.#ports.telemetry.log("warn", "partition.recovered", { partition: name, groupId, recovery: recovery.number });
      }
    }
    for (const log of this.#held.take((groupId, replicaId) => isFenced(image, groupId, replicaId))) {
      if (this.#closed) return;
      await this.#store.drop(log.groupId, "fenced");
      this.#ports.telemetry.log("warn", "partition.fenced", { groupId: log.groupId, replicaId: log.replicaId });
    }
  }

  #later(ms: number): void {
    this.#ports.clock.after(ms, () => this.#ports.reconcileAgain());
  }

  /** @returns whether every replica that belongs on this disk is there */
  async #reconcileFiles(image: MetadataImage): Promise<boolean> {
    const self = this.#config.brokerId;
    let all = true;
    await this.#followRecoveries(image);
    const outlived = this.#outlived(image);
    for (const { partition, replica } of image.hostedBy(self)) {
      if (this.#closed) return false;
      // After a start the image passes through all that ever was. A replica placed on the disk this broker had before stays lost: made
      // here under the same id it would vote without what the lost one had promised (D5).
      if (replica.incarnation !== this.#ports.incarnation) continue;
      // And topics are in it that were deleted later.
      if (this.#store.wasDropped(replica.replicaId)) continue;
      if (this.#held.has(partition.groupId) || this.#opening.has(partition.groupId)) {
        all = false;
        continue;
      }
      const here = this.#partitions.get(partition.groupId);
      if (here?.partition.replica.id === replica.replicaId) continue;
      if (here !== undefined && !outlived.has(here)) {
        all = false;
        continue;
      }
      if (here !== undefined) await this.#setAside(here);
      const topic = image.topics.get(partition.topicId)?.name ?? "";
      const config = configOfPlaced(partition, replica, topic);
      const alone = config.members.length === 1 && replica.joined === undefined;
      const log = await this.#made(this.#store.create(partition.groupId, replica.replicaId, emptyStart, GroupConfig.encode(config), alone));
      if (log === undefined) all = false;
      if (log === undefined) continue;
      if (this.#closed) return false;
      const opened = this.#opened(log, config, undefined);
      if (opened !== undefined) await opened;
      if (partition.replicas[0]?.replicaId === replica.replicaId && replica.joined === undefined)
        campaignSoon(this.#ports.clock, (groupId) => this.#partitions.get(groupId)?.partition.replica, partition.groupId);
      this.#partitions.get(partition.groupId)?.partition.changed(this.#settings(partition, image));
    }
    const confirmed: TopicId[] = [];
    for (const tombstone of image.tombstonesFor(self)) {
      const groups = new Set(tombstone.replicas.map(({ groupId }) => groupId));
      // What is held back is opened first, and deleted then.
      if ([...groups].some((groupId) => this.#held.has(groupId))) continue;
      // Also a replica that was not placed any more, or not again: groups are made once, and this one is deleted.
      for (const groupId of groups) {
        if (this.#closed) return false;
        await this.#delete(groupId);
      }
      confirmed.push(tombstone.topicId);
    }
    if (confirmed.length > 0) this.#ports.confirmDeleted(confirmed);
    // An old copy of this disk has what it confirmed once: no tombstone waits for it any more.
    for (const groupId of [...this.#partitions.keys()])
      if (this.#ports.settled() && !this.#closed && image.wasDeleted(groupId)) await this.#delete(groupId);
    return all;
  }

  /**
   * Replicas here that belong to nobody any more: where another one of the group is to be made on this very disk, they make way. Only an
   * image as new as this broker's start says that they are not placed; an older one passes through all that ever was.
   */
  #outlived(image: MetadataImage): ReadonlySet<HostedPartition> {
    if (!this.#ports.settled()) return new Set();
    const known = this.all.flatMap((hosted) => {
      const partition = image.partitionOfGroup(hosted.partition.options.groupId);
      return partition === undefined ? [] : [{ hosted, partition }];
    });
    this.#unplaced.only(new Set(known.map(({ partition }) => partition.groupId)));
    const outlived = known.filter(({ hosted, partition }) => this.#unplaced.outlived(partition, hosted.partition.replica));
    return new Set(outlived.map(({ hosted }) => hosted));
  }

  async #delete(groupId: GroupId): Promise<void> {
    const hosted = this.#partitions.get(groupId);
    if (hosted === undefined) return;
    this.#close(hosted);
    await this.#store.drop(groupId);
    this.#ports.telemetry.log("info", "partition.deleted", { partition: hosted.partition.name, groupId });
  }

  async #setAside(hosted: HostedPartition): Promise<void> {
    const { groupId, id } = hosted.partition.replica;
    this.#close(hosted);
    await this.#store.drop(groupId, "set aside");
    this.#ports.telemetry.log("warn", "replica.set_aside", { partition: hosted.partition.name, groupId, replicaId: id });
  }

  #close(hosted: HostedPartition): void {
    const { groupId } = hosted.partition.options;
    this.#host.closeReplica(groupId);
    this.#partitions.delete(groupId);
    this.#ended(hosted);
    if (hosted.partition.machine !== undefined) this.#ports.machines.forget(hosted.partition.replica.log);
  }

  /** The replica was closed: whoever waits for it asks elsewhere. */
  #ended(hosted: HostedPartition): void {
    hosted.partition.replicaClosed();
    hosted.partition.machine?.closed();
    hosted.reader.moved();
    for (const done of hosted.reads.values()) done(undefined);
    hosted.reads.clear();
    this.#ports.changed(hosted.partition.options.groupId);
  }

  /** A replica that finds no room for its folder is made later: deleting others, which comes next, may give it some. */
  async #made(log: Promise<GroupLog>): Promise<GroupLog | undefined> {
    try {
      return await log;
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      this.#ports.clock.after(NO_ROOM_RETRY_MS, () => this.#ports.reconcileAgain());
      return undefined;
    }
  }

  /** Of a machine's log the snapshot is read before. Undefined: it is open when this returns. */
  #opened(log: GroupLog, config: GroupConfig, recovered: RecoveredGroup | undefined): Promise<void> | undefined {
    if (this.#ports.machines.runsOn(config.topic)) return this.#prepared(log, config, recovered);
    this.#open(log, config, recovered);
    return undefined;
  }

  async #prepared(log: GroupLog, config: GroupConfig, recovered: RecoveredGroup | undefined): Promise<void> {
    const suspensions = this.#suspensions;
    this.#opening.add(log.groupId);
    const restored = await this.#ports.machines.prepare(log, config);
    this.#opening.delete(log.groupId);
    if (this.#closed) return;
    // There was a recovery that is not known here.
    if (this.#suspensions !== suspensions) return this.#held.hold(log);
    const syncedIndex = Math.max(recovered?.syncedIndex ?? 0, restored) as LogIndex;
    this.#open(log, config, recovered === undefined ? undefined : { ...recovered, syncedIndex });
  }

  #unknown({ topic }: GroupConfig): PartitionSettings {
    const { log } = this.#config;
    return this.#ports.machines.runsOn(topic) ? machineSettings(log, machineSegmentBytes(this.#config)) : unknownSettings(log);
  }

  #settings(partition: PartitionImage, image: MetadataImage): PartitionSettings {
    return settingsOf(partition, image, this.#config.log, machineSegmentBytes(this.#config));
  }

  #open(log: GroupLog, config: GroupConfig, recovered: RecoveredGroup | undefined): void {
    this.#host.open(log, config, recovered, (replica) => {
      // A replica that begins anew knows what it knew.
      const settings = this.#partitions.get(log.groupId)?.partition.settings ?? this.#unknown(config);
      const hosted = hostPartition(this.#hosting, this.#config, replica, config, settings);
      this.#partitions.set(log.groupId, hosted);
      return ownerOf(hosted, this.#hosting);
    });
  }
}
