import type { BrokerConfig } from "../../base/broker-config.ts";
import type { BrokerId } from "../../base/ids.ts";
import { counted } from "../../base/plural.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage } from "../../cluster/image-state.ts";
import { isInternalTopic } from "../../cluster/internal-topics.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import type { GetClusterHealthResponse } from "../../protocol/public.ts";
import type { BrokerReport, LedGroup } from "../../protocol/routing.ts";
import { effectiveMinIsr } from "../partition/acks.ts";

/** What each broker that answered says. */
export type ClusterReports = ReadonlyMap<BrokerId, BrokerReport>;

type Health = MessageInput<typeof GetClusterHealthResponse>;

/**
 * The verdict on a cluster: what the metadata says should be, against what the brokers say is. Judged from answers of now, not from
 * sessions, so that a broker killed a second ago is seen as gone.
 */
export function healthOf(image: MetadataImage, config: BrokerConfig, reports: ClusterReports, controller: BrokerId | undefined): Health {
  const reasons: { code: string; text: string }[] = [];
  const missing = [...image.brokers.keys()].filter((broker) => !reports.has(broker)).sort((a, b) => a - b);
  for (const broker of missing) reasons.push({ code: "BROKER_DOWN", text: `broker ${broker} does not answer` });
  for (const { id, address } of config.seeds) {
    if (!image.brokers.has(id)) reasons.push({ code: "BROKER_UNREGISTERED", text: `seed ${id} (${address}) has not registered` });
  }
  if (controller === undefined) reasons.push({ code: "NO_CONTROLLER", text: "no controller is known" });
  for (const broker of [...image.brokers.keys()].sort((a, b) => a - b)) {
    const lost = lostNames(image, broker);
    if (lost.length > 0)
      reasons.push({ code: "REPLICAS_LOST", text: `broker ${broker} has an emptied disk; missing on it: ${shortList(lost)}` });
  }
  for (const [broker, report] of [...reports].sort(([a], [b]) => a - b)) {
    if (report.diskFull) reasons.push({ code: "DISK_FULL", text: diskText(broker, report) });
  }
  const leaders = new Map<number, LedGroup>();
  for (const report of reports.values()) {
    for (const led of report.led) if (led.serving && led.term >= (leaders.get(led.groupId)?.term ?? -1)) leaders.set(led.groupId, led);
  }
  const named = (partition: PartitionImage): { topic: string; partition: number } => ({
    topic: image.topics.get(partition.topicId)?.name ?? "",
    partition: partition.partition,
  });
  const partitions = [...image.partitions.values()];
  const internal = partitions.filter(({ topicId }) => isInternalTopic(image.topics.get(topicId)?.name ?? "")).length;
  const leaderless = partitions.filter((partition) => !leaders.has(partition.groupId));
  const underReplicated = partitions.filter((partition) => partition.isr.length < partition.replicas.length);
  const underMinIsr = partitions.filter((partition) => {
    const topic = image.topics.get(partition.topicId);
    const configured = topic === undefined ? undefined : image.configOf(topic).minInsyncReplicas;
    return partition.isr.length < effectiveMinIsr(configured, partition.replicas.length);
  });
  if (leaderless.length > 0)
    reasons.push({ code: "LEADERLESS", text: `${counted(leaderless.length, "partition has", "partitions have")} no leader` });
  if (underReplicated.length > 0)
    reasons.push({
      code: "UNDER_REPLICATED",
      text: `${counted(underReplicated.length, "partition has", "partitions have")} replicas that are not in sync`,
    });
  if (underMinIsr.length > 0)
    reasons.push({ code: "UNDER_MIN_ISR", text: `${counted(underMinIsr.length, "partition refuses", "partitions refuse")} acks=ALL` });
  return {
    healthy: reasons.length === 0,
    reasons,
    brokersLive: reports.size,
    brokersKnown: Math.max(image.brokers.size, config.seeds.length),
    partitions: partitions.length - internal,
    internalPartitions: internal,
    leaderlessCount: leaderless.length,
    underReplicatedCount: underReplicated.length,
    underMinIsrCount: underMinIsr.length,
    leaderless: leaderless.slice(0, LISTED_MAX).map(named),
    underReplicated: underReplicated.slice(0, LISTED_MAX).map(named),
    underMinIsr: underMinIsr.slice(0, LISTED_MAX).map(named),
    controllerId: controller ?? 0,
  };
}

/** Partitions listed by name in one answer; the counts are whole. */
const LISTED_MAX = 100;

function diskText(broker: BrokerId, { diskFreeBytes, diskReserveBytes }: BrokerReport): string {
  const free = `${mebibytes(diskFreeBytes)} MiB free, its reserve is ${mebibytes(diskReserveBytes)} MiB`;
  return `the disk of broker ${broker} is full (${free}): it takes no records`;
}

function mebibytes(bytes: number): string {
  return (bytes / (1024 * 1024)).toFixed(1);
}

/** Replicas that were on the broker's former disk, by name: a seed's vote on the metadata first. */
function lostNames(image: MetadataImage, broker: BrokerId): readonly string[] {
  const seed = image.seeds.find(({ brokerId }) => brokerId === broker);
  const present = image.brokers.get(broker)?.incarnation;
  const metadata = seed !== undefined && present !== undefined && seed.incarnation !== present ? ["the metadata"] : [];
  const partitions = image
    .lostBy(broker)
    .map(({ partition }) => `${image.topics.get(partition.topicId)?.name ?? partition.topicId}-${partition.partition}`);
  return [...metadata, ...partitions];
}

/** Names in one sentence; the rest is counted. */
function shortList(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return more > 0 ? `${names.slice(0, NAMED_MAX).join(", ")} and ${more} more` : names.join(", ");
}

const NAMED_MAX = 20;
