import { crc32c } from "../base/crc32c.ts";
import { type BrokerId, type GroupId, type Incarnation, METADATA_GROUP, type ReplicaId, type Term } from "../base/ids.ts";
import type { MetadataImage } from "./image.ts";
import { type PartitionImage, placedReplicas } from "./image-state.ts";
import { FORGOTTEN, mayBeLost, notProved, whyNotAdopted } from "./recovery-words.ts";

/** A replica and where it is. */
export interface PlacedMember {
  readonly replicaId: ReplicaId;
  readonly brokerId: BrokerId;
}

/** What a broker that can be reached says of one of its replicas. */
export interface Standing {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly brokerId: BrokerId;
  /** The disk it is on; empty from a broker of before it was said. */
  readonly incarnation: Incarnation;
  readonly term: Term;
  readonly lastIndex: number;
  readonly lastTerm: Term;
  readonly commit: number;
  /** Offset the next record would get. */
  readonly endOffset: number;
  /** Of its configuration in force. */
  readonly voters: readonly PlacedMember[];
  /** While joint. */
  readonly oldVoters: readonly PlacedMember[];
  /** It leads, or has heard from its leader of late. */
  readonly hasLeader: boolean;
  readonly quarantined: boolean;
  /** Damaged places below its synced index. */
  readonly holes: number;
  /** Number of the newest recovery that its log names; 0: none. */
  readonly recovery: number;
}

/** All that is known when a plan is made. */
export interface Survey {
  readonly clusterId: string;
  readonly recoveryEpoch: number;
  readonly image: MetadataImage;
  readonly standings: readonly Standing[];
  /** Brokers that answered. */
  readonly answered: ReadonlySet<BrokerId>;
  /** Those, and every broker that one of them is connected to. */
  readonly alive: ReadonlySet<BrokerId>;
  /** Brokers that answered, and have a replica of the group that is not open yet, or not again. */
  readonly opening: (groupId: GroupId, broker: BrokerId) => boolean;
  /** Brokers that have not read yet which of their replicas stand: nothing is planned for partitions. */
  readonly held: readonly BrokerId[];
}

/** A survivor, as the plan shows it. */
export interface Survivor extends Omit<Standing, "groupId" | "incarnation" | "voters" | "oldVoters" | "hasLeader" | "recovery"> {
  readonly inSync: boolean;
}

export interface GroupPlan {
  readonly groupId: GroupId;
  /** `topic-partition`, or "metadata". */
  readonly name: string;
  readonly survivor: Survivor;
  /** Other replicas that could be reached, best first: they are given up too, and copied anew. */
  readonly others: readonly Survivor[];
  /** Replicas on brokers that nobody can reach. */
  readonly unreachable: readonly PlacedMember[];
  /** Who else voted as far as the survivors know, placed by the metadata or not: none of them may vote again. */
  readonly fenced: readonly ReplicaId[];
  /** The disk of a survivor that the metadata has forgotten: it is placed there again. */
  readonly adopting?: Incarnation;
  /** Recorded ISR and its version; none for the metadata. */
  readonly isr: readonly ReplicaId[];
  readonly isrVersion: number;
  /** Highest term anybody knows of. */
  readonly term: Term;
  /** An earlier recovery is recorded once more; the survivor may be in use. */
  readonly again?: true;
  /** Sentences. */
  readonly mayBeLost: readonly string[];
}

/** A partition, and the replicas it is about. */
export interface LostPartition {
  readonly groupId: GroupId;
  readonly name: string;
  readonly replicas: readonly PlacedMember[];
}

export interface RecoveryPlan {
  readonly format: 1;
  /** 16 hex digits over what is to be done and what it rests on. */
  readonly digest: string;
  readonly clusterId: string;
  readonly recoveryEpoch: number;
  readonly unreachable: readonly BrokerId[];
  /** Set when the metadata itself has lost its majority: it comes first. */
  readonly metadata?: GroupPlan;
  readonly partitions: readonly GroupPlan[];
  /** Nobody is left: these stay lost, whatever is done. */
  readonly gone: readonly LostPartition[];
  /** Nobody is left whom the metadata places, and nobody of these can be placed as things are. */
  readonly unplaced: readonly (LostPartition & { readonly why: string })[];
  /** What no broker can know; sentences. */
  readonly notProved: readonly string[];
}

