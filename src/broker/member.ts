import type { BrokerConfig } from "../base/broker-config.ts";
import { MillraceError } from "../base/errors.ts";
import { type BrokerId, type GroupId, METADATA_GROUP, type Offset, type ReplicaId, type Term, type TopicId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Caller, Until } from "../base/until.ts";
import type { DecideLimits } from "../cluster/decision.ts";
import type { Form } from "../cluster/formation-rules.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { PartitionImage } from "../cluster/image-state.ts";
import type { Meta } from "../log/meta.ts";
import type { LogStore } from "../log/types.ts";
import type { BrokerReport } from "../protocol/routing.ts";
import { Departure } from "./departure.ts";
import { DiskNotices } from "./disk-notices.ts";
import type { GroupCalls } from "./groups/calls/group-calls.ts";
import type { Coordinator } from "./groups/coordinator/coordinator.ts";
import { type GroupTopics, topicDirectory } from "./groups/coordinator/topic-directory.ts";
import { groupCalls, makeCoordinator, tellOfTopics } from "./groups/group-parts.ts";
import { GroupsHosting } from "./groups/groups-hosting.ts";
import { GroupsShards } from "./groups/shards.ts";
import { IsrRecorder } from "./isr-recorder.ts";
import { Amnesia } from "./membership/amnesia.ts";
import { registerAtDoor } from "./membership/join-registration.ts";
import { Registration, type Software } from "./membership/registration.ts";
import { Replacements } from "./membership/replacements.ts";
import { Sessions } from "./membership/sessions.ts";
import { Succession } from "./membership/succession.ts";
import { MetadataGroup } from "./metadata/metadata-group.ts";
import { MetadataReplica } from "./metadata/metadata-replica.ts";
import { MetadataView } from "./metadata/metadata-view.ts";
import type { Trimmed } from "./partition/trim-partition.ts";
import { PartitionSet } from "./partition-set.ts";
import type { MemberParts } from "./peer-service.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import type { BrokerPorts } from "./ports.ts";
import { Recoveries } from "./recovery/recoveries.ts";
import { Repairer } from "./repair/repairer.ts";
import { Scrubber } from "./repair/scrubber.ts";
import { ReplicaHost } from "./replica-host.ts";
import { Reports } from "./reports.ts";
import { RoutedLog } from "./routing/log-backend.ts";
import { type LeaderView, Router } from "./routing/router.ts";
import type { AdminBackend } from "./services/admin-calls.ts";
import type { ClusterReports } from "./services/health.ts";
import { type Transferred, Transfers } from "./transfers.ts";

const CONFIRM_MS = 5_000;

/** A broker as a member of a cluster: what exists from the moment its directory belongs to one. Wires the parts; decides nothing itself. */
export class Member implements MemberParts, AdminBackend {
  readonly host: ReplicaHost;
  readonly group: MetadataGroup;
  readonly metadata: MetadataReplica;
  readonly amnesia: Amnesia;
  readonly sessions: Sessions;
  readonly partitions: PartitionSet;
  readonly router: Router;
  readonly log: RoutedLog;
  readonly #ports: BrokerPorts;
  readonly #config: BrokerConfig;
  readonly #links: PeerLinks;
  readonly #view: MetadataView;
  readonly #form: Form | undefined;
  readonly registration: Registration;
  readonly #transfers: Transfers;
  readonly #departure: Departure;
  readonly scrubber: Scrubber;
  readonly #repairer: Repairer;
  readonly #disks: DiskNotices;
  readonly #replacements: Replacements;
  readonly #failed: (error: unknown) => void;
  readonly #reports: Reports;
  /** Replicas of `__groups` here, and where the others are. */
  readonly groups: GroupsHosting<Coordinator>;
  readonly shards: GroupsShards<Coordinator>;
  /** Calls of groups, to whoever coordinates them. */
  readonly groupCalls: GroupCalls;
  /** The topics that groups can read. */
  readonly groupTopics: GroupTopics;
  readonly recoveries: Recoveries;
  #confirming = false;

