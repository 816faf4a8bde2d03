import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import { verifyPayload } from "../records/frame.ts";
import { type Frame, nextOffsetOf } from "../records/frame-types.ts";
import type { FileWindow } from "./file-window.ts";
import type { SegmentHole } from "./holes.ts";
import { Malformed } from "./model/bytes.ts";
import type { Producers } from "./model/producers.ts";
import { decodeStartPoint, type SegmentFacts, START_HEADER_BYTES, type StartPoint, startPointBytes } from "./model/segment-files.ts";
import type { SegmentName } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";

/** What is wrong with the start point of a segment that was begun while damage before it was not repaired. */
export const PRODUCERS_NOT_KNOWN = "what producers wrote before it was not known when it was begun";

/** What a segment must hold, as the write-ahead log and its neighbours say. */
export interface SegmentBounds {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly name: SegmentName;
  readonly lastIndex: LogIndex;
  readonly endOffset: Offset;
  /** Of a frame in it; undefined: not known. */
  termAt(index: LogIndex): Term | undefined;
}

/** What one segment really holds. */
export interface Survey {
  readonly bounds: SegmentBounds;
  /** The start point, when it is whole. */
  readonly point: StartPoint | undefined;
  /** What is wrong with it, when it is not. */
  readonly pointWrong: string | undefined;
  /** Ascending. */
  readonly holes: readonly SegmentHole[];
  /** Of the whole frames; an entry stands behind each hole. */
  readonly index: SparseIndex;
  /** `position` is where the last whole frame ends. */
  readonly facts: SegmentFacts;
  /** Offset after the last frame, by the frames: `facts` repeats what the bounds say. */
  readonly reached: Offset;
  /** As of the end of the segment; undefined when they cannot be known from this file alone. */
  readonly producers: Producers | undefined;
}

/**
 * Reads every byte of a segment and says what is whole. Behind a frame whose header is bad, only places that are vouched for are
 * believed: the index file's. Looking for the next header among the bytes would find frames that a producer put into a record.
 *
 * @param window the file; undefined when there is none
 * @param trusted the index file of this very segment, whose CRC matched
 * @param before producers as of the first frame, for a segment whose own start point does not know them
 */
export async function surveySegment(
  window: FileWindow | undefined,
  bounds: SegmentBounds,
  trusted: SparseIndex | undefined,
  before?: Producers,
): Promise<Survey> {
  const walk = new Walk(bounds);
  const head = window === undefined ? { wrong: "the file is missing" } : await readStartPoint(window, bounds);
  const point = "point" in head ? head.point : undefined;
  const pointWrong = "wrong" in head ? head.wrong : head.point.producers.known ? undefined : PRODUCERS_NOT_KNOWN;
  let producers = before?.copy() ?? (pointWrong === undefined ? point?.producers.copy() : undefined);
  const first = trusted?.entry(0);
  let position = "point" in head ? head.bytes : first?.index === bounds.name.baseIndex ? first.position : undefined;
  while (walk.index <= bounds.lastIndex) {
    const frame: Frame | string = window === undefined || position === undefined ? (pointWrong ?? "") : await window.frame(position);
    const wrong = typeof frame === "string" ? frame : walk.wrong(frame);
    if (typeof frame !== "string" && wrong === undefined && position !== undefined) {
      producers?.append(frame);
      producers?.advance(frame.index);
      walk.take(frame, position);
      position += frame.bytes.length;
      continue;
    }
    producers = undefined;
    const hole = { first: walk.index, firstOffset: walk.offset, position: position ?? 0, what: wrong ?? "" };
    if (typeof frame !== "string" && position !== undefined && walk.placed(frame)) {
      // Only the payload changed: its header says where the next frame begins.
      position += frame.bytes.length;
      walk.skip({ ...hole, last: frame.index, endOffset: nextOffsetOf(frame), end: position });
      continue;
    }
    const next = window === undefined ? undefined : await nextTrusted(window, walk, trusted, position ?? 0);
    if (next === undefined) {
      walk.skip({ ...hole, last: bounds.lastIndex, endOffset: bounds.endOffset, end: undefined });
      break;
    }
    position = next.position;
    walk.skip({ ...hole, last: (next.index - 1) as LogIndex, endOffset: next.offset, end: position });
  }
  return { bounds, point, pointWrong, holes: walk.holes, index: walk.sparse, facts: walk.facts(), reached: walk.offset, producers };
}

/** Where a survey stands: the next frame, and what was found so far. */
class Walk {
  readonly holes: SegmentHole[] = [];
  readonly sparse = new SparseIndex();
  index: LogIndex;
  offset: Offset;
  readonly #bounds: SegmentBounds;
  #afterHole = false;
  #position = 0;
  #frames = 0;
  #maxTimestamp = 0;
  #firstAppendTime = 0;
  #lastAppendTime = 0;

