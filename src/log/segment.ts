import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Hole, SegmentHole } from "./holes.ts";
import type { HeldFrame } from "./model/held.ts";
import type { SegmentFacts } from "./model/segment-files.ts";
import { groupFolder, type SegmentName, segmentStem } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";
import type { Survey } from "./segment-survey.ts";

/** What the segments need to know of a frame that goes into them. */
type Indexed = Pick<HeldFrame, "index" | "term" | "baseOffset" | "recordCount" | "maxTimestamp" | "appendTime">;

/** One segment of a group: what it holds, as far as it is written. */
export class Segment {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly name: SegmentName;
  readonly path: string;
  readonly indexPath: string;
  /** Kept while it grows; a sealed one's lies on disk. */
  index: SparseIndex | undefined;
  sealed = false;
  /** Trimmed away: its files are gone, or going. */
  dropped = false;
  /** What of it is not what was written; its index is in memory then, and knows the whole frames alone. */
  holes: readonly SegmentHole[] = [];
  /** What is wrong with its start point. */
  pointWrong: string | undefined;
  /** It has no file: its name is that of the gap. */
  missing = false;
  #revision = 0;
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
    this.groupId = groupId;
    this.replicaId = replicaId;
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

  get damaged(): boolean {
    return this.holes.length > 0 || this.pointWrong !== undefined;
  }

  /** Rises whenever it is said anew what of it is whole: what was found by reading an earlier one is past. */
  get revision(): number {
    return this.#revision;
  }

  /** What is wrong with it, for those who repair. */
  get wrongs(): readonly Hole[] {
    const { groupId, path, pointWrong } = this;
    const holes = this.holes.map(({ first, last, position, what }) => ({ groupId, path, first, last, position, what }));
    if (holes.length > 0 || pointWrong === undefined) return holes;
    return [{ groupId, path, first: this.name.baseIndex, last: (this.name.baseIndex - 1) as LogIndex, position: 0, what: pointWrong }];
  }

  /** A survey says what of it is whole. */
  surveyed(survey: Pick<Survey, "holes" | "pointWrong" | "index">): void {
    this.#revision += 1;
    this.holes = survey.holes;
    this.pointWrong = survey.pointWrong;
    if (this.damaged) this.index = survey.index;
  }

  /** The next frame, of so many bytes, was written at `position`. */
  add(frame: Indexed, length: number): void {
    invariant(frame.index === this.lastIndex + 1, () => `segment ${this.path} ends at ${this.lastIndex}, gets ${frame.index}`);
    this.index ??= new SparseIndex();
    this.index.add(frame, this.position);
    this.position += length;
    this.lastIndex = frame.index;
    this.lastTerm = frame.term;
    this.endOffset = (frame.baseOffset + frame.recordCount) as Offset;
    this.maxTimestamp = Math.max(this.maxTimestamp, frame.maxTimestamp);
    if (this.frames === 0) this.firstAppendTime = frame.appendTime;
    this.lastAppendTime = frame.appendTime;
    this.frames += 1;
  }

  facts(): SegmentFacts {
    const { baseIndex, baseOffset } = this.name;
    const { lastIndex, lastTerm, endOffset, frames, position, maxTimestamp, firstAppendTime, lastAppendTime } = this;
    // Field by field: V8 makes an object that begins with a spread several times as slowly.
    return { baseIndex, baseOffset, lastIndex, lastTerm, endOffset, frames, position, maxTimestamp, firstAppendTime, lastAppendTime };
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
