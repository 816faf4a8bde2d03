import { MillraceError } from "../base/errors.ts";
import type { GroupId, ReplicaId, Term } from "../base/ids.ts";
import type { CommandOf } from "./commands.ts";
import { type Decision, done, refuse } from "./decision.ts";
import type { FactOf } from "./facts.ts";
import { RECOVERY_NAMES_LEVEL } from "./feature-levels.ts";
import type { MetadataImage } from "./image.ts";
import { lostOn, type PartitionImage, placedReplicas } from "./image-state.ts";

/**
 * A plan of an operator is applied (ADR 0014). What cannot be seen from here, that no majority is left, was seen by whoever made the plan; a
 * partition whose ISR or leader was recorded anew since refuses all of it.
 */
export function decideRecoverPartitions(image: MetadataImage, { partitions }: CommandOf<"recoverPartitions">): Decision {
  const facts: FactOf<"partitionRecovered">[] = [];
  for (const { groupId, survivor, term, isrVersion, adopting, fenced } of partitions) {
    const partition = image.partitionOfGroup(groupId);
    const replica = partition === undefined ? undefined : placedReplicas(partition).find(({ replicaId }) => replicaId === survivor);
    const inPlaceOf = partition === undefined || replica !== undefined ? undefined : placeFor(image, partition, survivor, adopting);
    if (partition === undefined || (replica === undefined ? inPlaceOf === undefined : !image.isPresent(replica)))
      return refuse(refused("stale_plan", `replica ${survivor} of group ${groupId} is not placed any more`));
    if (partition.isrVersion !== isrVersion)
      return refuse(refused("stale_plan", `group ${groupId} has ISR version ${partition.isrVersion}, the plan saw ${isrVersion}`));
    if (facts.some((fact) => fact.groupId === groupId)) return refuse(refused("stale_plan", `group ${groupId} is named twice`));
    const others = fenced.filter((replicaId) => replicaId !== survivor);
    const unread = refuseRecoveryBelow(image, groupId, inPlaceOf !== undefined, others);
    if (unread !== undefined) return refuse(unread);
    // No claim of an older leader may stand above those of the survivor.
    facts.push({
      kind: "partitionRecovered",
      groupId,
      survivor,
      term: Math.max(term, partition.claim?.term ?? 0) as Term,
      inPlaceOf: inPlaceOf ?? (0 as ReplicaId),
      fenced: image.featureLevel < RECOVERY_NAMES_LEVEL ? [] : others,
    });
  }
  return done(facts);
}

/**
 * A broker of before level 3 ends where a survivor stands that was placed nowhere, and would not fence who is not placed.
 *
 * @param fenced who is out; those that are placed are out by themselves
 */
export function refuseRecoveryBelow(
  image: Pick<MetadataImage, "featureLevel" | "partitionOfGroup">,
  groupId: GroupId,
  adopting: boolean,
  fenced: readonly ReplicaId[],
): MillraceError | undefined {
  if (image.featureLevel >= RECOVERY_NAMES_LEVEL) return undefined;
  const partition = image.partitionOfGroup(groupId);
  const placed = partition === undefined ? [] : placedReplicas(partition).map(({ replicaId }) => replicaId);
  const known = [...placed, ...(partition?.recovery?.fenced ?? [])];
  if (!adopting && fenced.every((replicaId) => known.includes(replicaId))) return undefined;
  const what = `group ${groupId} was voted on by replicas that the metadata does not know, and the cluster is at feature level ${image.featureLevel} of ${RECOVERY_NAMES_LEVEL} that it takes`;
  return refused("feature_level", `${what}: start every registered broker with this version, one whose disk is gone with an empty one`);
}

/** Where a survivor is placed that the metadata has forgotten, as of `adoptReplica`: an operator stands in for the word of its leader. */
function placeFor(
  image: MetadataImage,
  partition: PartitionImage,
  survivor: ReplicaId,
  adopting: CommandOf<"recoverPartitions">["partitions"][number]["adopting"],
): ReplicaId | undefined {
  if (adopting === undefined || image.brokers.get(adopting.brokerId)?.incarnation !== adopting.incarnation) return undefined;
  if (partition.recovery?.fenced.includes(survivor) === true) return undefined;
  return lostOn(image, partition, adopting.brokerId)?.replicaId;
}

/** Every controller of a recovered cluster says so until it is recorded; only the first one changes anything. */
export function decideRecoverCluster(image: MetadataImage, command: CommandOf<"recoverCluster">): Decision {
  if (image.recoveryEpoch >= command.recoveryEpoch) return done([]);
  const { recoveryEpoch, survivor, brokerId } = command;
  return done([{ kind: "clusterRecovered", recoveryEpoch, survivor, brokerId }]);
}

/** Why a recovery was not begun; nothing was changed. `why`: what a script may look at. */
export function refused(why: RefusedRecovery, what: string): MillraceError {
  return new MillraceError("RECOVERY_REFUSED", `Cannot recover: ${what}. Nothing was changed.`, { why });
}

export type RefusedRecovery =
  | "wrong_cluster"
  | "stale_plan"
  | "not_needed"
  | "not_placeable"
  | "wrong_broker"
  | "not_ready"
  | "feature_level";