  constructor(
    ports: BrokerPorts,
    config: BrokerConfig,
    software: Software,
    meta: Meta,
    form: Form | undefined,
    store: LogStore,
    links: PeerLinks,
    failed: (error: unknown) => void,
  ) {
    const { clock, random, telemetry } = ports;
    this.#ports = ports;
    this.#config = config;
    this.#links = links;
    this.#view = new MetadataView(software.levels);
    this.#form = form;
    this.#failed = failed;
    const limits: DecideLimits = {
      partitionsPerTopicMax: config.limits.partitionsPerTopicMax,
      partitionsMax: config.limits.partitionsMax,
      defaultPartitions: config.topicDefaults.partitions,
      defaultReplicas: config.topicDefaults.replicas,
    };
    this.group = new MetadataGroup(
      clock,
      telemetry,
      links,
      config.brokerId,
      config.seeds.map(({ id }) => id),
      limits,
      this.#view,
      () => this.#controllerChanged(),
      failed,
    );
    this.#repairer = new Repairer({
      clock,
      telemetry,
      links,
      bytesPerSecond: config.limits.catchUpBytesPerSecond,
      replica: (groupId) => this.host.get(groupId),
      others: (groupId) => this.host.others(groupId),
      failed,
    });
    store.repairer = this.#repairer;
    this.scrubber = new Scrubber({
      clock,
      random,
      telemetry,
      replicas: () => this.host.replicas,
      intervalMs: config.timings.scrubIntervalMs,
      failed,
    });
    const others = (): readonly BrokerId[] => [...this.image.brokers.keys()].filter((broker) => broker !== config.brokerId);
    this.#disks = new DiskNotices({
      clock,
      space: store.space,
      links,
      others,
      changed: () => this.partitions.disksChanged(),
    });
    this.recoveries = new Recoveries(ports, config, meta, links, {
      group: this.group,
      image: () => this.image,
      host: () => this.host,
      partitions: () => this.partitions,
      metadataOpening: () => this.metadata.opening,
      failed,
    });
    this.#reports = new Reports({
      clock,
      store,
      links,
      self: config.brokerId,
      startedAt: clock.monotonic(),
      others,
      partitions: () => this.partitions,
      metadataVersion: () => this.#view.applied,
    });
    const topics = topicDirectory(this.image, ports.patterns, clock);
    this.groupTopics = topics;
    this.groups = new GroupsHosting<Coordinator>({
      ...ports,
      links,
      store,
      others: (groupId) => this.host.others(groupId),
      snapshotEveryBytes: config.limits.metadataSnapshotBytes,
      recoveryEpoch: () => this.recoveries.epoch,
      makeLeader: makeCoordinator({
        ...ports,
        config,
        view: this.#view,
        group: this.group,
        topics,
        partitions: () => this.partitions,
        failed,
      }),
      changed: (groupId) => this.#leaderChanged(groupId),
      failed,
    });
    const leaderOf = (partition: PartitionImage): ReturnType<Member["leaderOf"]> => this.leaderOf(partition);
    this.shards = new GroupsShards({ random, image: () => this.image, group: this.group, leaderOf }, this.groups);
    this.host = new ReplicaHost(clock, random, config, links, store, (group, replica) => this.#placedOn(group, replica));
    this.sessions = new Sessions(clock, this.group, config.timings.brokerSessionMs);
    this.router = new Router({
      clock,
      forwardWaitMs: config.timings.forwardWaitMs,
      forwardPendingMaxBytes: config.limits.forwardPendingMaxBytes,
      abandonedBytes: () => links.abandonedBytes,
      view: (groupId) => this.#leaderView(groupId),
    });
    this.#replacements = new Replacements(clock, telemetry, this.group, config.limits.replacementsMax);
    const recorder = new IsrRecorder(clock, this.group, failed);
    const succession = new Succession(clock, telemetry, this.group, failed);
    this.partitions = new PartitionSet(store, this.host, links, config, {
      incarnation: meta.incarnation,
      clock,
      telemetry,
      inflate: ports.inflate,
      submit: (command, deadline) => this.group.submit(command, { deadline }),
      askController: (command, answered) => recorder.record(command, answered),
      changed: (groupId) => this.#leaderChanged(groupId),
      reconcileAgain: () => this.partitions.reconcile(this.image),
      others,
      diskFull: (broker) => this.#disks.full(broker),
      confirmDeleted: (topicIds) => void this.#confirmDeleted(topicIds),
      settled: () => this.registration.epoch !== undefined,
      succeed: (partition) => succession.tick(partition),
      machines: this.groups,
      mayOpen: () => this.recoveries.mayOpen(this.registration.epoch !== undefined),
      failed,
    });
    this.log = new RoutedLog(clock, config, this.image, this.group, this.partitions, links, this.router);
    this.groupCalls = groupCalls({
      clock,
      config,
      image: this.image,
      topics,
      group: this.group,
      shards: this.shards,
      log: this.log,
      partitions: this.partitions,
      router: this.router,
      links,
      failed,
    });
    this.registration = new Registration(clock, telemetry, this.group, config, meta.incarnation, software, failed, (command) =>
      registerAtDoor(
        links,
        doors(config),
        { clusterId: meta.clusterId ?? "", recoveryEpoch: this.recoveries.epoch },
        command,
        (address, { message }) => telemetry.log("warn", "broker.outdated", { address, reason: message }),
      ),
    );
    const registered = (): boolean => this.registration.epoch !== undefined;
    this.metadata = new MetadataReplica(
      { ...ports, store, links, host: this.host, group: this.group, registered, failed },
      config,
      this.recoveries,
    );
    this.amnesia = new Amnesia({
      clock,
      telemetry,
      store,
      replicas: () => this.host.replicas,
      registered,
      allMade: async () => (await this.partitions.reconciled()) && this.metadata.made,
      failed,
    });
    this.#transfers = new Transfers(clock, this.partitions, this.router, links, failed);
    this.#departure = new Departure({
      clock,
      self: config.brokerId,
      group: this.group,
      partitions: this.partitions,
      links,
      transfers: this.#transfers,
      image: () => this.image,
      metadataReplicas: () => this.group.replica?.members.voters ?? [],
    });
    this.#view.onChange((facts) => {
      for (const fact of facts ?? [])
        if (fact.kind === "featureLevelRaised")
          telemetry.log("info", "broker.level_raised", { featureLevel: fact.level, since: fact.since });
      this.#imageChanged();
    });
    tellOfTopics(this.#view, topics, this.shards);
  }

  get image(): MetadataImage {
    return this.#view.image;
  }

  async register(): Promise<void> {
    // What the log found at its start: copied from whoever can be reached, also while this broker is not registered yet.
    this.#tellHoles();
    await this.registration.start();
    // Told to stop meanwhile.
    if (this.registration.epoch === undefined) return;
    if (this.partitions.holdsBack) {
      this.partitions.reconcile(this.image);
      await this.partitions.reconciled();
      this.#tellHoles();
    }
    await this.recoveries.mark.joined();
    this.router.changedAll();
    this.scrubber.start();
    // What waited for it, because an older image may name what was replaced since.
    this.#imageChanged();
    this.amnesia.registered(this.image.nextIds.replica);
  }

  #tellHoles(): void {
    for (const { groupId, log } of this.host.replicas) if (log.holes.length > 0) this.#repairer.holesChanged(groupId, log.holes);
  }

  peerBack(broker: BrokerId): void {
    this.#metadataPeer(broker, "back");
    this.partitions.peerBack(broker);
    this.#disks.peerBack(broker);
    this.router.changedAll();
  }
  peerLeaves(broker: BrokerId): void {
    this.partitions.peerLeaves(broker);
  }
  peerDisk(broker: BrokerId, full: boolean): void {
    this.#disks.heard(broker, full);
  }
  peerGone(broker: BrokerId): void {
    this.#metadataPeer(broker, "gone");
    this.partitions.peerGone(broker);
  }

  async report(): Promise<BrokerReport> {
    return this.#reports.own;
  }

  reports(caller?: Caller): Promise<ClusterReports> {
    return this.#reports.ofAll(caller);
  }

  leaderOf(partition: PartitionImage): { readonly broker: BrokerId; readonly term: number } | undefined {
    const here = this.partitions.get(partition.groupId)?.partition;
    const claimed = this.image.leaderOf(partition);
    const hosted = here?.leaderBroker;
    if (here !== undefined && hosted !== undefined && here.replica.core.term >= (claimed?.term ?? 0))
      return { broker: hosted, term: here.replica.core.term };
    return claimed?.broker === undefined ? undefined : { broker: claimed.broker.id, term: claimed.term };
  }

  transfer(groupId: GroupId, to: number, until: Until): Promise<Transferred> {
    return this.#transfers.transfer(groupId, to, until);
  }

  trim(groupId: GroupId, before: Offset | undefined, until: Until): Promise<Trimmed> {
    return this.log.trim(groupId, before, until);
  }

  transferHere(groupId: GroupId, to: number, until: Until): Promise<Transferred> {
    return this.#transfers.transferHere(groupId, to, until);
  }

  /** Leaderships go to others, the metadata group's too, and no in-sync replicas count this broker any more. */
  async leave(graceMs: number): Promise<void> {
    this.registration.stop();
    await this.#departure.run(graceMs);
  }

  async close(): Promise<void> {
    this.registration.stop();
    this.metadata.close();
    this.amnesia.close();
    this.recoveries.close();
    this.sessions.close();
    this.#replacements.close();
    this.router.close();
    this.#repairer.close();
    this.scrubber.close();
    this.groups.close();
    const settled = this.partitions.close();
    this.host.close();
    await settled;
  }

  #metadataPeer(broker: BrokerId, what: "gone" | "back"): void {
    const replica = this.group.replica;
    for (const { replicaId, brokerId } of replica?.members.all ?? []) {
      if (brokerId !== broker || replicaId === replica?.id) continue;
      if (what === "gone") replica?.peerGone(replicaId);
      else replica?.peerBack(replicaId);
    }
  }

  /** Of a replica that no configuration stored here names: the metadata knows where it was placed. */
  #placedOn(group: GroupId, replica: ReplicaId): BrokerId | undefined {
    if (group !== METADATA_GROUP) return this.image.brokerOf(group, replica);
    for (const broker of this.image.brokers.values()) if (broker.metadataReplicaId === replica) return broker.id;
    return undefined;
  }

  #leaderChanged(groupId: GroupId): void {
    this.router.changed(groupId);
    this.shards.changed(groupId);
  }

  #leaderView(groupId: GroupId): LeaderView {
    const here = this.partitions.get(groupId)?.partition;
    if (here?.accepts === true && here.machine?.active !== false) return { local: true, becoming: false, remote: undefined };
    if (here?.replica.leads === true) return { local: false, becoming: true, remote: undefined };
    const partition = this.image.partitionOfGroup(groupId);
    const leader = partition === undefined ? undefined : this.leaderOf(partition);
    const reachable = leader !== undefined && leader.broker !== this.#config.brokerId && this.#links.callable(leader.broker);
    return { local: false, becoming: false, remote: reachable ? { broker: leader.broker, term: leader.term as Term } : undefined };
  }

  #imageChanged(): void {
    for (const broker of this.image.brokers.values()) this.#links.know(broker.id, broker.peerAddress);
    this.partitions.reconcile(this.image);
    this.router.changedAll();
    this.shards.imageChanged();
    this.metadata.imageChanged();
    this.recoveries.imageChanged();
  }

  #controllerChanged(): void {
    this.sessions.restart();
    this.#replacements.restart();
    const { controller } = this.group;
    if (controller !== undefined) this.recoveries.controls(controller);
    if (controller === undefined || controller.image.clusterId !== undefined) return;
    invariant(this.#form !== undefined, "only a seed that took the Form can become the first controller");
    controller.submit({ kind: "formCluster", clusterId: this.#form.clusterId, seeds: this.#form.seeds }, () => {});
  }

  /** One at a time; what could not be confirmed is tried again with the next change of the image. */
  async #confirmDeleted(topicIds: readonly TopicId[]): Promise<void> {
    if (this.#confirming) return;
    this.#confirming = true;
    try {
      const incarnation = this.image.brokers.get(this.#config.brokerId)?.incarnation;
      if (incarnation === undefined) return;
      await this.group.submit(
        { kind: "confirmDeleted", brokerId: this.#config.brokerId, incarnation, topicIds: [...topicIds] },
        { deadline: this.#ports.clock.monotonic() + CONFIRM_MS },
      );
    } catch (error) {
      if (!(error instanceof MillraceError)) this.#failed(error);
      else this.#ports.clock.after(CONFIRM_MS, () => this.partitions.reconcile(this.image));
    } finally {
      this.#confirming = false;
    }
  }
}

/** Where a broker asks that nobody is connected to. */
function doors({ seeds, join, brokerId }: BrokerConfig): readonly string[] {
  const others = seeds.filter(({ id }) => id !== brokerId).map(({ address }) => address);
  return join === undefined ? others : [join, ...others];
}
