import type { GroupId, LogIndex, Offset } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import { type Frame, nextOffsetOf } from "../records/frame-types.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { FileCache } from "./file-cache.ts";
import { HoleMet, type SegmentHole } from "./holes.ts";
import type { IndexEntry, SparseIndex } from "./model/sparse-index.ts";
import { ReadTurns } from "./read-turns.ts";
import type { Segment } from "./segment.ts";
import { loadIndex } from "./segment-loader.ts";
import { BadSegment, SegmentCursor } from "./segment-scan.ts";

/** Readers that went on where they stopped find their bytes here: this many, of about 1 MiB each. */
const CURSORS_MAX = 16;
/** Indexes of sealed segments in memory. */
const INDEXES_MAX = 32;

/** What lies in a segment is not what was written, or cannot be read; nobody has looked yet how much of it. */
export class SegmentDamaged extends Error {
  override readonly name = "SegmentDamaged";
  readonly segment: Segment;
  readonly position: number;
  constructor(segment: Segment, position: number, what: string) {
    super(what);
    this.segment = segment;
    this.position = position;
  }
}

/** Where a read begins to look. */
export type ReadFrom = { readonly index: LogIndex } | { readonly offset: Offset } | FromTime;

/** The first frame with a record at or after `time`, of those with one at or above the offset. */
export interface FromTime {
  readonly time: number;
  readonly notBelow: Offset;
}

/** What a read is to give. */
export interface ColdRead {
  /** Frames before the first wanted one are skipped. */
  readonly wanted: (frame: Frame) => boolean;
  readonly maxBytes: number;
  readonly upTo: LogIndex;
  /** Asked before each load: nobody waits for the frames any more, and none are given. */
  readonly stopped?: (() => boolean) | undefined;
}

/** The segment was trimmed away while it was looked at. */
export class SegmentDropped extends Error {
  override readonly name = "SegmentDropped";
}

interface Parked {
  readonly segment: Segment;
  readonly cursor: SegmentCursor;
}

/** Reads segments for all groups: 1 MiB at a time, every frame checked, sequential readers without looking anything up again. */
export class ColdReader {
  readonly #disk: Disk;
  readonly #scheduler: DiskScheduler;
  readonly #files: FileCache;
  readonly #parked = new Map<string, Parked>();
  readonly #indexes = new Map<string, SparseIndex>();
  /** For those of whom there may be any number. */
  readonly turns: ReadTurns;

  /** @param readPendingMaxBytes of `turns`; without one nobody waits */
  constructor(disk: Disk, scheduler: DiskScheduler, files: FileCache, readPendingMaxBytes = Number.MAX_SAFE_INTEGER) {
    this.turns = new ReadTurns(readPendingMaxBytes);
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#files = files;
  }

  /**
   * Frames of one segment, whole, from the first wanted one on.
   *
   * @throws {SegmentDamaged} what lies there is not what was written: it is never served
   * @throws {HoleMet} the first frame is in a hole that is known
   * @throws {SegmentDropped}
   */
  async read(groupId: GroupId, segment: Segment, from: ReadFrom, read: ColdRead): Promise<Frame[]> {
    const hole = holeAt(segment, from);
    if (hole !== undefined) throw new HoleMet(hole);
    try {
      const cursor = await this.#cursor(groupId, segment, from);
      const passed = "time" in from ? holeBefore(segment, from, Math.min(cursor?.index ?? read.upTo + 1, read.upTo + 1)) : undefined;
      if (passed !== undefined) throw new HoleMet(passed);
      return cursor === undefined ? [] : await this.#collect(groupId, segment, cursor, from, read);
    } catch (error) {
      if (segment.dropped) throw new SegmentDropped(segment.path);
      if (error instanceof BadSegment) throw new SegmentDamaged(segment, error.position, error.message);
      if (error instanceof DiskError) throw new SegmentDamaged(segment, 0, error.message);
      throw error;
    }
  }

