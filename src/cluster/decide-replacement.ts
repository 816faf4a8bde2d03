import { MillraceError } from "../base/errors.ts";
import type { ReplicaId } from "../base/ids.ts";
import type { CommandOf } from "./commands.ts";
import { unknownBroker } from "./decide-brokers.ts";
import { type Decision, done, refuse } from "./decision.ts";
import type { MetadataImage } from "./image.ts";
import { adoptedFor, lostOn, type PartitionImage, placedReplicas, type ReplicaImage } from "./image-state.ts";

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
  const { groupId, removing, replicaId } = command;
  const partition = image.partitionOfGroup(groupId);
  if (partition === undefined || partition.replicas.some((replica) => replica.replicaId === replicaId)) return done([]);
  const why = refuseReport(partition, command);
  return why === undefined ? done([{ kind: "replicaReplaced", groupId, removing, replicaId }]) : stale(command, why);
}

function refuseReport(partition: PartitionImage, command: CommandOf<"reportReplaced">): string | undefined {
  // ISR ⊆ voters (design §6).
  return refuseLeader(partition, command) ?? inIsr(partition, command.removing);
}

/**
 * The leader of a term says that the replica whose disk was gone is there again, and its successor is not: it goes on voting, as if nothing
 * had been begun. Only the leader knows that no change of voters is under way; a leader of a later term may have begun one.
 */
export function decideKeepReplica(image: MetadataImage, command: CommandOf<"keepReplica">): Decision {
  const { groupId, removing, replicaId } = command;
  const partition = image.partitionOfGroup(groupId);
  const kept = partition?.replicas.find((replica) => replica.replicaId === removing);
  if (partition === undefined || partition.replacing === undefined || kept === undefined) return done([]);
  const why = refuseLeader(partition, command) ?? inIsr(partition, replicaId) ?? refuseDisks(image, kept, partition.replacing.adding);
  return why === undefined ? done([{ kind: "replicaKept", groupId, removing, replicaId }]) : stale(command, why);
}

function refuseDisks(image: MetadataImage, kept: ReplicaImage, adding: ReplicaImage): string | undefined {
  if (!image.isPresent(kept)) return `the disk of replica ${kept.replicaId} is gone`;
  return image.isPresent(adding) ? `the disk of replica ${adding.replicaId} is there` : undefined;
}

/**
 * A broker says that a replica on its disk votes, which is named nowhere here: what placed it was lost with a majority of the metadata, or
 * its successor was placed while its disk was away. It stands where the metadata names one whose disk is gone, and whoever was to come in
 * its place does not. The leader of a term said so, and no later one has claimed: only who has claimed changes voters, and a successor is
 * made only once this replica has made way. It may be that leader itself, which cannot claim before.
 */
export function decideAdoptReplica(image: MetadataImage, command: CommandOf<"adoptReplica">): Decision {
  const { groupId, replicaId, brokerId } = command;
  const partition = image.partitionOfGroup(groupId);
  if (partition === undefined || placedReplicas(partition).some((replica) => replica.replicaId === replicaId)) return done([]);
  const lost = lostOn(image, partition, brokerId);
  if (lost === undefined) return stale(command, `no replica of broker ${brokerId} has lost its disk`);
  const why = refuseAdoption(image, partition, lost, command);
  return why === undefined
    ? done([{ kind: "replicaAdopted", groupId, removing: lost.replicaId, replicaId, brokerId }])
    : stale(command, why);
}

function refuseAdoption(
  image: MetadataImage,
  partition: PartitionImage,
  lost: ReplicaImage,
  { term, replicaId, brokerId, incarnation }: CommandOf<"adoptReplica">,
): string | undefined {
  const { claim, recovery, isr } = partition;
  if (image.brokers.get(brokerId)?.incarnation !== incarnation) return `broker ${brokerId} has another disk`;
  if (recovery?.fenced.includes(replicaId) === true) return `recovery ${recovery.number} has given it up`;
  if (claim !== undefined && claim.term > term) return `term ${claim.term} has claimed the partition`;
  const out = adoptedFor(partition, lost.replicaId);
  return isr.every((member) => out.includes(member)) ? `nobody else is in the ISR` : undefined;
}

function inIsr({ isr }: PartitionImage, replica: ReplicaId): string | undefined {
  return isr.includes(replica) ? `replica ${replica} is in the ISR` : undefined;
}

type FromLeader = CommandOf<"reportReplaced"> | CommandOf<"keepReplica">;

function refuseLeader({ replacing, claim }: PartitionImage, { term, removing, replicaId }: FromLeader): string | undefined {
  if (replacing?.removing !== removing || replacing.adding.replicaId !== replicaId)
    return `replica ${replacing?.adding.replicaId ?? "none"} is to take the place of ${replacing?.removing ?? "none"}`;
  return claim?.term === term ? undefined : `term ${claim?.term ?? 0} has claimed the partition`;
}

function stale({ groupId, term, replicaId }: Pick<FromLeader, "groupId" | "term" | "replicaId">, why: string): Decision {
  return refuse(
    new MillraceError("STALE_VERSION", `Cannot record replica ${replicaId} of group ${groupId} in term ${term}: ${why}`, {
      group_id: String(groupId),
    }),
  );
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
