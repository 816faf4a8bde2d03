import { MillraceError } from "../base/errors.ts";
import type { GroupId, LogIndex, Offset } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { type Frame, nextOffsetOf } from "../records/frame-types.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { FileCache } from "./file-cache.ts";
import type { SparseIndex } from "./model/sparse-index.ts";
import type { Segment } from "./segment.ts";
import { loadIndex, rebuildIndex } from "./segment-loader.ts";
import { BadSegment, SegmentCursor } from "./segment-scan.ts";

/** Readers that went on where they stopped find their bytes here: this many, of about 1 MiB each. */
const CURSORS_MAX = 16;
/** Indexes of sealed segments in memory. */
const INDEXES_MAX = 32;

/** Where a read begins to look. */
export type ReadFrom = { readonly index: LogIndex } | { readonly offset: Offset } | { readonly time: number };

/** What a read is to give. */
export interface ColdRead {
  /** Frames before the first wanted one are skipped. */
  readonly wanted: (frame: Frame) => boolean;
  readonly maxBytes: number;
  readonly upTo: LogIndex;
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
  readonly #telemetry: Telemetry;
  readonly #parked = new Map<string, Parked>();
  readonly #indexes = new Map<string, SparseIndex>();

  constructor(disk: Disk, scheduler: DiskScheduler, files: FileCache, telemetry: Telemetry) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#files = files;
    this.#telemetry = telemetry;
  }

  /**
   * Frames of one segment, whole, from the first wanted one on.
   *
   * @throws {MillraceError} DATA_LOSS when what lies there is not what was written: it is never served
   * @throws {SegmentDropped}
   */
  async read(groupId: GroupId, segment: Segment, from: ReadFrom, read: ColdRead): Promise<Frame[]> {
    try {
      const cursor = await this.#cursor(groupId, segment, from);
      return cursor === undefined ? [] : await this.#collect(groupId, segment, cursor, read);
    } catch (error) {
      if (segment.dropped) throw new SegmentDropped(segment.path);
      if (error instanceof BadSegment) throw this.#loss(segment, error.position, error.message);
      if (error instanceof DiskError) throw this.#loss(segment, 0, error.message);
      throw error;
    }
  }

  forget(segment: Segment): Promise<void> {
    this.#indexes.delete(segment.indexPath);
    for (const [key, parked] of this.#parked) if (parked.segment === segment) this.#parked.delete(key);
    return this.#files.forget(segment.path);
  }

  async #collect(groupId: GroupId, segment: Segment, cursor: SegmentCursor, read: ColdRead): Promise<Frame[]> {
    const frames: Frame[] = [];
    let bytes = 0;
    // The segment may grow while it is read; what was not there at the beginning is not looked at.
    const end = segment.position;
    while (cursor.position < end && cursor.index <= read.upTo) {
      let length = cursor.length();
      if (length === undefined) {
        await this.#scheduler.run("read", () => this.#files.use(segment.path, (file) => cursor.load(file, end)));
        length = cursor.length();
      }
      if (frames.length > 0 && bytes + (length ?? 0) > read.maxBytes) break;
      const frame = cursor.next((one) => frames.length > 0 || read.wanted(one));
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
    const index = segment.index ?? (await this.#index(groupId, segment));
    const entry = "index" in from ? index.atIndex(from.index) : "offset" in from ? index.atOffset(from.offset) : index.atTime(from.time);
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

  /** The index of a sealed segment; built from the segment when its file is missing or bad. */
  async #index(groupId: GroupId, segment: Segment): Promise<SparseIndex> {
    const known = this.#indexes.get(segment.indexPath);
    if (known !== undefined) {
      this.#indexes.delete(segment.indexPath);
      this.#indexes.set(segment.indexPath, known);
      return known;
    }
    const loaded = await this.#scheduler.run("read", () => loadIndex(this.#disk, segment.indexPath));
    const whole = loaded !== undefined && loaded.facts.lastIndex === segment.lastIndex && loaded.facts.baseIndex === segment.name.baseIndex;
    const index = whole ? loaded.index : await this.#rebuild(groupId, segment);
    this.#indexes.set(segment.indexPath, index);
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= INDEXES_MAX) break;
      this.#indexes.delete(oldest);
    }
    return index;
  }

  async #rebuild(groupId: GroupId, segment: Segment): Promise<SparseIndex> {
    this.#telemetry.log("warn", "log.index_rebuilt", { path: segment.indexPath });
    return rebuildIndex(groupId, segment, (work) => this.#scheduler.run("read", () => this.#files.use(segment.path, work)));
  }

  #loss(segment: Segment, position: number, what: string): MillraceError {
    this.#telemetry.log("error", "log.segment_damaged", { path: segment.path, position, what });
    this.#telemetry.count("log_segment_damaged_total");
    return new MillraceError("DATA_LOSS", `Cannot read ${segment.path} at byte ${position}: ${what}`, {
      path: segment.path,
      position: String(position),
    });
  }
}

/** First frame that holds `offset` or comes after it. */
export function holdsOffset(offset: Offset): (frame: Frame) => boolean {
  return (frame) => nextOffsetOf(frame) > offset;
}
