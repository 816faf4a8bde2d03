import type { BrokerId, Incarnation } from "../../base/ids.ts";

/** Disks remembered of one broker: the present one, and what it may come back with. */
const DISKS_MAX = 8;

/** How far a disk was heard to have got. */
export interface DiskMemory {
  readonly incarnation: Incarnation;
  /** Highest block of its write-ahead log that it said was durable. */
  readonly blockSequence: number;
}

/**
 * What this process heard of the disks of others (design §4, *a peer that remembers more*). A disk whose log ends before what it once said
 * is an old copy of itself, or lost its newest blocks to damage that looks like a torn tail; neither can tell by itself. So it is told at
 * every handshake. Best effort: nothing of this is stored.
 */
export class DiskMemories {
  readonly #disks = new Map<BrokerId, Map<Incarnation, number>>();

  /** @param admitted up to here the disk knows what it lost, and doubts itself: what it has now counts from then on */
  heard(broker: BrokerId, { incarnation, blockSequence }: DiskMemory, admitted = 0): void {
    let disks = this.#disks.get(broker);
    if (disks === undefined) {
      disks = new Map();
      this.#disks.set(broker, disks);
    }
    const before = disks.get(incarnation) ?? 0;
    // Taken out and put in again: the one heard of last is forgotten last.
    disks.delete(incarnation);
    disks.set(incarnation, before <= admitted ? blockSequence : Math.max(before, blockSequence));
    for (const oldest of disks.keys()) {
      if (disks.size <= DISKS_MAX) break;
      disks.delete(oldest);
    }
  }

  of(broker: BrokerId): readonly DiskMemory[] {
    return [...(this.#disks.get(broker) ?? [])].map(([incarnation, blockSequence]) => ({ incarnation, blockSequence }));
  }
}
