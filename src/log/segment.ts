import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { HeldFrame } from "./model/held.ts";
import type { SegmentFacts } from "./model/segment-files.ts";
import { groupFolder, type SegmentName, segmentStem } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";

/** What the segments need to know of a frame that goes into them. */
type Indexed = Pick<HeldFrame, "index" | "term" | "baseOffset" | "recordCount" | "maxTimestamp" | "appendTime" | "length">;

/** One segment of a group: what it holds, as far as it is written. */
export class Segment {
  readonly name: SegmentName;
  readonly path: string;
  readonly indexPath: string;
  /** Kept while it grows; a sealed one's lies on disk. */
  index: SparseIndex | undefined;
  sealed = false;
  /** Trimmed away: its files are gone, or going. */
  dropped = false;
  lastIndex: LogIndex;
  lastTerm: Term;
  endOffset: Offset;
  frames = 0;
  /** Where its frames end. */
  position: number;
  maxTimestamp = 0;
  firstAppendTime = 0;
  lastAppendTime = 0;

  /** @param position where the first frame goes: after the start point */
  constructor(groupId: GroupId, replicaId: ReplicaId, name: SegmentName, previousTerm: Term, position: number) {
    // Its two fields alone: whoever spreads it must get no more.
    this.name = { baseIndex: name.baseIndex, baseOffset: name.baseOffset };
    const stem = `${groupFolder(groupId, replicaId)}/${segmentStem(name)}`;
    this.path = `${stem}.log`;
    this.indexPath = `${stem}.index`;
    this.lastIndex = (name.baseIndex - 1) as LogIndex;
    this.lastTerm = previousTerm;
    this.endOffset = name.baseOffset;
    this.position = position;
  }

  /** The next frame was written at `position`. */
  add(frame: Indexed): void {
    invariant(frame.index === this.lastIndex + 1, () => `segment ${this.path} ends at ${this.lastIndex}, gets ${frame.index}`);
    this.index ??= new SparseIndex();
    this.index.add(frame, this.position);
    this.position += frame.length;
    this.lastIndex = frame.index;
    this.lastTerm = frame.term;
    this.endOffset = (frame.baseOffset + frame.recordCount) as Offset;
    this.maxTimestamp = Math.max(this.maxTimestamp, frame.maxTimestamp);
    if (this.frames === 0) this.firstAppendTime = frame.appendTime;
    this.lastAppendTime = frame.appendTime;
    this.frames += 1;
  }

  facts(): SegmentFacts {
    const { lastIndex, lastTerm, endOffset, frames, position, maxTimestamp, firstAppendTime, lastAppendTime } = this;
    return { ...this.name, lastIndex, lastTerm, endOffset, frames, position, maxTimestamp, firstAppendTime, lastAppendTime };
  }

  restore(facts: SegmentFacts): void {
    this.lastIndex = facts.lastIndex;
    this.lastTerm = facts.lastTerm;
    this.endOffset = facts.endOffset;
    this.frames = facts.frames;
    this.position = facts.position;
    this.maxTimestamp = facts.maxTimestamp;
    this.firstAppendTime = facts.firstAppendTime;
    this.lastAppendTime = facts.lastAppendTime;
  }
}
