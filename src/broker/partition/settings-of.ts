import type { BrokerConfig, BrokerLogOptions } from "../../base/broker-config.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage } from "../../cluster/image-state.ts";
import { isInternalTopic } from "../../cluster/internal-topics.ts";
import type { PartitionSettings } from "./partition.ts";

/** Before any metadata was read. Nothing is let go of by then: only a leader does, and it serves only once it has read them. */
export function unknownSettings({ segmentBytes, segmentMs }: Pick<BrokerLogOptions, "segmentBytes" | "segmentMs">): PartitionSettings {
  return {
    isr: { isr: [], isrVersion: 0, claim: undefined },
    minInsyncReplicas: undefined,
    acksMin: "NONE",
    retention: { retentionMs: undefined, retentionBytes: undefined },
    segments: { segmentBytes, segmentMs },
    appendTimed: false,
  };
}

const MACHINE_SEGMENT_BYTES_MIN = 256;

/** Only whole segments can be trimmed behind a snapshot. */
export function machineSegmentBytes({ log, limits }: Pick<BrokerConfig, "log" | "limits">): number {
  return Math.min(log.segmentBytes, Math.max(limits.metadataSnapshotBytes / 2, MACHINE_SEGMENT_BYTES_MIN));
}

/** Of a partition whose log is a machine's: nobody's settings, for whoever it belongs to (ADR 0019). */
export function machineSettings({ segmentMs }: BrokerLogOptions, segmentBytes: number): PartitionSettings {
  return unknownSettings({ segmentMs, segmentBytes });
}

/** What the image says of a partition. @param machineSegment bytes of a segment of a machine's log */
export function settingsOf(
  partition: PartitionImage,
  image: MetadataImage,
  log: BrokerLogOptions,
  machineSegment: number,
): PartitionSettings {
  const isr = { isr: partition.isr, isrVersion: partition.isrVersion, claim: partition.claim };
  const topic = image.topics.get(partition.topicId);
  if (topic === undefined) return { ...unknownSettings(log), isr };
  if (isInternalTopic(topic.name)) return { ...machineSettings(log, machineSegment), isr };
  const { minInsyncReplicas, acksMin, retentionMs, retentionBytes, segmentBytes, segmentMs, appendTimed } = image.configOf(topic);
  return {
    isr,
    minInsyncReplicas,
    acksMin,
    retention: { retentionMs, retentionBytes },
    segments: { segmentBytes: segmentBytes ?? log.segmentBytes, segmentMs: segmentMs ?? log.segmentMs },
    appendTimed,
  };
}
