import type { BrokerId, ReplicaId, Term } from "../base/ids.ts";
import { counted } from "../base/plural.ts";
import type { MetadataImage } from "./image.ts";
import { lostOn, type PartitionImage } from "./image-state.ts";
import type { GroupPlan, PlacedMember, Standing, Survey, Survivor } from "./recovery-plan.ts";
import { endsAfter, hasVoted } from "./recovery-rank.ts";

/**
 * What a recovery from this survivor may cost, for the person who decides.
 *
 * @param outdated a replica that the metadata has forgotten holds more: what it says of the ISR was so before
 */
export function mayBeLost(survivor: Survivor, isr: readonly ReplicaId[], claimed: Term, metadata: boolean, outdated = false): string[] {
  const { inSync, quarantined, holes, lastTerm, lastIndex, commit, endOffset } = survivor;
  const said: string[] = [];
  if (metadata) {
    said.push(`what the lost majority recorded after entry ${lastIndex} of term ${lastTerm}: topics, settings, ISRs, registrations`);
  } else if (inSync && !quarantined && outdated) {
    said.push(
      `what was acknowledged from offset ${endOffset} on, also at ALL: this replica is in the recorded ISR, but one that the metadata has forgotten holds more`,
    );
  } else if (inSync && !quarantined) {
    said.push(
      `nothing that was acknowledged at ALL; what was acknowledged at QUORUM, LEADER or NONE and never came here: from offset ${endOffset} on`,
    );
  } else {
    said.push(
      `whatever was acknowledged after this replica left the ISR (${isr.join(", ") || "nobody"}): records from offset ${endOffset} on, and any before that which are not committed here`,
    );
  }
  if (claimed > lastTerm) said.push(`a leader of term ${claimed} came after the last entry here, which is of term ${lastTerm}`);
  if (quarantined) said.push("its disk forgot something: records that it acknowledged may be missing");
  if (holes > 0) said.push(`what lies in ${counted(holes, "damaged place")} of its files, if no other survivor has it`);
  if (lastIndex > commit)
    said.push(`nothing, but ${lastIndex - commit} of its last entries may become readable although nobody was told that they were written`);
  return said;
}

/** Of a survivor that is placed nowhere: what the metadata knows of its partition is of before, or of after, its time. */
export const FORGOTTEN =
  "whatever its successor acknowledged: the metadata does not place this replica, because what placed it was lost, or because another one took its place long ago";

export const NEVER_VOTED = "most of the log: this replica has never voted, it was only being copied";

export const NOT_RECORDED =
  "what those acknowledged since that do not know of an earlier recovery: it gave them up, and the metadata does not say so any more";

/** Of a survivor of that recovery that is not alone any more. */
export const IN_USE =
  "what is acknowledged before this is applied and has not come to the survivor: others vote with it, and are copied anew; stop the producers first";

/** What is lost with replicas that are not gone on from although they hold more, and why not; and who else cannot be placed. */
export function leftOut(
  image: MetadataImage,
  partition: PartitionImage,
  survivor: Standing,
  standings: readonly Standing[],
  isPlaced: (one: Standing) => boolean,
): { readonly said: readonly string[]; readonly further: boolean } {
  let further = false;
  const said = standings.flatMap((one) => {
    if (one === survivor) return [];
    const forgotten = !isPlaced(one);
    const why = forgotten ? whyNotAdopted(image, partition, one) : undefined;
    const more = endsAfter(one, survivor);
    const name = `replica ${one.replicaId} on broker ${one.brokerId}`;
    if (!more) return why === undefined ? [] : [`nothing with ${name}, which does not end later, and cannot be placed: ${why}`];
    further ||= forgotten;
    const reasons = [
      ...(forgotten ? ["the metadata has forgotten it"] : []),
      ...(one.quarantined ? ["its disk forgot something"] : []),
      ...(forgotten && one.holes > 0 ? [`it has ${counted(one.holes, "damaged place")}`] : []),
      ...(why !== undefined ? [why] : hasVoted(one) ? [] : ["it has never voted"]),
    ];
    if (reasons.length === 0) return [];
    return [`what ${name} holds after that, up to entry ${one.lastIndex} of term ${one.lastTerm}: ${reasons.join("; ")}`];
  });
  return { said, further };
}

