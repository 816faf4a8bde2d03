import type { LogIndex, Offset } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports/disk.ts";
import { verifyPayload } from "../records/frame.ts";
import { type Frame, nextOffsetOf } from "../records/frame-types.ts";
import type { FileWindow } from "./file-window.ts";
import type { PullFrames, SegmentHole } from "./holes.ts";
import { encodeFooter, encodeStartPoint, type SegmentFacts, type StartPoint } from "./model/segment-files.ts";
import { SparseIndex } from "./model/sparse-index.ts";
import { removeFile } from "./segment-loader.ts";
import { BadSegment } from "./segment-scan.ts";
import type { SegmentBounds } from "./segment-survey.ts";

/** Bytes gathered for one write. */
const WRITE_BYTES = 1024 * 1024;

export interface RewriteRequest {
  readonly bounds: SegmentBounds;
  readonly point: StartPoint;
  /** The damaged file; undefined when it is missing. */
  readonly source: FileWindow | undefined;
  readonly holes: readonly SegmentHole[];
  /** Where the first whole frame lies in `source`. */
  readonly firstPosition: number;
  readonly pull: PullFrames;
  /** Ends at a frame border above this: a gap of many segments becomes many again. */
  readonly bytesMax: number;
}

export interface Rewritten {
  /** Up to where the new file goes: below the bounds when it was cut at `bytesMax`, or when nobody had the rest. */
  readonly lastIndex: LogIndex;
  readonly endOffset: Offset;
  readonly facts: SegmentFacts;
  /** Frames that were missing and are there now. */
  readonly healed: number;
  /** Still there: nobody had them. */
  readonly holes: readonly SegmentHole[];
  readonly index: SparseIndex;
  /** Bytes of the file. */
  readonly size: number;
}

/**
 * Writes a damaged segment anew under a temporary name: its start point, the frames that are whole, the missing ones as they come. The
 * caller verifies and renames; until then nothing that is in use was touched, so a crash at any point leaves the hole as it was.
 *
 * @returns undefined when nothing was gained: then there is no file
 * @throws {BadSegment} the source is not what the survey found
 */
export async function rewriteSegment(disk: Disk, path: string, request: RewriteRequest): Promise<Rewritten | undefined> {
  await removeFile(disk, path);
  const file = await disk.open(path, { mode: "create" });
  let kept = false;
  try {
    const out = new Output(file, request);
    const done = await out.run();
    if (done !== undefined) await file.sync();
    kept = done !== undefined;
    return done;
  } finally {
    await file.close();
    if (!kept) await removeFile(disk, path);
  }
}

class Output {
  readonly #file: DiskFile;
  readonly #request: RewriteRequest;
  readonly #index = new SparseIndex();
  readonly #left: SegmentHole[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #written = 0;
  #next: LogIndex;
  #offset: Offset;
  #healed = 0;
  #afterHole = false;
  #maxTimestamp = 0;
  #firstAppendTime = 0;
  #lastAppendTime = 0;
  #frames = 0;

  constructor(file: DiskFile, request: RewriteRequest) {
    this.#file = file;
    this.#request = request;
    this.#next = request.bounds.name.baseIndex;
    this.#offset = request.bounds.name.baseOffset;
  }

