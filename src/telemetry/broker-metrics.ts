import type { BrokerNumbers, PartitionNumbers } from "../base/metrics.ts";
import { header, type Labels, sample } from "./exposition.ts";
import { type GroupSeries, groupSeries } from "./group-metrics.ts";
import type { MetricsSource } from "./metrics.ts";

/** Partitions looked at, and written, in one go: some tenths of a millisecond (design §3: no piece takes 5 ms). */
export const PARTITIONS_PER_SLICE = 200;

/** What is told of a broker as a whole. */
export const brokerGauges = {
  millrace_broker_ready: "1 while this broker takes calls.",
  millrace_controller: "1 on the broker that is the controller.",
  millrace_controller_known: "1 while this broker knows a controller.",
  millrace_metadata_version: "Index of the last fact of the metadata this broker applied.",
  millrace_topics: "Topics of the cluster.",
  millrace_brokers_known: "Brokers of the cluster, registered.",
  millrace_brokers_connected: "Of them, those this broker is connected with, itself included.",
  millrace_calls_held_bytes: "Bytes of calls that wait until a leader is known.",
  millrace_calls_forwarded_bytes: "Bytes of calls handed to other brokers and not answered yet.",
  millrace_wal_files_used: "Files of the write-ahead log that may not be used again yet.",
  millrace_wal_files_max: "Files that the write-ahead log has or will have: `wal.files.max`, more after log.ring_grew.",
  millrace_uncommitted_bytes: "Bytes of frames not known to be committed.",
  millrace_uncommitted_max_bytes: "Leaders append nothing more above so many uncommitted bytes.",
  millrace_disk_free_bytes: "Free bytes of the file system of the data directory.",
  millrace_disk_reserve_bytes: "With less free than this no records are taken (disk.reserve.bytes).",
  millrace_disk_full: "1 while this broker takes no records for want of space.",
  millrace_catchup_rate_bytes:
    "Bytes per second that replicas far behind are sent at most now, by all catch-ups of this broker together; 0: no limit.",
  millrace_clock_ahead_seconds: "Seconds this broker's wall clock is ahead of the median of the brokers' clocks; below 0: behind.",
  millrace_retention_suspended: "1 while nothing is let go of because of its age, for this broker's wall clock is not to be trusted.",
  millrace_client_connections: "Connections of clients.",
  millrace_client_calls_open: "Calls of clients whose stream is open, subscriptions and produce streams too.",
  millrace_partitions: "Partitions this broker holds a replica of.",
  millrace_partitions_led: "Of them, those it leads.",
  millrace_partitions_leaderless: "Of them, those without a leader known here.",
  millrace_partitions_quarantined: "Of them, those whose replica here takes no part until it has learned again what it promised.",
  millrace_partitions_under_replicated: "Of those it leads, those with replicas not in sync.",
  millrace_partitions_under_min_isr: "Of those it leads, those that refuse acks=all.",
  millrace_produce_pending_bytes: "Bytes of batches that wait for their acks level.",
  millrace_produce_pending_batches: "Batches that wait for their acks level.",
  millrace_groups: "Consumer groups this broker coordinates.",
  millrace_metrics_partitions_dropped: "Partitions left out of the series per partition, because of metrics.partitions.max.",
  millrace_metrics_groups_dropped:
    "Of the groups this broker coordinates, those left out of the series per group, because of metrics.partitions.max.",
  millrace_metrics_group_partitions_dropped:
    "Partitions of groups with series that have none of their own, because of metrics.partitions.max.",
} as const;

/** What is told of each partition, up to `metrics.partitions.max` of them. */
export const partitionGauges = {
  millrace_partition_high_watermark: "Offset after the last committed record.",
  millrace_partition_log_end_offset: "Offset after the last record in this broker's log.",
  millrace_partition_log_start_offset: "Offset of the first record that is kept.",
  millrace_partition_in_sync_replicas: "In-sync replicas, told by the leader only.",
} as const;

const PER_PARTITION = Object.keys(partitionGauges).length;

export interface BrokerMetricsOptions {
  /** Undefined while the broker belongs to no cluster. */
  readonly numbers: () => BrokerNumbers | undefined;
  readonly ready: () => boolean;
  readonly connections: () => number;
  readonly openCalls: () => number;
  /**
   * Setting metrics.partitions.max. Series of groups take their room from those of partitions, up to a half of it: what a broker exports is
   * bounded, whatever there is of either.
   */
  readonly partitionsMax: number;
}