/** Which groups have lost their majority, who of each is best to go on from, and what that costs (ADR 0014). Changes nothing. */
export function planRecovery(survey: Survey): RecoveryPlan {
  const { image, clusterId, recoveryEpoch } = survey;
  const byGroup = new Map<GroupId, Standing[]>();
  for (const standing of survey.standings) byGroup.set(standing.groupId, [...(byGroup.get(standing.groupId) ?? []), standing]);

  const metadata = planMetadata(survey, byGroup.get(METADATA_GROUP) ?? []);
  const partitions: GroupPlan[] = [];
  const gone: LostPartition[] = [];
  const unplaced: RecoveryPlan["unplaced"][number][] = [];
  for (const partition of survey.held.length > 0 ? [] : [...image.partitions.values()].sort((a, b) => a.groupId - b.groupId)) {
    const { groupId, isr, isrVersion, claim, recovery } = partition;
    const name = `${image.topics.get(partition.topicId)?.name ?? partition.topicId}-${partition.partition}`;
    const placed = placedReplicas(partition).filter((replica) => image.isPresent(replica));
    const all = byGroup.get(groupId) ?? [];
    const known = all.filter((one) => placed.some(({ replicaId }) => replicaId === one.replicaId));
    const forgotten = known.length === 0;
    const standings = forgotten ? all.filter((one) => whyNotAdopted(image, partition, one) === undefined) : known;
    if (standings.length === 0) {
      const [best] = all.map((one) => survivorOf(one, isr)).sort(better);
      if (best === undefined && !placed.some(({ brokerId }) => survey.alive.has(brokerId)))
        gone.push({ groupId, name, replicas: partition.replicas.map(memberOf) });
      else if (best !== undefined && hasLostMajority(survey, all, all))
        unplaced.push({ groupId, name, replicas: all.map(memberOf), why: reasonsOf(image, partition, all) });
      continue;
    }
    const unrecorded = unrecordedRecovery(standings, recovery?.number ?? 0);
    if (unrecorded === undefined && !hasLostMajority(survey, standings, all)) continue;
    const chosen = planGroup(survey, groupId, name, unrecorded ?? standings, isr, isrVersion, claim?.term ?? (0 as Term));
    const plan = forgotten ? adopting(chosen, standings) : chosen;
    partitions.push(unrecorded === undefined ? plan : { ...plan, again: true, mayBeLost: [NOT_RECORDED] });
  }

  const unreachable = [...image.brokers.keys()].filter((broker) => !survey.alive.has(broker)).sort((a, b) => a - b);
  const plan = {
    format: 1,
    clusterId,
    recoveryEpoch,
    unreachable,
    ...(metadata === undefined ? {} : { metadata }),
    partitions,
    gone,
    unplaced,
    notProved: notProved(image, unreachable, metadata, survey.held),
  } as const;
  return { ...plan, digest: digestOf(plan) };
}

/**
 * Whether what was confirmed of a partition still holds when the metadata was recovered in between: the same survivor, as it was, and the
 * same price. Who else was there may have gone by then: other survivors of the former epoch are being started again.
 */
export function sameGroupPlan(a: GroupPlan, b: GroupPlan): boolean {
  const said = ({ survivor, again, mayBeLost: price }: GroupPlan): string => JSON.stringify([essenceOf(survivor, again), price]);
  return said(a) === said(b);
}

/**
 * Replicas that a recovery left as the only ones, where the metadata was recovered since from a replica that had not heard of it: those it
 * gave up stand again by the metadata, and would elect one another. It is recorded once more.
 */
function unrecordedRecovery(standings: readonly Standing[], recorded: number): readonly Standing[] | undefined {
  const newest = Math.max(...standings.map(({ recovery }) => recovery));
  return newest > recorded ? standings.filter(({ recovery }) => recovery === newest) : undefined;
}

const NOT_RECORDED = "what the others acknowledged since: an earlier recovery gave them up, and the metadata does not say so any more";

/** Nobody but replicas that the metadata has forgotten is left: what one of them holds may be nowhere else. */
function adopting(plan: GroupPlan, standings: readonly Standing[]): GroupPlan {
  const { incarnation } = standings.find(({ replicaId }) => replicaId === plan.survivor.replicaId) as Standing;
  return { ...plan, adopting: incarnation, mayBeLost: [...plan.mayBeLost, FORGOTTEN] };
}

function reasonsOf(image: MetadataImage, partition: PartitionImage, all: readonly Standing[]): string {
  return all.map((one) => `replica ${one.replicaId} on broker ${one.brokerId}: ${whyNotAdopted(image, partition, one) ?? ""}`).join("; ");
}

const memberOf = ({ replicaId, brokerId }: PlacedMember): PlacedMember => ({ replicaId, brokerId });

function planMetadata(survey: Survey, standings: readonly Standing[]): GroupPlan | undefined {
  if (standings.length === 0 || !hasLostMajority(survey, standings, standings)) return undefined;
  return planGroup(survey, METADATA_GROUP, "metadata", standings, [], 0, 0 as Term);
}

/**
 * No reachable replica could ever win an election: by nobody's configuration is a quorum alive and in good standing. A leader that is
 * heard of, or a member that merely cannot be reached from here but from somebody else, is a majority that may live.
 *
 * @param all also of replicas that vote, and that the metadata does not place yet, or not again (`adoptReplica`)
 */
