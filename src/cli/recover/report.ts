import { counted } from "../../base/plural.ts";
import type { RecoveryOutcome } from "../../broker/recovery/recovery.ts";
import type { GroupPlan, RecoveryPlan, Survivor } from "../../cluster/recovery-plan.ts";

/** The plan as a person reads it before anything is given up. */
export function reportOf(plan: RecoveryPlan): string {
  const { clusterId, recoveryEpoch, unreachable, metadata, partitions, gone, unplaced = [], unknown = [], notProved, digest } = plan;
  const lines = [
    `cluster ${clusterId}, recovery epoch ${recoveryEpoch}`,
    unreachable.length === 0 ? "every broker answers, or somebody is connected to it" : `not reachable: ${brokers(unreachable)}`,
  ];
  if (metadata === undefined && partitions.length === 0) {
    lines.push(
      gone.length + unplaced.length === 0 ? "nothing to recover: no group has lost its majority" : "nothing that could be recovered",
    );
    return text([...lines, ...goneLines(gone), ...unplacedLines(unplaced), ...unknownLines(unknown)]);
  }
  if (metadata !== undefined)
    lines.push("", "THE METADATA has lost its majority; it comes first, and all ids jump", ...groupLines(metadata));
  for (const partition of partitions) lines.push("", `${partition.name} has lost its majority`, ...groupLines(partition));
  lines.push(
    ...goneLines(gone),
    ...unplacedLines(unplaced),
    ...unknownLines(unknown),
    "",
    "what cannot be proved:",
    ...notProved.map((said) => `  - ${said}`),
  );
  lines.push("", `digest ${digest}`);
  return text(lines);
}

export function outcomeOf({ recoveryEpoch, metadata, partitions, changed }: RecoveryOutcome): string {
  const lines: string[] = [];
  if (metadata) lines.push(`the metadata goes on from this broker, in recovery epoch ${recoveryEpoch}`);
  if (partitions.length > 0) lines.push(`${counted(partitions.length, "partition")} on from their survivors: ${partitions.join(", ")}`);
  for (const name of changed) lines.push(`${name}: not done, it changed while the metadata was recovered; make a new plan`);
  lines.push(
    "start or replace the other brokers now: they get new replicas by themselves; `millrace cluster health --wait` says when all is well",
  );
  return text(lines);
}

function groupLines({ survivor, adopting, others, unreachable, mayBeLost }: GroupPlan): readonly string[] {
  return [
    `  goes on from ${survivorText(survivor)}`,
    ...(adopting === undefined ? [] : ["  which the metadata has forgotten, and places again"]),
    ...others.map((other) => `  given up, copied anew: ${survivorText(other)}`),
    ...unreachable.map(
      ({ replicaId, brokerId }) => `  given up for good: replica ${replicaId} on broker ${brokerId}, which nobody reaches`,
    ),
    "  may be lost:",
    ...mayBeLost.map((said) => `    - ${said}`),
  ];
}

type Standing = Omit<Survivor, "term">;

function survivorText({ replicaId, brokerId, inSync, quarantined, holes, lastTerm, lastIndex, commit, endOffset }: Standing): string {
  const standing = [
    ...(inSync ? ["in the ISR"] : []),
    ...(quarantined ? ["QUARANTINED: its disk forgot something"] : []),
    ...(holes > 0 ? [`${counted(holes, "DAMAGED PLACE", "DAMAGED PLACES")}`] : []),
  ];
  const where = `last entry ${lastIndex} of term ${lastTerm}, committed ${commit}, next offset ${endOffset}`;
  return `replica ${replicaId} on broker ${brokerId} (${[...standing, where].join("; ")})`;
}

function goneLines(gone: RecoveryPlan["gone"]): readonly string[] {
  if (gone.length === 0) return [];
  return [
    "",
    "nobody is left of these: bring a disk back, or delete the topic; they are not started empty",
    ...gone.map(({ name, replicas }) => `  ${name}: was on ${brokers(replicas.map(({ brokerId }) => brokerId))}`),
  ];
}

function unplacedLines(unplaced: RecoveryPlan["unplaced"]): readonly string[] {
  if (unplaced.length === 0) return [];
  return [
    "",
    "what is left of these votes without a place in the metadata, and cannot be gone on from now:",
    // A plan of a version before has no ways.
    ...unplaced.flatMap(({ name, why, ways = [] }) => [`  ${name}: ${why}`, ...ways.map((way) => `    - ${way}`)]),
  ];
}

/** Nothing is done about these: what can be is for a person to decide, topic by topic. */
function unknownLines(unknown: RecoveryPlan["unknown"]): readonly string[] {
  if (unknown.length === 0) return [];
  return [
    "",
    "these are on disks, and in no metadata: made by what a lost majority recorded, or deleted while the disk was away. Nobody serves or deletes them:",
    ...unknown.flatMap(({ groupId, topicId, topic, partition, copies, remade }) => [
      topic === ""
        ? `  group ${groupId}`
        : `  ${topic}-${partition} (topic ${topicId}, group ${groupId}${remade ? "; another topic has its name now" : ""})`,
      ...copies.map((copy) => `    ${survivorText({ ...copy, inSync: false })}`),
    ]),
    "  to have the records of one again: make a topic for them, stop the broker of its first copy, and",
    "    millrace debug log-dump GROUP --data DIR --records | millrace produce TOPIC --format json",
    "  to be rid of them: give their brokers empty disks, one after the other (--new-incarnation)",
  ];
}

function brokers(ids: readonly number[]): string {
  return `${ids.length === 1 ? "broker" : "brokers"} ${ids.join(", ")}`;
}

const text = (lines: readonly string[]): string => `${lines.join("\n")}\n`;
