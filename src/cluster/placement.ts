import type { BrokerId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";

/** A broker that may get replicas, with what it has already. */
export interface PlacementBroker {
  readonly id: BrokerId;
  /** Brokers without a rack count as one rack each. */
  readonly rack: string | undefined;
  /** Partitions of other topics of which it holds the first replica (the preferred leader). */
  readonly leaders: number;
  readonly replicas: number;
  /** The same of this topic, which may have partitions already. */
  readonly leadersHere: number;
  readonly replicasHere: number;
}

interface Candidate extends Omit<PlacementBroker, "leadersHere" | "replicasHere"> {
  readonly rackKey: string;
  /** Place on the ring, from `seed` on: the last word among equals. */
  readonly ring: number;
  leadersHere: number;
  replicasHere: number;
}

/**
 * Chooses brokers for new partitions of a topic, rack-striped (design §7; the idea is Kafka's StripedReplicaPlacer).
 *
 * Leaders: those of this topic are spread so that no broker has two more than another; among equals the broker with the fewest leaders of
 * other topics, then the next on a ring that begins at `seed`. Further replicas: a rack not yet used by the partition (else the least
 * used one) first, then the broker with the fewest replicas of this topic, of others, then the ring. Deterministic.
 *
 * @param brokers at least `replicas` of them
 * @param seed any whole number ≥ 0
 * @returns for each partition the brokers in order of priority, leader first, all distinct
 */
export function placeReplicas(
  brokers: readonly PlacementBroker[],
  partitions: number,
  replicas: number,
  seed: number,
): readonly (readonly BrokerId[])[] {
  invariant(replicas >= 1 && replicas <= brokers.length, () => `${replicas} replicas on ${brokers.length} brokers`);
  const candidates = onRing(brokers, seed);
  return Array.from({ length: partitions }, () => placeOne(candidates, replicas));
}

/** Racks take turns, so that neighbours on the ring are in different racks where that is possible. */
function onRing(brokers: readonly PlacementBroker[], seed: number): Candidate[] {
  const racks = new Map<string, PlacementBroker[]>();
  for (const broker of [...brokers].sort((a, b) => a.id - b.id)) {
    const key = rackKey(broker);
    racks.set(key, [...(racks.get(key) ?? []), broker]);
  }
  const rows = [...racks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  const ring: PlacementBroker[] = [];
  for (let at = 0; ring.length < brokers.length; at++) ring.push(...rows.flatMap((row) => row[at] ?? []));
  return ring.map((broker, at) => ({
    ...broker,
    rackKey: rackKey(broker),
    ring: (at - (seed % ring.length) + ring.length) % ring.length,
  }));
}

function rackKey({ id, rack }: PlacementBroker): string {
  return rack === undefined ? `broker ${String(id).padStart(16, "0")}` : `rack ${rack}`;
}

function placeOne(candidates: readonly Candidate[], replicas: number): BrokerId[] {
  const leader = least(candidates, (each) => [each.leadersHere, each.leaders, each.replicasHere, each.ring]);
  leader.leadersHere += 1;
  const chosen = [leader];
  const rackUse = new Map([[leader.rackKey, 1]]);
  while (chosen.length < replicas) {
    const free = candidates.filter((each) => !chosen.includes(each));
    const next = least(free, (each) => [rackUse.get(each.rackKey) ?? 0, each.replicasHere, each.replicas, each.ring]);
    rackUse.set(next.rackKey, (rackUse.get(next.rackKey) ?? 0) + 1);
    chosen.push(next);
  }
  for (const each of chosen) each.replicasHere += 1;
  return chosen.map((each) => each.id);
}

/** The candidate whose ranks come first, compared from left to right. */
function least(candidates: readonly Candidate[], ranks: (candidate: Candidate) => readonly number[]): Candidate {
  let best: Candidate | undefined;
  let bestRanks: readonly number[] = [];
  for (const candidate of candidates) {
    const own = ranks(candidate);
    if (best === undefined || isBefore(own, bestRanks)) {
      best = candidate;
      bestRanks = own;
    }
  }
  invariant(best !== undefined, "there is a candidate");
  return best;
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, rank] of a.entries()) {
    const other = b[at] ?? 0;
    if (rank !== other) return rank < other;
  }
  return false;
}