  async run(): Promise<Rewritten | undefined> {
    const { bounds, holes, point, bytesMax } = this.#request;
    await this.#put(encodeStartPoint(point));
    let position = this.#request.firstPosition;
    let open = true;
    while (open && this.#next <= bounds.lastIndex && this.#position <= bytesMax) {
      const hole = holes.find((one) => one.first === this.#next);
      if (hole === undefined) {
        position += await this.#copyFrame(position);
        continue;
      }
      open = await this.#fill(hole);
      if (hole.end !== undefined) position = hole.end;
    }
    if (this.#healed === 0 && holes.length > 0) return undefined;
    const facts = this.#facts();
    if (this.#left.length === 0) await this.#put(encodeFooter(facts));
    await this.#flush();
    const lastIndex = (this.#next - 1) as LogIndex;
    const { size, holes: left, index } = { size: this.#written, holes: this.#left, index: this.#index };
    return { lastIndex, endOffset: this.#offset, facts, healed: this.#healed, holes: left, index, size };
  }

  get #position(): number {
    return this.#written + this.#pendingBytes;
  }

  /** @returns bytes of the frame at `position` of the source */
  async #copyFrame(position: number): Promise<number> {
    const frame = (await this.#request.source?.frame(position)) ?? "the file is missing";
    const wrong = typeof frame === "string" ? frame : this.#wrong(frame);
    if (typeof frame === "string" || wrong !== undefined) throw new BadSegment(position, wrong ?? "");
    await this.#take(frame);
    return frame.bytes.length;
  }

  /** @returns false when the rest of the segment stays a hole */
  async #fill(hole: SegmentHole): Promise<boolean> {
    const from = this.#position;
    while (this.#next <= hole.last && this.#position <= this.#request.bytesMax) {
      const frames = await this.#request.pull(this.#next, hole.last);
      if (frames === undefined || frames.length === 0) return this.#leave(hole, from);
      for (const frame of frames) {
        // What a peer sends is committed there: when it does not fit here, it is not taken.
        if (frame.index > hole.last || this.#wrong(frame) !== undefined) return this.#leave(hole, from);
        await this.#take(frame);
        this.#healed += 1;
      }
    }
    return true;
  }

  /** Nobody has the rest of this hole: its bytes stay as they are, so that what stands behind keeps its distance. */
  async #leave(hole: SegmentHole, from: number): Promise<boolean> {
    const { bounds, source } = this.#request;
    const position = this.#position;
    const left = { ...hole, first: this.#next, firstOffset: this.#offset, position };
    if (hole.end === undefined || source === undefined) {
      // The rest has no known place: the file ends here, and what is missing begins.
      this.#left.push({ ...left, last: bounds.lastIndex, endOffset: bounds.endOffset, end: undefined });
      return false;
    }
    for (let at = hole.position + (position - from); at < hole.end; ) {
      const length = Math.min(WRITE_BYTES, hole.end - at);
      const bytes = await source.at(at, length);
      await this.#put(typeof bytes === "string" ? new Uint8Array(length) : bytes);
      at += length;
    }
    this.#left.push({ ...left, end: this.#position });
    this.#next = (hole.last + 1) as LogIndex;
    this.#offset = hole.endOffset;
    this.#afterHole = true;
    return true;
  }

  #wrong(frame: Frame): string | undefined {
    const { groupId, termAt } = { ...this.#request.bounds, termAt: this.#request.bounds.termAt(this.#next) };
    if (frame.groupId !== groupId || frame.index !== this.#next || frame.baseOffset !== this.#offset)
      return `frame ${frame.index} of group ${frame.groupId} where ${this.#next} should be`;
    if (termAt !== undefined && termAt !== frame.term) return `frame ${frame.index} has term ${frame.term}, not ${termAt}`;
    return verifyPayload(frame) ? undefined : `the payload of frame ${frame.index} does not match its CRC`;
  }

  async #take(frame: Frame): Promise<void> {
    if (this.#afterHole) this.#index.begin(frame, this.#position);
    else this.#index.add(frame, this.#position);
    this.#afterHole = false;
    if (this.#frames === 0) this.#firstAppendTime = frame.appendTime;
    this.#frames += 1;
    this.#lastAppendTime = frame.appendTime;
    this.#maxTimestamp = Math.max(this.#maxTimestamp, frame.maxTimestamp);
    this.#next = (frame.index + 1) as LogIndex;
    this.#offset = nextOffsetOf(frame);
    await this.#put(frame.bytes);
  }

  #facts(): SegmentFacts {
    const { bounds } = this.#request;
    const lastIndex = this.#left.length > 0 ? bounds.lastIndex : ((this.#next - 1) as LogIndex);
    return {
      ...bounds.name,
      lastIndex,
      lastTerm: bounds.termAt(lastIndex) ?? this.#request.point.start.term,
      endOffset: this.#left.length > 0 ? bounds.endOffset : this.#offset,
      frames: lastIndex - bounds.name.baseIndex + 1,
      position: this.#position,
      maxTimestamp: this.#left.length > 0 ? Number.MAX_SAFE_INTEGER : this.#maxTimestamp,
      firstAppendTime: this.#firstAppendTime,
      lastAppendTime: this.#lastAppendTime,
    };
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= WRITE_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#pendingBytes === 0) return;
    await this.#file.write(this.#written, this.#pending);
    this.#written += this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