  constructor(bounds: SegmentBounds) {
    this.#bounds = bounds;
    this.index = bounds.name.baseIndex;
    this.offset = bounds.name.baseOffset;
  }

  /** It is the next frame, as far as its header goes. */
  placed(frame: Frame, index = this.index, offset = this.offset): boolean {
    const { groupId, termAt, lastIndex } = { ...this.#bounds, termAt: this.#bounds.termAt(index) };
    return (
      frame.groupId === groupId &&
      frame.index === index &&
      index <= lastIndex &&
      frame.baseOffset === offset &&
      (termAt === undefined || termAt === frame.term)
    );
  }

  /** @returns undefined when it is the next frame, whole */
  wrong(frame: Frame): string | undefined {
    if (!this.placed(frame))
      return `frame ${frame.index} of group ${frame.groupId}, term ${frame.term}, lies where ${this.index} of ${this.#bounds.groupId} should`;
    return verifyPayload(frame) ? undefined : `the payload of frame ${frame.index} does not match its CRC`;
  }

  take(frame: Frame, position: number): void {
    if (this.#afterHole) this.sparse.begin(frame, position);
    else this.sparse.add(frame, position);
    this.#afterHole = false;
    if (this.#frames === 0) this.#firstAppendTime = frame.appendTime;
    this.#frames += 1;
    this.#lastAppendTime = frame.appendTime;
    this.#maxTimestamp = Math.max(this.#maxTimestamp, frame.maxTimestamp);
    this.#position = position + frame.bytes.length;
    this.index = (frame.index + 1) as LogIndex;
    this.offset = nextOffsetOf(frame);
  }

  skip(hole: SegmentHole): void {
    const before = this.holes.at(-1);
    if (before !== undefined && before.last + 1 === hole.first && before.end === hole.position)
      this.holes[this.holes.length - 1] = { ...before, last: hole.last, endOffset: hole.endOffset, end: hole.end };
    else this.holes.push(hole);
    this.#afterHole = true;
    if (hole.end !== undefined) this.#position = hole.end;
    this.index = (hole.last + 1) as LogIndex;
    this.offset = hole.endOffset;
  }

  facts(): SegmentFacts {
    const { name, lastIndex, endOffset } = this.#bounds;
    return {
      ...name,
      lastIndex,
      lastTerm: this.#bounds.termAt(lastIndex) ?? (0 as Term),
      endOffset,
      frames: lastIndex - name.baseIndex + 1,
      position: this.#position,
      // What is in a hole may be later than all the rest: a search by time must look.
      maxTimestamp: this.holes.length > 0 ? Number.MAX_SAFE_INTEGER : this.#maxTimestamp,
      firstAppendTime: this.#firstAppendTime,
      lastAppendTime: this.#lastAppendTime,
    };
  }
}

async function nextTrusted(
  window: FileWindow,
  walk: Walk,
  trusted: SparseIndex | undefined,
  position: number,
): Promise<{ readonly index: LogIndex; readonly offset: Offset; readonly position: number } | undefined> {
  for (let i = 0; i < (trusted?.count ?? 0); i += 1) {
    const entry = trusted?.entry(i);
    if (entry === undefined || entry.position <= position || entry.index <= walk.index) continue;
    const frame = await window.frame(entry.position);
    if (typeof frame !== "string" && walk.placed(frame, entry.index, entry.offset) && verifyPayload(frame)) return entry;
  }
  return undefined;
}

/** The start point, when it is whole and this segment's. */
export async function readStartPoint(
  window: FileWindow,
  bounds: Pick<SegmentBounds, "groupId" | "replicaId" | "name">,
): Promise<{ readonly point: StartPoint; readonly bytes: number } | { readonly wrong: string }> {
  const head = await window.at(0, START_HEADER_BYTES);
  if (typeof head === "string") return { wrong: head };
  try {
    const length = startPointBytes(head);
    const bytes = await window.at(0, length);
    if (typeof bytes === "string") return { wrong: bytes };
    const point = decodeStartPoint(bytes);
    const { groupId, replicaId, start } = point;
    if (
      groupId !== bounds.groupId ||
      replicaId !== bounds.replicaId ||
      start.index !== bounds.name.baseIndex - 1 ||
      start.offset !== bounds.name.baseOffset
    )
      return { wrong: `the start point is that of group ${groupId}, replica ${replicaId}, index ${start.index}` };
    return { point, bytes: length };
  } catch (error) {
    if (error instanceof Malformed) return { wrong: error.message };
    throw error;
  }
}
