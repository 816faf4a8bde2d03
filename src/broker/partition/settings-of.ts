import type { BrokerLogOptions } from "../../base/broker-config.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage } from "../../cluster/image-state.ts";
import type { PartitionSettings } from "./partition.ts";

/** Before any metadata was read. Nothing is let go of by then: only a leader does, and it serves only once it has read them. */
export function unknownSettings({ segmentBytes, segmentMs }: BrokerLogOptions): PartitionSettings {
  return {
    isr: { isr: [], isrVersion: 0, claim: undefined },
    minInsyncReplicas: undefined,
    acksMin: "NONE",
    retention: { retentionMs: undefined, retentionBytes: undefined },
    segments: { segmentBytes, segmentMs },
    appendTimed: false,
  };
}

/** What the image says of a partition. */
export function settingsOf(partition: PartitionImage, image: MetadataImage, log: BrokerLogOptions): PartitionSettings {
  const isr = { isr: partition.isr, isrVersion: partition.isrVersion, claim: partition.claim };
  const topic = image.topics.get(partition.topicId);
  if (topic === undefined) return { ...unknownSettings(log), isr };
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
