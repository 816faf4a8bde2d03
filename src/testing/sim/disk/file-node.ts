import { ZEROS as NEW_FILE } from "../../../log/wal-files.ts";
import type { SimRandom } from "../random.ts";
import { PAGE_BYTES, Pages, SECTOR_BYTES, SECTORS_PER_PAGE } from "./pages.ts";

/** How much of what nobody promised a power cut lets through. Drawn once per cut. */
export type CutMood = "nothing" | "everything" | "some";

/**
 * One file: what programs see (the page cache) and what the platter holds. A sector is `dirty` when the cache has it and the platter
 * may not. A sector that a failed sync left clean differs for ever, unseen, until a power cut (fsyncgate, USENIX ATC'20).
 */
export class FileNode {
  readonly kind = "file";
  #cached = new Pages();
  #stable = new Pages();
  /** Page number → bits of its dirty sectors. */
  #dirty = new Map<number, number>();

  get size(): number {
    return this.#cached.size;
  }

  /** What programs see of it, all of it on the platter. */
  copy(): FileNode {
    const copy = new FileNode();
    copy.#cached = this.#cached.copy();
    copy.#stable = this.#cached.copy();
    return copy;
  }

  read(position: number, into: Uint8Array): number {
    return this.#cached.read(position, into);
  }

  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    // A new log file: zeros upon zeros are the same on the platter and in the cache, only its size is to be synced.
    if (bytes.buffer === NEW_FILE.buffer && this.#cached.blank && this.#stable.blank) {
      this.#cached.size = Math.max(this.#cached.size, position + bytes.length);
      return;
    }
    // A gap between the old end and the write reads as zeros and is as unsynced as the rest.
    if (position > this.size) this.#markDirty(this.size, position);
    this.#cached.write(position, bytes);
    this.#markDirty(position, position + bytes.length);
  }

  truncate(size: number): void {
    const shorter = Math.min(size, this.size);
    const longer = Math.max(size, this.size);
    this.#cached.truncate(size);
    this.#markDirty(shorter, longer);
  }

  /** What a sync that starts now promises. */
  dirtyNow(): ReadonlyMap<number, number> {
    return new Map(this.#dirty);
  }

  /** Sectors a write of these bytes touches. */
  sectorsOf(from: number, to: number): ReadonlyMap<number, number> {
    const sectors = new Map<number, number>();
    addSectors(sectors, from, to);
    return sectors;
  }

  /** These sectors, and the size, reach the platter. */
  harden(sectors: ReadonlyMap<number, number>): void {
    if (this.#stable.size > this.#cached.size) this.#stable.truncate(this.#cached.size);
    for (const [page, bits] of sectors) {
      this.#stable.takeSectors(this.#cached, page, bits);
      this.#clean(page, bits);
    }
    this.#stable.size = this.#cached.size;
  }

  /** The kernel gave up on these sectors: it shows the new bytes and will never write them. */
  abandon(sectors: ReadonlyMap<number, number>): void {
    for (const [page, bits] of sectors) this.#clean(page, bits);
  }

  /** The kernel writes back when it likes: some dirty sectors reach the platter although nobody asked. */
  writeBack(random: SimRandom): void {
    const grown = this.#cached.size > this.#stable.size;
    for (const [page, bits] of [...this.#dirty]) {
      if (grown && page * PAGE_BYTES + PAGE_BYTES > this.#stable.size) continue;
      const chosen = bits & random.below(2 ** SECTORS_PER_PAGE);
      if (chosen === 0) continue;
      this.#stable.takeSectors(this.#cached, page, chosen);
      this.#clean(page, chosen);
    }
  }

  /** Power is gone: sectors nobody promised are old or new, each for itself; the cache is forgotten. */
  powerCut(mood: CutMood, random: SimRandom): void {
    const size = this.#sizeAfterCut(mood, random);
    if (mood !== "nothing") {
      for (const [page, bits] of this.#dirty) {
        const chosen = mood === "everything" ? bits : bits & random.below(2 ** SECTORS_PER_PAGE);
        if (chosen !== 0) this.#stable.takeSectors(this.#cached, page, chosen);
      }
    }
    this.#stable.truncate(size);
    this.#cached = this.#stable.copy();
    this.#dirty = new Map();
  }

  #sizeAfterCut(mood: CutMood, random: SimRandom): number {
    const [old, now] = [this.#stable.size, this.#cached.size];
    if (mood === "nothing" || old === now) return old;
    if (mood === "everything") return now;
    if (now < old || random.chance(1, 2)) return random.chance(1, 2) ? old : now;
    return Math.min(now, old + random.below(Math.ceil((now - old) / SECTOR_BYTES) + 1) * SECTOR_BYTES);
  }

  /** Flips one bit where it lies, cached and on the platter. */
  flipBit(position: number, bit: number): void {
    const byte = new Uint8Array(1);
    if (this.#cached.read(position, byte) === 0) return;
    byte[0] = (byte[0] ?? 0) ^ (1 << bit);
    this.#cached.write(position, byte);
    if (position < this.#stable.size) this.#stable.write(position, byte);
  }

  #markDirty(from: number, to: number): void {
    addSectors(this.#dirty, from, to);
  }

  #clean(page: number, bits: number): void {
    const left = (this.#dirty.get(page) ?? 0) & ~bits;
    if (left === 0) this.#dirty.delete(page);
    else this.#dirty.set(page, left);
  }
}

function addSectors(sectors: Map<number, number>, from: number, to: number): void {
  const first = Math.floor(from / SECTOR_BYTES);
  const last = Math.ceil(to / SECTOR_BYTES);
  for (let sector = first; sector < last; ) {
    const page = Math.floor(sector / SECTORS_PER_PAGE);
    const inPage = sector % SECTORS_PER_PAGE;
    const count = Math.min(SECTORS_PER_PAGE - inPage, last - sector);
    const bits = ((1 << count) - 1) << inPage;
    sectors.set(page, (sectors.get(page) ?? 0) | bits);
    sector += count;
  }
}
