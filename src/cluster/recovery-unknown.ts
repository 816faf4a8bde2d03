import { type GroupId, METADATA_GROUP, type TopicId } from "../base/ids.ts";
import type { PlacedMember, Standing, Survey } from "./recovery-plan.ts";
import { better } from "./recovery-rank.ts";

/** A copy on a disk, as its broker says. */
export interface UnknownCopy
  extends PlacedMember,
    Pick<Standing, "lastIndex" | "lastTerm" | "commit" | "endOffset" | "quarantined" | "holes"> {}

/** A partition that is on disks, and in no metadata. */
export interface UnknownPartition {
  readonly groupId: GroupId;
  /** Empty: a broker of before it was said; the number of its group is all that is known of it. */
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  /** Best first. */
  readonly copies: readonly UnknownCopy[];
  /** Another topic has its name now. */
  readonly remade: boolean;
}

/**
 * Copies of groups that the metadata does not know: what made their topic was lost with the metadata's majority, or their topic was deleted
 * while their disk was away. Where nobody can tell which, nobody serves them, and no broker deletes them (`MetadataImage.wasDeleted`).
 *
 * @param metadataLost what it recorded last is lost as well; else a group above all that it gave out is only one that it has not heard of yet, and
 * one that was deleted goes as soon as its broker is registered
 */
export function unknownPartitions(
  { image, held }: Survey,
  byGroup: ReadonlyMap<GroupId, readonly Standing[]>,
  metadataLost: boolean,
): readonly UnknownPartition[] {
  // Who cannot read yet what stands has not opened it either.
  if (held.length > 0) return [];
  const deleted = new Set([...image.tombstones.values()].flatMap(({ replicas }) => replicas.map(({ groupId }) => groupId)));
  return [...byGroup]
    .filter(([groupId]) => groupId !== METADATA_GROUP && image.partitionOfGroup(groupId) === undefined && !deleted.has(groupId))
    .filter(([groupId]) => metadataLost || (groupId < image.nextIds.group && !image.wasDeleted(groupId)))
    .sort(([a], [b]) => a - b)
    .map(([groupId, standings]) => {
      const copies = [...standings].sort((a, b) => better(a, b, []));
      const { topicId = "" as TopicId, topic = "", partition = 0 } = copies.find((one) => one.topic !== "") ?? {};
      return { groupId, topicId, topic, partition, copies: copies.map(copyOf), remade: image.topicByName(topic) !== undefined };
    });
}

function copyOf({ replicaId, brokerId, lastIndex, lastTerm, commit, endOffset, quarantined, holes }: Standing): UnknownCopy {
  return { replicaId, brokerId, lastIndex, lastTerm, commit, endOffset, quarantined, holes };
}
