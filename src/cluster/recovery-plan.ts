import { crc32c } from "../base/crc32c.ts";
import { type BrokerId, type GroupId, type Incarnation, METADATA_GROUP, type ReplicaId, type Term, type TopicId } from "../base/ids.ts";
import type { MetadataImage } from "./image.ts";
import { type PartitionImage, placedReplicas } from "./image-state.ts";
import { hasLostMajority } from "./recovery-majority.ts";
import { bestFirst, better, endsAfter, hasVoted } from "./recovery-rank.ts";
import { type UnknownPartition, unknownPartitions } from "./recovery-unknown.ts";
import { FORGOTTEN, IN_USE, leftOut, mayBeLost, NEVER_VOTED, NOT_RECORDED, notProved, waysOn, whyNotAdopted } from "./recovery-words.ts";

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
  /** What its disk says it is a replica of; empty: the metadata, or a broker of before it was said. */
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
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
export interface Survivor
  extends Omit<
    Standing,
    "groupId" | "incarnation" | "voters" | "oldVoters" | "hasLeader" | "recovery" | "topicId" | "topic" | "partition"
  > {
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
  /** Who else voted as far as anybody that answered knows, placed by the metadata or not: none of them may vote again. */
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

/** What is left of it, why nobody of these is gone on from, and what would change that: sentences. */
export interface UnplacedPartition extends LostPartition {
  readonly why: string;
  readonly ways: readonly string[];
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
  /** What is left cannot be gone on from, because nobody of these can be placed as things are. */
  readonly unplaced: readonly UnplacedPartition[];
  /** Copies of partitions that the metadata does not know at all: nothing is done about them. */
  readonly unknown: readonly UnknownPartition[];
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
    const { groupId, isr, replicas, recovery } = partition;
    const name = `${image.topics.get(partition.topicId)?.name ?? partition.topicId}-${partition.partition}`;
    const placed = placedReplicas(partition).filter((replica) => image.isPresent(replica));
    const everybody = byGroup.get(groupId) ?? [];
    // Who was given up counts for nothing, whatever it says.
    const all = everybody.filter(({ replicaId }) => recovery?.fenced.includes(replicaId) !== true);
    const voting = unrecordedRecovery(all, recovery?.number ?? 0) ?? all;
    const unrecorded = voting !== all;
    const known = voting.filter((one) => placed.some(({ replicaId }) => replicaId === one.replicaId));
    const forgotten = voting.filter((one) => !known.includes(one));
    const adoptable = forgotten.filter((one) => whyNotAdopted(image, partition, one) === undefined);
    // An ISR of before that recovery proves nothing of what came after it.
    const ranked = bestFirst(known, adoptable, unrecorded ? [] : isr);
    const [best] = ranked;
    const lives = voting.length > 0 && !hasLostMajority(survey, voting, all);
    const outside = forgotten.filter((one) => !adoptable.includes(one));
    const unplace = (those: readonly Standing[]): void => {
      const ways = waysOn(those, survey);
      unplaced.push({ groupId, name, replicas: those.map(memberOf), why: reasonsOf(image, partition, those), ways });
    };
    if (best === undefined) {
      if (everybody.length === 0 && !placed.some(({ brokerId }) => survey.alive.has(brokerId)))
        gone.push({ groupId, name, replicas: replicas.map(memberOf) });
      else if (unrecorded) unplace(forgotten);
      else if (everybody.length > 0 && hasLostMajority(survey, everybody, everybody)) unplace(everybody);
    } else if (!unrecorded) {
      if (!lives) partitions.push(planPartition(survey, partition, name, ranked, known, voting, all));
    } else if (lives && outside.some((one) => endsAfter(one, best))) {
      // It goes on without anybody's help: to record that it does not would give up what it acknowledged.
      unplace(outside);
    } else {
      const plan = planPartition(survey, partition, name, ranked, known, voting, all, []);
      const used = [NOT_RECORDED, ...(best.voters.length > 1 ? [IN_USE] : []), ...(plan.adopting === undefined ? [] : [FORGOTTEN])];
      partitions.push(lives ? { ...plan, again: true, mayBeLost: used } : { ...plan, mayBeLost: [...plan.mayBeLost, NOT_RECORDED] });
    }
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
    unknown: unknownPartitions(survey, byGroup, metadata !== undefined),
    notProved: notProved(image, unreachable, metadata, survey.held, recoveryEpoch),
  } as const;
  return { ...plan, digest: digestOf(plan) };
}

/**
 * Whether what was confirmed of a partition still holds when the metadata was recovered in between: the same survivor, as it was, and no
 * price that was not named. Who else was there may have gone by then: other survivors of the former epoch are being started again.
 */
