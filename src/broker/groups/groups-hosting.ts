import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, LogIndex, ReplicaId } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { Background } from "../../base/ports/background.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { GROUPS_TOPIC } from "../../cluster/internal-topics.ts";
import { GroupsImage } from "../../consumer-groups/image.ts";
import { groupFacts } from "../../consumer-groups/machine.ts";
import type { Snapshots } from "../../log/snapshots.ts";
import type { GroupLog, LogStore } from "../../log/types.ts";
import type { GroupConfig } from "../../protocol/routing.ts";
import type { Admission } from "../machine/decider.ts";
import type { MachineGroup } from "../machine/machine.ts";
import { MachineReplica } from "../machine/machine-replica.ts";
import { MachineSnapshots } from "../machine/machine-snapshots.ts";
import { MachineView } from "../machine/machine-view.ts";
import type { PartitionMachine, PartitionMachines } from "../machine/partition-machine.ts";
import type { SnapshotNotices } from "../machine/snapshot-keeper.ts";
import type { Ask } from "../machine/turn-reads.ts";
import type { Partition } from "../partition/partition.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { GroupsView, MakeShardLeader, OpenShards, Shard, ShardLeader } from "./shards.ts";

export interface GroupsHostingPorts<Leader extends ShardLeader> {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly background: Background;
  readonly links: Pick<PeerLinks, "call">;
  readonly store: Pick<LogStore, "snapshots">;
  /** Other brokers with a replica of the group. */
  readonly others: (groupId: GroupId) => readonly BrokerId[];
  /** A snapshot is taken when so many bytes of frames were replayed since the last one. */
  readonly snapshotEveryBytes: number;
  readonly recoveryEpoch: () => number;
  readonly makeLeader: MakeShardLeader<Leader>;
  /** Whether it decides here, may have changed. */
  readonly changed: (groupId: GroupId) => void;
  /** The disk failed: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

interface Hosted<Leader extends ShardLeader> {
  readonly group: MachineGroup;
  readonly number: number;
  readonly view: GroupsView;
  readonly snapshots: MachineSnapshots;
  shard: Shard<Leader> | undefined;
}

/**
 * The shards of `__groups` on this broker (design §9, ADR 0019): beside each partition's replica a machine with its image and its snapshots.
 * Placement, replacement, recovery and handover are the partition's.
 */
export class GroupsHosting<Leader extends ShardLeader> implements PartitionMachines, OpenShards<Leader> {
  readonly #ports: GroupsHostingPorts<Leader>;
  readonly #hosted = new Map<GroupId, Hosted<Leader>>();
  /** One for each replica, also of those that were closed and are opened again: one snapshot is written at a time. */
  readonly #files = new Map<GroupId, { readonly replicaId: ReplicaId; readonly files: Snapshots }>();

  constructor(ports: GroupsHostingPorts<Leader>) {
    this.#ports = ports;
  }

  get(groupId: GroupId): Shard<Leader> | undefined {
    return this.#hosted.get(groupId)?.shard;
  }

