import type { Disk, DiskFile } from "../base/ports/disk.ts";
import type { Frame } from "../records/frame-types.ts";
import { trimOf } from "../records/trim.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { HeldFrame } from "./model/held.ts";
import type { Producers } from "./model/producers.ts";
import type { SyncedMark } from "./model/records.ts";
import { encodeFooter, encodeStartPoint, FOOTER_BYTES, type StartPoint } from "./model/segment-files.ts";
import { groupFolder } from "./model/segment-name.ts";
import { Segment } from "./segment.ts";
import { SegmentOutput, WriterStopped } from "./segment-output.ts";
import { PRODUCERS_NOT_KNOWN } from "./segment-survey.ts";

/** Frames are written to segments in pieces of at least this, unless they have waited long enough. */
export const PIECE_BYTES_MIN = 256 * 1024;
const PIECE_BYTES_MAX = 1024 * 1024;
/** Synced no later than after so many bytes: what a device has to flush at once, the blocks that clients wait for stand behind. */
const UNSYNCED_BYTES_MAX = 8 * 1024 * 1024;
/**
 * While more is on its way, the index file and all producers in it are written again only after so many times its own bytes: the share of
 * what is written stays small, and so does what a start after a crash has to walk.
 */
const BYTES_PER_INDEX_BYTE = 16;

/** What the writer of one group asks of its log. */
export interface SegmentSource {
  readonly replicaId: StartPoint["replicaId"];
  readonly groupId: StartPoint["groupId"];
  readonly producers: Producers;
  /** Committed and durable frames above what is written, at most about so many bytes; empty when they are fewer than `least`. */
  writable(least: number, most: number): readonly HeldFrame[];
  /** Their bytes, from memory or from the write-ahead log. */
  bytesOf(frames: readonly HeldFrame[]): Promise<readonly Frame[]>;
  /** All of this is in the segments now (not yet synced). */
  written(segment: Segment): void;
  /** What the start point of a segment says besides the producers. */
  startPoint(segment: Segment["name"]): Omit<StartPoint, "producers">;
  /** A segment was begun. */
  began(segment: Segment): void;
  /** Segments are durable up to the mark: say so in the write-ahead log. Resolves when that is durable. */
  synced(mark: SyncedMark): Promise<void>;
}

export interface SegmentWriterOptions {
  readonly segmentBytes: number;
  readonly segmentMs: number;
}

/**
 * Writes one group's committed and durable frames into segments. One thing at a time per group, in order; the disk scheduler keeps
 * all groups together from taking the disk away from the write-ahead log.
 */
export class SegmentWriter {
  readonly #output: SegmentOutput;
  readonly #source: SegmentSource;
  #options: SegmentWriterOptions;
  readonly #failed: (error: unknown) => void;
  #chain: Promise<unknown> = Promise.resolve();
  #kicked = false;
  #least = 0;
  #stopped = false;
  #segment: Segment | undefined;
  #file: DiskFile | undefined;
  /** Bytes written and not yet synced. */
  #dirty = 0;
  /** Bytes of the segment that its index file does not tell of. */
  #unindexed = 0;
  /** Of the newest index file. */
  #indexBytes = 0;
  /** Segments were sealed up to here, and the write-ahead log was not told yet. */
  #owed: SyncedMark | undefined;
  #lastMark: Promise<void> = Promise.resolve();
  /** The directory does not know the newest file yet, as far as a power cut is concerned. */
  #newFile = false;

  /** @param segment the one that goes on growing, after a start */
  constructor(
    disk: Disk,
    scheduler: DiskScheduler,
    space: Pick<DiskSpace, "attempt" | "spent">,
    source: SegmentSource,
    options: SegmentWriterOptions,
    segment: Segment | undefined,
    failed: (error: unknown) => void,
  ) {
    this.#output = new SegmentOutput(disk, scheduler, space, () => this.#stopped);
    this.#source = source;
    this.#options = options;
    this.#segment = segment;
    this.#failed = failed;
  }

  /** Takes effect with the next frame. */
  configure(options: SegmentWriterOptions): void {
    this.#options = options;
  }

