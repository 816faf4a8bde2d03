import type { BrokerId, Incarnation } from "../../base/ids.ts";
import { isBlockSequence } from "../../log/model/block-sequence.ts";

/** Disks remembered of one broker: the present one, and what it may come back with. */
const DISKS_MAX = 8;
/** Brokers whose disks are remembered: more than a cluster has. */
const BROKERS_MAX = 1_024;

/** How far a disk was heard to have got. */
export interface DiskMemory {
  readonly incarnation: Incarnation;
  /** Highest block of its write-ahead log that it said was durable. */
  readonly blockSequence: number;
}

/**
 * What this process heard of the disks of others (design §4, *a peer that remembers more*). A disk whose log ends before what it once said
 * is an old copy of itself, or lost its newest blocks to damage that looks like a torn tail; neither can tell by itself. So it is told at
 * every handshake. Best effort: nothing of this is stored. Bounded: in brokers, in disks of each, and in what is believed of a disk.
 */
export class DiskMemories {
  readonly #disks = new Map<BrokerId, Map<Incarnation, number>>();

  /** @param admitted up to here the disk knows what it lost, and doubts itself: what it has now counts from then on */
  heard(broker: BrokerId, { incarnation, blockSequence }: DiskMemory, admitted = 0): void {
    if (!isBlockSequence(blockSequence)) return;
    const disks = this.#disks.get(broker) ?? new Map<Incarnation, number>();
    const before = disks.get(incarnation) ?? 0;
    const anew = isBlockSequence(admitted) && before <= admitted;
    putLast(disks, incarnation, anew ? blockSequence : Math.max(before, blockSequence), DISKS_MAX);
    putLast(this.#disks, broker, disks, BROKERS_MAX);
  }

  of(broker: BrokerId): readonly DiskMemory[] {
    return [...(this.#disks.get(broker) ?? [])].map(([incarnation, blockSequence]) => ({ incarnation, blockSequence }));
  }
}

/** Taken out and put in again: the one heard of last is forgotten last. */
function putLast<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= max) break;
    map.delete(oldest);
  }
}