export function sameGroupPlan(confirmed: GroupPlan, now: GroupPlan): boolean {
  const said = ({ survivor, again }: GroupPlan): string => JSON.stringify(essenceOf(survivor, again));
  return said(confirmed) === said(now) && now.mayBeLost.every((price) => confirmed.mayBeLost.includes(price));
}

/**
 * Replicas that a recovery left as the only ones, and those copied from them, where the metadata was recovered since from a replica that had
 * not heard of it: those it gave up stand again by the metadata, and would elect one another. It is recorded once more.
 */
function unrecordedRecovery(standings: readonly Standing[], recorded: number): readonly Standing[] | undefined {
  const newest = Math.max(...standings.map(({ recovery }) => recovery));
  return newest > recorded ? standings.filter(({ recovery }) => recovery === newest) : undefined;
}

function reasonsOf(image: MetadataImage, partition: PartitionImage, those: readonly Standing[]): string {
  return those.map((one) => `replica ${one.replicaId} on broker ${one.brokerId}: ${whyNotAdopted(image, partition, one) ?? ""}`).join("; ");
}

const memberOf = ({ replicaId, brokerId }: PlacedMember): PlacedMember => ({ replicaId, brokerId });

function planMetadata(survey: Survey, standings: readonly Standing[]): GroupPlan | undefined {
  if (standings.length === 0 || !hasLostMajority(survey, standings, standings)) return undefined;
  const ranked = bestFirst(standings, [], []);
  const survivor = survivorOf(ranked[0] as Standing, []);
  return {
    ...planGroup(survey, METADATA_GROUP, "metadata", ranked, standings, []),
    isr: [],
    isrVersion: 0,
    term: Math.max(...standings.map((one) => one.term)) as Term,
    mayBeLost: mayBeLost(survivor, [], 0 as Term, true),
  };
}

/** @param sync whose place in the ISR proves something */
function planPartition(
  survey: Survey,
  partition: PartitionImage,
  name: string,
  ranked: readonly Standing[],
  placed: readonly Standing[],
  voting: readonly Standing[],
  all: readonly Standing[],
  sync = partition.isr,
): GroupPlan {
  const { groupId, isr, isrVersion, claim } = partition;
  const [best] = ranked as [Standing];
  const isPlaced = (one: Standing): boolean => placed.includes(one);
  const left = leftOut(survey.image, partition, best, voting, isPlaced);
  const price = mayBeLost(survivorOf(best, sync), isr, claim?.term ?? (0 as Term), false, left.further);
  if (!hasVoted(best)) price.push(NEVER_VOTED);
  return {
    ...planGroup(survey, groupId, name, ranked, all, sync),
    ...(isPlaced(best) ? {} : { adopting: best.incarnation }),
    isr,
    isrVersion,
    term: Math.max(claim?.term ?? 0, ...all.map((one) => one.term)) as Term,
    mayBeLost: [...price, ...left.said, ...(isPlaced(best) ? [] : [FORGOTTEN])],
  };
}

/** Who goes on, and who does not: of all that could be reached, and of all that one of them knows as voters. */
function planGroup(
  { alive }: Survey,
  groupId: GroupId,
  name: string,
  ranked: readonly Standing[],
  all: readonly Standing[],
  isr: readonly ReplicaId[],
): Pick<GroupPlan, "groupId" | "name" | "survivor" | "others" | "unreachable" | "fenced"> {
  const rest = all.filter((one) => !ranked.includes(one)).sort((a, b) => better(a, b, isr));
  const [survivor, ...others] = [...ranked, ...rest].map((one) => survivorOf(one, isr)) as [Survivor, ...Survivor[]];
  const members = new Map<ReplicaId, PlacedMember>();
  for (const { voters, oldVoters } of all) for (const member of [...voters, ...oldVoters]) members.set(member.replicaId, member);
  const unreachable = [...members.values()]
    .filter(({ replicaId, brokerId }) => !alive.has(brokerId) && !all.some((one) => one.replicaId === replicaId))
    .map(memberOf)
    .sort((a, b) => a.replicaId - b.replicaId);
  const fenced = [...members.keys()].filter((replicaId) => replicaId !== survivor.replicaId).sort((a, b) => a - b);
  return { groupId, name, survivor, others, unreachable, fenced };
}

function survivorOf(
  { groupId, incarnation, voters, oldVoters, hasLeader, recovery, topicId, topic, partition, ...standing }: Standing,
  isr: readonly ReplicaId[],
): Survivor {
  return { ...standing, inSync: isr.includes(standing.replicaId) };
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
