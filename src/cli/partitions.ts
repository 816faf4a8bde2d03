import { counted } from "../base/plural.ts";
import { MillraceError, type TopicDescription } from "../client/index.ts";

/** Said before anything is read or sent. @throws {MillraceError} UNKNOWN_PARTITION */
export function refuseUnknownPartition(topic: TopicDescription, partition: number): void {
  const partitions = topic.partitions.length;
  if (topic.partitions.some((known) => known.partition === partition)) return;
  const which = partitions === 1 ? "only partition 0" : `${counted(partitions, "partition")}, 0 to ${partitions - 1}`;
  throw new MillraceError("UNKNOWN_PARTITION", `Cannot use partition ${partition} of ${topic.name}: it has ${which}`, {
    topic: topic.name,
    partitions: String(partitions),
  });
}