function hasLostMajority({ answered, alive, opening }: Survey, standings: readonly Standing[], all: readonly Standing[]): boolean {
  if (standings.some(({ hasLeader }) => hasLeader)) return false;
  const counts = ({ replicaId, brokerId }: PlacedMember): boolean => {
    const standing = all.find((one) => one.replicaId === replicaId);
    if (standing !== undefined) return !standing.quarantined;
    // A broker that answered, and did not name it, does not have it, unless it is just opening it.
    return alive.has(brokerId) && (!answered.has(brokerId) || standings.some(({ groupId }) => opening(groupId, brokerId)));
  };
  const quorum = (voters: readonly PlacedMember[]): boolean => voters.filter(counts).length * 2 > voters.length;
  return !standings.some(({ voters, oldVoters }) => quorum(voters) && (oldVoters.length === 0 || quorum(oldVoters)));
}

function planGroup(
  { alive }: Survey,
  groupId: GroupId,
  name: string,
  standings: readonly Standing[],
  isr: readonly ReplicaId[],
  isrVersion: number,
  claimed: Term,
): GroupPlan {
  const ranked = standings.map((standing) => survivorOf(standing, isr)).sort(better);
  const [survivor, ...others] = ranked as [Survivor, ...Survivor[]];
  const members = new Map<ReplicaId, PlacedMember>();
  for (const { voters, oldVoters } of standings) for (const member of [...voters, ...oldVoters]) members.set(member.replicaId, member);
  const unreachable = [...members.values()]
    .filter(({ replicaId, brokerId }) => !alive.has(brokerId) && !ranked.some((one) => one.replicaId === replicaId))
    .map(memberOf)
    .sort((a, b) => a.replicaId - b.replicaId);
  const fenced = [...members.keys()].filter((replicaId) => replicaId !== survivor.replicaId).sort((a, b) => a - b);
  const term = Math.max(claimed, ...standings.map((one) => one.term)) as Term;
  return {
    groupId,
    name,
    survivor,
    others,
    unreachable,
    fenced,
    isr,
    isrVersion,
    term,
    mayBeLost: mayBeLost(survivor, isr, claimed, groupId === METADATA_GROUP),
  };
}

function survivorOf(
  { groupId, incarnation, voters, oldVoters, hasLeader, recovery, ...standing }: Standing,
  isr: readonly ReplicaId[],
): Survivor {
  return { ...standing, inSync: isr.includes(standing.replicaId) };
}

/** Best first. A quarantined replica's place in the ISR proves nothing: it may have forgotten what it stood for. */
function better(a: Survivor, b: Survivor): number {
  const rank = (one: Survivor): readonly number[] => [
    one.inSync && !one.quarantined && one.holes === 0 ? 1 : 0,
    one.inSync && !one.quarantined ? 1 : 0,
    one.lastTerm,
    one.lastIndex,
    one.quarantined ? 0 : 1,
    one.holes === 0 ? 1 : 0,
    -one.brokerId,
  ];
  const [of, against] = [rank(a), rank(b)];
  const differs = of.findIndex((value, at) => value !== against[at]);
  return differs < 0 ? 0 : (against[differs] as number) - (of[differs] as number);
}

/** What is done, and what that rests on; terms move by themselves and are not part of it. */
function essence({ groupId, survivor, others, unreachable, isr, isrVersion, again }: GroupPlan): readonly unknown[] {
  const rest = others.map((one) => essenceOf(one, again));
  return [groupId, essenceOf(survivor, again), rest, unreachable.map(({ replicaId }) => replicaId), isr, isrVersion];
}

/** Of one that is in use its log moves. */
function essenceOf(
  { replicaId, brokerId, lastIndex, lastTerm, inSync, holes, quarantined }: Survivor,
  inUse: boolean | undefined,
): readonly unknown[] {
  if (inUse) return [replicaId, brokerId];
  return [replicaId, brokerId, lastIndex, lastTerm, inSync, holes > 0, quarantined];
}

function digestOf({ clusterId, recoveryEpoch, metadata, partitions, gone }: Omit<RecoveryPlan, "digest">): string {
  const said = [
    clusterId,
    recoveryEpoch,
    metadata === undefined ? [] : essence(metadata),
    partitions.map(essence),
    gone.map((one) => one.groupId),
  ];
  const bytes = new TextEncoder().encode(JSON.stringify(said));
  // FNV-1a: of two CRCs the second one follows from the first.
  let fnv = 0x811c9dc5;
  for (const byte of bytes) fnv = Math.imul(fnv ^ byte, 0x01000193);
  return [crc32c(bytes), fnv >>> 0].map((half) => half.toString(16).padStart(8, "0")).join("");
}