/** The gauges of a broker, read at every scrape: one look at each partition, in slices. */
export function brokerMetrics({ numbers, ready, connections, openCalls, partitionsMax }: BrokerMetricsOptions): MetricsSource {
  return async function* () {
    const now = numbers();
    const values = new Map<keyof typeof brokerGauges, number>([
      ["millrace_broker_ready", Number(ready())],
      ["millrace_client_connections", connections()],
      ["millrace_client_calls_open", openCalls()],
    ]);
    const perPartition = new Map(Object.entries(partitionGauges).map(([name, help]) => [name, [header(name, "gauge", help)]]));
    let groups: GroupSeries | undefined;
    if (now !== undefined) {
      groups = await groupSeries(now, Math.floor((partitionsMax * PER_PARTITION) / 2));
      const rows = partitionsMax - Math.ceil(groups.count / PER_PARTITION);
      tellBroker(now, values);
      tellGroups(now, groups, values);
      const totals = new Totals();
      let seen = 0;
      for (const partition of now.partitions()) {
        totals.add(partition);
        if (seen++ < rows) tellPartition(partition, perPartition);
        // Nothing is said yet, but others get their turn.
        if (seen % PARTITIONS_PER_SLICE === 0) yield "";
      }
      totals.tell(values);
      values.set("millrace_metrics_partitions_dropped", Math.max(0, seen - rows));
    }
    for (const [name, help] of Object.entries(brokerGauges)) {
      const value = values.get(name as keyof typeof brokerGauges);
      if (value !== undefined) yield header(name, "gauge", help) + sample(name, value);
    }
    for (const lines of [...perPartition.values(), ...(groups?.lines.values() ?? [])]) {
      if (lines.length === 1) continue;
      for (let at = 0; at < lines.length; at += PARTITIONS_PER_SLICE) yield lines.slice(at, at + PARTITIONS_PER_SLICE).join("");
    }
  };
}

function tellBroker(now: BrokerNumbers, values: Map<keyof typeof brokerGauges, number>): void {
  values.set("millrace_controller", Number(now.controller));
  values.set("millrace_controller_known", Number(now.controllerKnown));
  values.set("millrace_metadata_version", now.metadataVersion);
  values.set("millrace_topics", now.topics);
  values.set("millrace_brokers_known", now.brokersKnown);
  values.set("millrace_brokers_connected", now.brokersConnected);
  values.set("millrace_calls_held_bytes", now.heldBytes);
  values.set("millrace_calls_forwarded_bytes", now.forwardedBytes);
  values.set("millrace_wal_files_used", now.walFilesUsed);
  values.set("millrace_wal_files_max", now.walFilesMax);
  values.set("millrace_uncommitted_bytes", now.uncommittedBytes);
  values.set("millrace_uncommitted_max_bytes", now.uncommittedBytesMax);
  if (now.diskFreeBytes !== undefined) values.set("millrace_disk_free_bytes", now.diskFreeBytes);
  values.set("millrace_disk_reserve_bytes", now.diskReserveBytes);
  values.set("millrace_disk_full", Number(now.diskFull));
  values.set("millrace_catchup_rate_bytes", now.catchUpBytesPerSecond);
  if (now.clockAheadSeconds !== undefined) values.set("millrace_clock_ahead_seconds", now.clockAheadSeconds);
  values.set("millrace_retention_suspended", Number(!now.ageTrusted));
}

function tellGroups(now: BrokerNumbers, groups: GroupSeries, values: Map<keyof typeof brokerGauges, number>): void {
  values.set("millrace_groups", now.groupCount);
  values.set("millrace_metrics_groups_dropped", groups.groupsDropped);
  values.set("millrace_metrics_group_partitions_dropped", groups.partitionsDropped);
}

/** What the partitions add up to. */
class Totals {
  #partitions = 0;
  #led = 0;
  #leaderless = 0;
  #quarantined = 0;
  #underReplicated = 0;
  #underMinIsr = 0;
  #pendingBytes = 0;
  #pendingBatches = 0;

  add(partition: PartitionNumbers): void {
    this.#partitions++;
    if (!partition.led) this.#leaderless++;
    if (partition.quarantined) this.#quarantined++;
    this.#pendingBytes += partition.pendingBytes;
    this.#pendingBatches += partition.pendingBatches;
    if (!partition.leads) return;
    this.#led++;
    if (partition.inSyncReplicas < partition.replicas) this.#underReplicated++;
    if (partition.inSyncReplicas < partition.minInSyncReplicas) this.#underMinIsr++;
  }

  tell(values: Map<keyof typeof brokerGauges, number>): void {
    values.set("millrace_partitions", this.#partitions);
    values.set("millrace_partitions_led", this.#led);
    values.set("millrace_partitions_leaderless", this.#leaderless);
    values.set("millrace_partitions_quarantined", this.#quarantined);
    values.set("millrace_partitions_under_replicated", this.#underReplicated);
    values.set("millrace_partitions_under_min_isr", this.#underMinIsr);
    values.set("millrace_produce_pending_bytes", this.#pendingBytes);
    values.set("millrace_produce_pending_batches", this.#pendingBatches);
  }
}

function tellPartition(partition: PartitionNumbers, lines: ReadonlyMap<string, string[]>): void {
  const labels: Labels = { topic: partition.topic, partition: partition.partition };
  const tell = (name: keyof typeof partitionGauges, value: number): void => void lines.get(name)?.push(sample(name, value, labels));
  tell("millrace_partition_high_watermark", partition.highWatermark);
  tell("millrace_partition_log_end_offset", partition.logEndOffset);
  tell("millrace_partition_log_start_offset", partition.logStartOffset);
  if (partition.leads) tell("millrace_partition_in_sync_replicas", partition.inSyncReplicas);
}