  get all(): readonly Shard<Leader>[] {
    return [...this.#hosted.values()].flatMap(({ shard }) => shard ?? []);
  }

  /** For another broker that asks. */
  snapshotsOf(groupId: GroupId): MachineSnapshots | undefined {
    return this.#hosted.get(groupId)?.snapshots;
  }

  runsOn(topic: string): boolean {
    return topic === GROUPS_TOPIC;
  }

  prepare(log: GroupLog, config: GroupConfig): Promise<LogIndex> {
    const { groupId } = log;
    const group = { groupId, name: `${config.topic}-${config.partition}` };
    const view = new MachineView(group, GroupsImage.empty(), groupFacts);
    const { clock, telemetry, background, links, others, snapshotEveryBytes, recoveryEpoch, failed } = this.#ports;
    const options = { everyBytes: snapshotEveryBytes, recoveryEpoch: recoveryEpoch() };
    const ports = { clock, background, links, failed, notices: noticesOf(telemetry, group.name) };
    const snapshots = new MachineSnapshots(group, this.#filesOf(log), view, () => others(groupId), options, ports);
    this.#hosted.set(groupId, { group, number: config.partition, view, snapshots, shard: undefined });
    return snapshots.restore(log);
  }

  #filesOf({ groupId, replicaId }: GroupLog): Snapshots {
    const known = this.#files.get(groupId);
    if (known?.replicaId === replicaId) return known.files;
    const files = this.#ports.store.snapshots(groupId);
    this.#files.set(groupId, { replicaId, files });
    return files;
  }

  open(partition: Partition, confirmed: (done: (index: LogIndex | undefined) => void) => void): PartitionMachine {
    const { replica } = partition;
    const { groupId } = replica;
    const hosted = this.#hosted.get(groupId);
    invariant(hosted !== undefined, () => `shard ${partition.name} was prepared`);
    const { clock, makeLeader, changed } = this.#ports;
    const { number, view, snapshots } = hosted;
    const admit: Admission = (bytes) => partition.refuseFrame(bytes);
    const reads = new Set<() => void>();
    const parts = { confirmed: confirmedFrom(confirmed, reads), changed: () => changed(groupId) };
    const leader = makeLeader({ shard: number, groupId, replica, view, admit, ...parts });
    const machine = new MachineReplica(replica, {
      clock,
      view,
      snapshots,
      leader,
      // The partition says it.
      roleChanged: () => {},
      failed: (error) => this.#failed(hosted, error),
    });
    const shard = { shard: number, groupId, replica, view, admit, leader, read: readFrom(view, confirmed, reads) };
    hosted.shard = shard;
    return {
      get active() {
        return leader.active;
      },
      get busy() {
        return leader.waiting > 0;
      },
      roleChanged: () => machine.roleChanged(),
      progressed: () => machine.progressed(),
      prepareReset: (source, point) => machine.prepareReset(source, point),
      closed: () => {
        if (hosted.shard === shard) hosted.shard = undefined;
        machine.closed();
        leader.closed();
        for (const end of [...reads]) end();
      },
    };
  }

  forget({ groupId }: GroupLog): void {
    this.#hosted.get(groupId)?.snapshots.stop();
    this.#hosted.delete(groupId);
  }

  close(): void {
    for (const { snapshots } of this.#hosted.values()) snapshots.stop();
  }

  /** What is lost on every replica ends this shard, not the broker: nobody decides in it any more, since nobody replays all of it. */
  #failed({ group }: Hosted<Leader>, error: unknown): void {
    if (!(error instanceof MillraceError) || error.code !== "DATA_LOSS") return this.#ports.failed(error);
    this.#ports.telemetry.log("warn", "groups.lost", { partition: group.name, reason: error.message });
  }
}

/** @param reads those that are waiting: each ended by a call, as one of a replica that does not lead */
function readFrom(
  view: GroupsView,
  confirmed: (done: (index: LogIndex | undefined) => void) => void,
  reads: Set<() => void>,
): Shard<ShardLeader>["read"] {
  return (done) => {
    let forget = (): void => {};
    const end = (image: GroupsImage | undefined): void => {
      if (reads.delete(lost)) done(image);
    };
    const lost = (): void => {
      forget();
      end(undefined);
    };
    reads.add(lost);
    confirmed((index) => {
      if (index === undefined) end(undefined);
      else if (reads.has(lost)) forget = view.whenApplied(index, () => end(view.image));
    });
    return () => {
      if (reads.delete(lost)) forget();
    };
  };
}

/** @param reads as of `readFrom` */
function confirmedFrom(confirmed: (done: (index: LogIndex | undefined) => void) => void, reads: Set<() => void>): Ask<LogIndex> {
  return (done) => {
    const end = (index: LogIndex | undefined): void => {
      if (reads.delete(lost)) done(index);
    };
    const lost = (): void => end(undefined);
    reads.add(lost);
    confirmed(end);
    return () => void reads.delete(lost);
  };
}

function noticesOf(telemetry: Pick<Telemetry, "log">, partition: string): SnapshotNotices {
  return {
    taken: (index) => telemetry.log("info", "groups.snapshot", { partition, index }),
    postponed: () => telemetry.log("warn", "groups.snapshot_postponed", { partition }),
    damaged: (path, position, what) => telemetry.log("warn", "groups.snapshot_damaged", { partition, path, position, what }),
  };
}

/** Until there is a coordinator: nothing is decided. */
export const idleLeader: MakeShardLeader<ShardLeader> = ({ replica }) => ({
  get active() {
    return replica.serves;
  },
  waiting: 0,
  advanced() {},
  closed() {},
});
