import type { BrokerConfig } from "../base/broker-config.ts";
import type { BrokerId, GroupId, LogIndex, TopicId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { GroupConfig } from "../protocol/routing.ts";
import type { PartitionMachines } from "./machine/partition-machine.ts";
import { Partition } from "./partition/partition.ts";
import { PartitionRetention } from "./partition/partition-retention.ts";
import type { PartitionPorts, PartitionSettings } from "./partition/partition-types.ts";
import { PartitionReader } from "./partition/reader.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaOwner } from "./replica-host.ts";

/** Milliseconds between tries to record an ISR that was refused. */
const ISR_RETRY_MS = 200;

export interface HostedPartition {
  readonly partition: Partition;
  readonly reader: PartitionReader;
  readonly reads: Map<number, (index: LogIndex | undefined) => void>;
  readonly retention: PartitionRetention;
}

export interface HostingPorts extends Pick<PartitionPorts, "askController" | "diskFull" | "settled" | "ring"> {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly inflate: Inflate;
  readonly machines: PartitionMachines;
  stays(broker: BrokerId): boolean;
  /** A group's leader, or whether it serves here, may have changed. */
  changed(groupId: GroupId): void;
  readIndex(hosted: HostedPartition, done: (index: LogIndex | undefined) => void): void;
  /** Something moves in it. */
  touch(partition: Partition): void;
  /** The replica was closed. */
  ended(hosted: HostedPartition): void;
}

/** A partition over a replica that is just being opened: with what reads it, what lets go of it, or the machine whose log it is. */
export function hostPartition(
  ports: HostingPorts,
  { timings, limits }: Pick<BrokerConfig, "timings" | "limits">,
  replica: Replica,
  config: GroupConfig,
  settings: PartitionSettings,
): HostedPartition {
  const { clock, askController, ring, diskFull, settled, machines } = ports;
  const partition = new Partition(
    {
      topicId: config.topicId as TopicId,
      topic: config.topic,
      number: config.partition,
      groupId: replica.groupId,
      get members() {
        return replica.members.all;
      },
      pendingBytesMax: limits.producePendingMaxBytes,
      replicaLagMaxMs: timings.replicaLagMaxMs,
      silentMs: 2 * timings.electionMaxMs,
      isrRetryMs: ISR_RETRY_MS,
    },
    replica,
    settings,
    {
      clock,
      askController,
      ring,
      diskFull,
      stays: (broker) => ports.stays(broker),
      settled,
      moved: () => {
        reader.moved();
        ports.changed(replica.groupId);
      },
    },
  );
  const reader = new PartitionReader(partition, clock, ports.inflate, (done) => ports.readIndex(hosted, done));
  const hosted: HostedPartition = { partition, reader, reads: new Map(), retention: new PartitionRetention(partition, clock) };
  if (machines.runsOn(config.topic)) partition.machine = machines.open(partition, (done) => ports.readIndex(hosted, done));
  return hosted;
}

/** What the replica of a partition tells it, and the machine beside it. */
export function ownerOf(hosted: HostedPartition, { clock, telemetry, touch, ended }: HostingPorts): ReplicaOwner {
  const { partition, reads } = hosted;
  const { replica, machine } = partition;
  return {
    committed: () => {},
    truncated: (from) => partition.truncated(from),
    configured: () => partition.configured(),
    roleChanged: () => {
      const { role, term } = replica.core;
      telemetry.log("info", "partition.role", { partition: partition.name, role, term });
      partition.roleChanged();
      machine?.roleChanged();
      // The claim goes out at once: until it is recorded, ALL waits for every voter (design §6).
      clock.soon(() => partition.tickIsr());
    },
    progressed: () => {
      // First: a handover waits for its answers.
      machine?.progressed();
      partition.examine();
      touch(partition);
    },
    read: (context, index) => {
      const done = reads.get(context);
      reads.delete(context);
      // Not inside the replica's outputs: what waits for this may append.
      if (done !== undefined) clock.soon(() => done(index));
    },
    ...(machine === undefined ? {} : { prepareReset: (source, point) => machine.prepareReset(source, point) }),
    transferEnded: (_to, done) => clock.soon(() => partition.transferEnded(done)),
    closed: () => ended(hosted),
  };
}
