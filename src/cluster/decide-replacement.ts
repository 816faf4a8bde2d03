import { MillraceError } from "../base/errors.ts";
import type { CommandOf } from "./commands.ts";
import { unknownBroker } from "./decide-brokers.ts";
import { type Decision, done, refuse } from "./decision.ts";
import type { MetadataImage } from "./image.ts";
import type { PartitionImage } from "./image-state.ts";

/**
 * A replica whose disk is gone is replaced by one with a new id on the disk its broker has now (design §5): the only change of members
 * nobody asks for. The fact names who comes and who goes; the partition's leader brings it about by Raft, and then `reportReplaced`.
 * When the new disk is gone as well before that, a later one takes its part: the id given first stays void (scenario 61).
 */
export function decideReplaceReplica(image: MetadataImage, { groupId, removing }: CommandOf<"replaceReplica">): Decision {
  const partition = image.partitionOfGroup(groupId);
  const lost = partition?.replicas.find(({ replicaId }) => replicaId === removing);
  // Somebody was quicker: nothing to do.
  if (partition === undefined || lost === undefined || image.isPresent(lost)) return done([]);
  const { replacing } = partition;
  if (replacing !== undefined && (replacing.removing !== removing || image.isPresent(replacing.adding))) return done([]);
  // Its leader takes a silent member out first: an ISR never names who is neither placed nor coming (M4).
  if (replacing !== undefined && partition.isr.includes(replacing.adding.replicaId)) return done([]);
  if (image.brokers.get(lost.brokerId)?.state !== "live") return refuse(unknownBroker(lost.brokerId));
  return done([{ kind: "replicaReplacing", groupId, removing, replicaId: image.nextIds.replica, brokerId: lost.brokerId }]);
}

/** The leader of a term says that the configuration with the new replica, and without the old one, is committed. Saying it twice changes nothing. */
export function decideReportReplaced(image: MetadataImage, command: CommandOf<"reportReplaced">): Decision {
  const { groupId, term, removing, replicaId } = command;
  const partition = image.partitionOfGroup(groupId);
  if (partition === undefined || partition.replicas.some((replica) => replica.replicaId === replicaId)) return done([]);
  const why = refuseReport(partition, command);
  if (why !== undefined) {
    return refuse(
      new MillraceError("STALE_VERSION", `Cannot record replica ${replicaId} of group ${groupId} in term ${term}: ${why}`, {
        group_id: String(groupId),
      }),
    );
  }
  return done([{ kind: "replicaReplaced", groupId, removing, replicaId }]);
}

function refuseReport({ replacing, claim, isr }: PartitionImage, command: CommandOf<"reportReplaced">): string | undefined {
  const { term, removing, replicaId } = command;
  if (replacing?.removing !== removing || replacing.adding.replicaId !== replicaId)
    return `replica ${replacing?.adding.replicaId ?? "none"} is to take the place of ${replacing?.removing ?? "none"}`;
  if (claim?.term !== term) return `term ${claim?.term ?? 0} has claimed the partition`;
  // ISR ⊆ voters (design §6).
  return isr.includes(removing) ? `replica ${removing} is in the ISR` : undefined;
}

/** The metadata group's own replica on a seed's present disk votes, and the former one does not any more. From the controller itself. */
export function decideReplaceSeed(image: MetadataImage, { brokerId }: CommandOf<"replaceSeed">): Decision {
  const seed = image.seeds.find((each) => each.brokerId === brokerId);
  const broker = image.brokers.get(brokerId);
  if (seed === undefined || broker === undefined) return refuse(unknownBroker(brokerId));
  if (seed.incarnation === broker.incarnation) return done([]);
  const { incarnation, metadataReplicaId } = broker;
  return done([{ kind: "seedReplaced", brokerId, incarnation, replicaId: metadataReplicaId }]);
}