  /** Writes what is there, when it is at least `least` bytes. */
  kick(least: number): void {
    this.#least = this.#kicked ? Math.min(this.#least, least) : least;
    if (this.#kicked || this.#stopped) return;
    this.#kicked = true;
    this.#run(async () => {
      this.#kicked = false;
      await this.#writeAll(this.#least);
      this.#tell();
    }).catch(() => {});
  }

  /** Writes everything that may be written and makes it durable; resolves when the `synced` record is durable too. */
  async flush(): Promise<void> {
    const synced = await this.toSegments();
    await synced?.marked;
  }

  /** The same, but for the record, which is handed over: `marked` resolves when that is durable. Undefined: the writer has stopped. */
  async toSegments(): Promise<{ readonly marked: Promise<void> } | undefined> {
    if (this.#stopped) return undefined;
    return this.#run(async () => {
      await this.#writeAll(1);
      return this.#sync("asked");
    });
  }

  /** Frames that come past the write-ahead log: they follow what is written, and are synced before this resolves. */
  async extend(frames: readonly Frame[]): Promise<void> {
    const synced = await this.#run(async () => {
      await this.#write(frames);
      return this.#sync("asked");
    });
    await synced.marked;
  }

  /**
   * The growing segment, if it is this one, is written no more: what lies in it is not what was written. It gets no footer, for which
   * there might be no room; whoever finds it whole after all writes one.
   */
  async sealOff(segment: Segment): Promise<void> {
    await this.#run(async () => {
      if (this.#segment === segment) await this.#seal(segment, false);
      this.#tell();
    });
  }

  /** Does something while nothing is written. Its failure is the caller's, not the disk's. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#chain.then(() => {
      if (this.#stopped) throw new WriterStopped();
      return work();
    });
    this.#chain = run.catch(() => {});
    return run;
  }

  /** Nothing is written any more; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#chain.catch(() => {});
    await this.#file?.close();
    this.#file = undefined;
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#chain.then(async () => {
      if (this.#stopped) throw new WriterStopped();
      return work();
    });
    this.#chain = run.catch((error: unknown) => {
      // Given up because the log closes, or because of something that must stop the broker.
      if (!this.#stopped && !(error instanceof WriterStopped)) this.#failed(error);
      this.#stopped = true;
    });
    return run;
  }

  async #writeAll(least: number): Promise<void> {
    for (;;) {
      const held = this.#source.writable(least, PIECE_BYTES_MAX);
      if (held.length === 0 || this.#stopped) return;
      this.#tell();
      await this.#write(await this.#source.bytesOf(held));
      if (this.#dirty >= UNSYNCED_BYTES_MAX) await this.#sync("grows");
    }
  }

  /** Appends frames, rolling to a new segment by size and age. */
  async #write(frames: readonly Frame[]): Promise<void> {
    for (let first = 0; first < frames.length; ) {
      const segment = await this.#segmentFor(frames[first] as Frame);
      let bytes = 0;
      let end = first;
      for (; end < frames.length; end += 1) {
        const frame = frames[end] as Frame;
        if (end > first && this.#rolls(segment, segment.frames + end - first, segment.position + bytes, frame)) break;
        bytes += frame.bytes.length;
      }
      const piece = frames.slice(first, end);
      this.#file ??= await this.#output.open(segment.path);
      const file = this.#file;
      const chunks = piece.map((frame) => frame.bytes);
      await this.#output.append(file, segment.path, segment.position, chunks);
      this.#dirty += bytes;
      this.#unindexed += bytes;
      for (const frame of piece) segment.add(frame, frame.bytes.length);
      this.#source.producers.advance(segment.lastIndex);
      this.#source.written(segment);
      first = end;
    }
  }

  #rolls(segment: Segment, frames: number, position: number, next: Frame): boolean {
    if (frames === 0) return false;
    if (position + next.bytes.length > this.#options.segmentBytes) return true;
    // A trim that leaves nothing of the segment begins a new one, so that this one can go.
    if (trimOf(next) === next.baseOffset) return true;
    return segment.frames > 0 && next.appendTime - segment.firstAppendTime >= this.#options.segmentMs;
  }

  async #segmentFor(next: Frame): Promise<Segment> {
    const current = this.#segment;
    if (current !== undefined && !this.#rolls(current, current.frames, current.position, next)) return current;
    if (current !== undefined) await this.#seal(current, !current.damaged);
    return this.#begin(next);
  }

  async #begin(first: Frame): Promise<Segment> {
    const name = { baseIndex: first.index, baseOffset: first.baseOffset };
    const point = { ...this.#source.startPoint(name), producers: this.#source.producers };
    const bytes = encodeStartPoint(point);
    const segment = new Segment(this.#source.groupId, this.#source.replicaId, name, point.start.term, bytes.length);
    this.#file = await this.#output.create(segment.path, bytes);
    // Repaired like any damage, once what stands before it is.
    if (!point.producers.known) segment.pointWrong = PRODUCERS_NOT_KNOWN;
    this.#segment = segment;
    this.#newFile = true;
    this.#source.began(segment);
    return segment;
  }

  /** @param whole with a footer: without one, the next start walks it */
  async #seal(segment: Segment, whole: boolean): Promise<void> {
    this.#file ??= await this.#output.open(segment.path);
    const file = this.#file;
    if (whole) {
      await this.#output.append(file, segment.path, segment.position, [encodeFooter(segment.facts())]);
      this.#dirty += FOOTER_BYTES;
    }
    // The record that says so may become durable later; a start in between cuts the segment back and seals it again.
    await this.#sync("seals", whole);
    await file.close();
    this.#file = undefined;
    this.#segment = undefined;
    this.#unindexed = 0;
    segment.sealed = true;
    if (whole) segment.index = undefined;
  }

  /**
   * @param why "grows": more is on its way, and the index file may wait
   * @returns `marked` resolves when the `synced` record is durable too; in an object, because the next piece need not wait for it
   */
  async #sync(why: "grows" | "asked" | "seals", footer = false): Promise<{ readonly marked: Promise<void> }> {
    const segment = this.#segment;
    const seals = why === "seals";
    // A sealed one is said to be so in any case: without a footer, the next start does not go by what it knows of it.
    if (segment === undefined || !(this.#dirty > 0 || seals)) {
      if (segment !== undefined && this.#unindexed > 0) await this.#writeIndex(segment);
      this.#tell();
      return { marked: this.#lastMark };
    }
    const file = this.#file as DiskFile;
    const folder = groupFolder(this.#source.groupId, this.#source.replicaId);
    await this.#output.sync(file, this.#newFile ? folder : undefined);
    this.#newFile = false;
    this.#dirty = 0;
    if (why !== "grows" || this.#unindexed >= BYTES_PER_INDEX_BYTE * this.#indexBytes) await this.#writeIndex(segment);
    const size = footer ? segment.position + FOOTER_BYTES : segment.position;
    const mark: SyncedMark = {
      index: segment.lastIndex,
      term: segment.lastTerm,
      offset: segment.endOffset,
      appendTime: segment.lastAppendTime,
      baseIndex: segment.name.baseIndex,
      baseOffset: segment.name.baseOffset,
      position: size,
      sealed: seals,
    };
    this.#owed = mark;
    // One record says it of all segments that a piece seals: one for each would fill the ring when they are small (ADR 0021).
    if (!seals) this.#tell();
    return { marked: this.#lastMark };
  }

  #tell(): void {
    if (this.#owed === undefined) return;
    this.#lastMark = this.#source.synced(this.#owed);
    this.#owed = undefined;
  }

  /** Derived and not synced: after a power cut it may be bad, then it is built again. */
  async #writeIndex(segment: Segment): Promise<void> {
    const bytes = segment.index?.encode(this.#source, segment.facts(), this.#source.producers);
    if (bytes === undefined) return;
    this.#unindexed = 0;
    this.#indexBytes = bytes.length;
    await this.#output.replace(segment.indexPath, bytes);
  }
}
