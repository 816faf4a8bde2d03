import type { GroupId, ReplicaId } from "../base/ids.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { PartitionImage, ReplicaImage } from "../cluster/image-state.ts";
import type { GroupConfig } from "../protocol/routing.ts";
import { MemberRole } from "./members.ts";

/** What a replica that is made because the metadata places it is told of its group. */
export function configOfPlaced(partition: PartitionImage, replica: ReplicaImage, topic: string): GroupConfig {
  return {
    members: firstMembers(partition, replica),
    topicId: partition.topicId,
    topic,
    partition: partition.partition,
    recovery: partition.recovery?.number ?? 0,
    fenced: [...(partition.recovery?.fenced ?? [])],
  };
}

/**
 * Who votes as far as a new replica knows. One that was there from the start is a voter from nothing; any other is silent until a leader
 * sends it the log (design §5).
 */
function firstMembers(partition: PartitionImage, self: ReplicaImage): GroupConfig["members"] {
  const others = partition.replicas.filter(
    ({ replicaId, lost }) => lost === undefined && (replicaId !== self.replicaId || self.joined === undefined),
  );
  const voters = others.map(({ replicaId, brokerId }) => ({ replicaId, brokerId, role: MemberRole.voter }));
  if (self.joined === undefined) return voters;
  return [...voters, { replicaId: self.replicaId, brokerId: self.brokerId, role: MemberRole.learner }];
}

/** A recovery has given that replica up. */
export function isFenced(image: MetadataImage, groupId: GroupId, replicaId: ReplicaId): boolean {
  return image.partitionOfGroup(groupId)?.recovery?.fenced.includes(replicaId) === true;
}
