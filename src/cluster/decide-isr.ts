import type { GroupId, ReplicaId, Term } from "../base/ids.ts";
import { type CommandOf, IsrOutcome, type IsrResult } from "./commands.ts";
import type { Decision } from "./decision.ts";
import type { Fact } from "./facts.ts";
import type { MetadataImage } from "./image.ts";
import { type PartitionImage, placedReplicas } from "./image-state.ts";

type Proposal = CommandOf<"alterIsr">["proposals"][number];

/**
 * ISR changes of the partitions one broker leads (design §6): a compare-and-set on the leader's term and the ISR version. Each
 * proposal stands alone; a second one for the same group in the same command sees a version that is no longer the recorded one.
 */
export function decideAlterIsr(image: MetadataImage, { proposals }: CommandOf<"alterIsr">): Decision {
  const taken = new Set<GroupId>();
  return answerEach(proposals, (proposal) => {
    const partition = image.partitionOfGroup(proposal.groupId);
    if (partition === undefined) return { refused: "no such partition" };
    const reason = taken.has(proposal.groupId) ? "another version was recorded just now" : refuseProposal(image, partition, proposal);
    if (reason !== undefined) return { partition, refused: reason };
    taken.add(proposal.groupId);
    const isr = ascending(proposal.isr);
    return {
      partition: { ...partition, isr, isrVersion: partition.isrVersion + 1 },
      fact: { kind: "isrChanged", groupId: proposal.groupId, isr },
    };
  });
}

function refuseProposal(image: MetadataImage, partition: PartitionImage, { term, isrVersion, isr }: Proposal): string | undefined {
  const { claim } = partition;
  if (claim === undefined || claim.term !== term) return `term ${term} has not claimed this partition, term ${claim?.term ?? 0} has`;
  if (isrVersion !== partition.isrVersion) return `the ISR has version ${partition.isrVersion}, not ${isrVersion}`;
  // The leader itself is not among them while it has a hole.
  if (new Set(isr).size !== isr.length || isr.length === 0) return "members are distinct, and there is at least one";
  for (const member of isr) {
    const replica = placedReplicas(partition).find(({ replicaId }) => replicaId === member);
    if (replica === undefined) return `replica ${member} is no voter`;
    if (partition.isr.includes(member)) continue;
    // Only joining is barred: a fenced member leaves when the leader says so.
    if (!image.isPresent(replica)) return `replica ${member} was on a disk that broker ${replica.brokerId} no longer has`;
    if (image.brokers.get(replica.brokerId)?.state !== "live") return `broker ${replica.brokerId} is fenced`;
  }
  return undefined;
}

/**
 * "I lead this term" (design §6): fences older terms, raises the version, of the recorded members keeps those named, adds the leader
 * if it names itself. Its log up to its no-op is durable, so it holds everything ever acknowledged. Saying it twice changes nothing.
 */
export function decideLeaderClaim(image: MetadataImage, { claims }: CommandOf<"leaderClaim">): Decision {
  const taken = new Set<GroupId>();
  return answerEach(claims, (claim) => {
    const partition = image.partitionOfGroup(claim.groupId);
    if (partition === undefined) return { refused: "no such partition" };
    const { claim: before } = partition;
    if (!placedReplicas(partition).some(({ replicaId }) => replicaId === claim.replicaId)) {
      return { partition, refused: `replica ${claim.replicaId} is no voter` };
    }
    if (partition.recovery?.fenced.includes(claim.replicaId) === true) {
      return { partition, refused: `replica ${claim.replicaId} was given up by recovery ${partition.recovery.number}` };
    }
    if (taken.has(claim.groupId)) return { partition, refused: "one claim of a partition at a time" };
    if (before !== undefined && before.term >= claim.term) {
      if (before.term === claim.term && before.replicaId === claim.replicaId) return { partition };
      return { partition, refused: `replica ${before.replicaId} has claimed term ${before.term}` };
    }
    taken.add(claim.groupId);
    const placed = placedReplicas(partition).map(({ replicaId }) => replicaId);
    const kept = partition.isr.filter((member) => claim.isr.includes(member) && placed.includes(member));
    const joined = claim.isr.includes(claim.replicaId) && !kept.includes(claim.replicaId) ? [...kept, claim.replicaId] : kept;
    // Never an empty ISR: it would name nobody who holds the acknowledged records.
    const isr = ascending(joined.length > 0 ? joined : partition.isr);
    const recorded = { replicaId: claim.replicaId, term: claim.term };
    return {
      partition: { ...partition, isr, isrVersion: partition.isrVersion + 1, claim: recorded },
      fact: { kind: "leaderClaimed", groupId: claim.groupId, ...recorded, isr },
    };
  });
}

interface Outcome {
  /** As it stands after this item. */
  readonly partition?: PartitionImage;
  readonly fact?: Fact;
  readonly refused?: string;
}

function answerEach<Item extends { readonly groupId: GroupId }>(items: readonly Item[], outcomeOf: (item: Item) => Outcome): Decision {
  const facts: Fact[] = [];
  const results = items.map((item): IsrResult => {
    const { partition, fact, refused } = outcomeOf(item);
    if (fact !== undefined) facts.push(fact);
    return {
      groupId: item.groupId,
      outcome: refused === undefined ? IsrOutcome.recorded : IsrOutcome.refused,
      isr: partition?.isr ?? [],
      isrVersion: partition?.isrVersion ?? 0,
      leaderReplicaId: partition?.claim?.replicaId ?? (0 as ReplicaId),
      leaderTerm: partition?.claim?.term ?? (0 as Term),
      reason: refused ?? "",
    };
  });
  return { facts, reply: { kind: "isrResults", results } };
}

function ascending<T extends number>(ids: readonly T[]): readonly T[] {
  return [...ids].sort((a, b) => a - b);
}