/**
 * Why a replica that the metadata does not place cannot be what a partition goes on from, and what would help; undefined: it can. As of
 * `adoptReplica`, whose leader's word an operator stands in for.
 */
export function whyNotAdopted(
  image: MetadataImage,
  partition: PartitionImage,
  standing: Pick<Standing, "replicaId" | "brokerId" | "incarnation" | "voters" | "oldVoters">,
): string | undefined {
  const { replicaId, brokerId, incarnation } = standing;
  if (partition.recovery?.fenced.includes(replicaId) === true) return `recovery ${partition.recovery.number} has given it up`;
  if (!hasVoted(standing)) return "it has never voted, and may lack most of the log";
  if (image.brokers.get(brokerId)?.incarnation !== incarnation) return "its broker is not registered with this disk";
  return lostOn(image, partition, brokerId) === undefined
    ? "the metadata names no replica on its broker whose disk is gone, whose place it could take"
    : undefined;
}

/**
 * What can be done where nobody of these can be placed. There is always something: a copy that nobody can be made to go on from is given up by
 * taking its broker away, and what is left then is planned for without it.
 */
export function waysOn(those: readonly Standing[], { answered }: Pick<Survey, "answered">): readonly string[] {
  const here = [...new Set(those.map(({ brokerId }) => brokerId))].sort((a, b) => a - b);
  const away = [...new Set(those.flatMap(awayFrom(answered)))].sort((a, b) => a - b);
  const several = here.length > 1;
  return [
    `wait until ${list(here)} ${several ? "are" : "is"} registered with ${several ? "these disks" : "this disk"} (\`millrace cluster info\`), if ${several ? "they were" : "it was"} only just started, and make another plan`,
    ...(away.length === 0
      ? []
      : [`start ${list(away)}, which voted with ${several ? "them" : "it"}, if the disks are still there: a majority goes on by itself`]),
    `to go on without what ${several ? "they hold" : "it holds"}: stop ${list(here)}, and make another plan, which then leaves ${several ? "them" : "it"} out`,
    "or delete the topic",
  ];
}

function awayFrom(answered: ReadonlySet<BrokerId>): (standing: Standing) => readonly BrokerId[] {
  const isAway = ({ brokerId }: PlacedMember): boolean => brokerId !== (0 as BrokerId) && !answered.has(brokerId);
  return ({ voters, oldVoters }) => [...voters, ...oldVoters].filter(isAway).map(({ brokerId }) => brokerId);
}

function list(brokers: readonly BrokerId[]): string {
  return `${brokers.length === 1 ? "broker" : "brokers"} ${brokers.join(", ")}`;
}

/** What nobody who can be asked knows. */
export function notProved(
  image: MetadataImage,
  unreachable: readonly BrokerId[],
  metadata: GroupPlan | undefined,
  held: readonly BrokerId[],
  recoveryEpoch: number,
): readonly string[] {
  const said: string[] = [];
  if (held.length > 0)
    said.push(
      `which partitions have lost their majority: ${counted(held.length, "broker")} (${held.join(", ")}) cannot read which replicas stand before the metadata goes on; make another plan then`,
    );
  if (unreachable.length > 0)
    said.push(
      `that ${counted(unreachable.length, "broker")} (${unreachable.join(", ")}) will not come back with their disks: if they run where nobody here can reach them, what they acknowledge from now on is lost too`,
    );
  if (metadata !== undefined)
    said.push(
      `that the ISRs and leaders used here are the newest: this metadata ends at version ${image.version}, and the lost majority may have recorded more`,
    );
  else if (recoveryEpoch > 0)
    said.push(
      "that the ISRs and leaders used here are the newest: this metadata was recovered once, and what the lost majority had recorded after it ended may be missing still",
    );
  said.push("that nobody else recovers another survivor at the same time");
  return said;
}