  forget(segment: Segment): Promise<void> {
    this.#indexes.delete(segment.indexPath);
    for (const [key, parked] of this.#parked) if (parked.segment === segment) this.#parked.delete(key);
    return this.#files.forget(segment.path);
  }

  async #collect(groupId: GroupId, segment: Segment, cursor: SegmentCursor, from: ReadFrom, read: ColdRead): Promise<Frame[]> {
    const frames: Frame[] = [];
    let bytes = 0;
    let first = true;
    // The segment may grow while it is read; what was not there at the beginning is not looked at.
    const end = segment.position;
    while (cursor.position < end && cursor.index <= read.upTo) {
      const hole = segment.holes.find((one) => one.first === cursor.index);
      if (hole !== undefined && frames.length === 0) throw new HoleMet(hole);
      if (hole !== undefined) return frames;
      let length = cursor.length();
      if (length === undefined) {
        const stopped = await this.#scheduler.run("read", async () => {
          if (read.stopped?.() === true) return true;
          await this.#files.use(segment.path, (file) => cursor.load(file, end));
          return false;
        });
        if (stopped) return [];
        length = cursor.length();
      }
      if (frames.length > 0 && bytes + (length ?? 0) > read.maxBytes) break;
      const frame = cursor.next((one) => frames.length > 0 || read.wanted(one));
      if (frames.length === 0 && "offset" in from && first && frame.baseOffset > from.offset)
        throw new BadSegment(cursor.position, `the index leads to offset ${frame.baseOffset}, not to ${from.offset}`);
      first = false;
      if (frames.length === 0 && !read.wanted(frame)) continue;
      frames.push(frame);
      bytes += frame.bytes.length;
    }
    if (cursor.position < end && !segment.dropped) this.#park(groupId, segment, cursor);
    return frames;
  }

  async #cursor(groupId: GroupId, segment: Segment, from: ReadFrom): Promise<SegmentCursor | undefined> {
    if ("index" in from) {
      const key = `${groupId}:${from.index}`;
      const parked = this.#parked.get(key);
      if (parked?.segment === segment) {
        this.#parked.delete(key);
        return parked.cursor;
      }
    }
    const index = segment.index ?? (await this.#index(segment));
    const entry = "index" in from ? index.atIndex(from.index) : "offset" in from ? index.atOffset(from.offset) : timeEntry(index, from);
    return entry === undefined ? undefined : new SegmentCursor(groupId, entry.index, entry.position);
  }

  #park(groupId: GroupId, segment: Segment, cursor: SegmentCursor): void {
    const key = `${groupId}:${cursor.index}`;
    this.#parked.delete(key);
    this.#parked.set(key, { segment, cursor });
    for (const oldest of this.#parked.keys()) {
      if (this.#parked.size <= CURSORS_MAX) break;
      this.#parked.delete(oldest);
    }
  }

  /** The index of a sealed segment. @throws {BadSegment} its file is missing or bad */
  async #index(segment: Segment): Promise<SparseIndex> {
    const known = this.#indexes.get(segment.indexPath);
    if (known !== undefined) {
      this.#indexes.delete(segment.indexPath);
      this.#indexes.set(segment.indexPath, known);
      return known;
    }
    const loaded = await this.#scheduler.run("read", () => loadIndex(this.#disk, segment));
    if (loaded === undefined || loaded.facts.lastIndex !== segment.lastIndex) throw new BadSegment(0, "its index file is missing or bad");
    this.remember(segment, loaded.index);
    return loaded.index;
  }

  /** The index of a sealed segment, newly made. */
  remember(segment: Segment, index: SparseIndex): void {
    this.#indexes.delete(segment.indexPath);
    this.#indexes.set(segment.indexPath, index);
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= INDEXES_MAX) break;
      this.#indexes.delete(oldest);
    }
  }
}

/** The hole that a read would begin in, or miss. */
function holeAt(segment: Segment, from: ReadFrom): SegmentHole | undefined {
  return segment.holes.find((hole) => {
    if ("index" in from) return hole.first <= from.index && from.index <= hole.last;
    return "offset" in from && hole.firstOffset <= from.offset && from.offset < hole.endOffset;
  });
}

/** Neither what is too early nor what is too low is looked at. */
function timeEntry(index: SparseIndex, { time, notBelow }: FromTime): IndexEntry | undefined {
  const early = index.atTime(time);
  const low = index.atOffset(notBelow);
  return early !== undefined && low !== undefined && low.index > early.index ? low : early;
}

/** What is in a hole may have any time: whoever passes over one may pass over what is looked for. Not below where the search begins. */
function holeBefore(segment: Segment, { notBelow }: FromTime, index: number): SegmentHole | undefined {
  return segment.holes.find((hole) => hole.first < index && hole.endOffset > notBelow);
}

/** First frame that holds `offset` or comes after it. */
export function holdsOffset(offset: Offset): (frame: Frame) => boolean {
  return (frame) => nextOffsetOf(frame) > offset;
}
