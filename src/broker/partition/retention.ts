import type { LogIndex, Offset } from "../../base/ids.ts";
import type { SegmentSpan } from "../../log/types.ts";

/** What a topic keeps. */
export interface RetentionPolicy {
  /** Records appended longer ago may go; undefined: none do. */
  readonly retentionMs: number | undefined;
  /** Bytes a partition may shrink to, not below; undefined: no limit. */
  readonly retentionBytes: number | undefined;
  /** An active segment this old is closed by whatever is written next, so it may go too. */
  readonly segmentMs: number;
}

/** What holds when it is decided. */
export interface RetentionState {
  /** Oldest first; the last one is active. */
  readonly segments: readonly SegmentSpan[];
  /** Bytes in no segment yet. */
  readonly unwrittenBytes: number;
  /** Log start offset. */
  readonly startOffset: Offset;
  /** Every follower that is heard of has all up to here: what is above must stay. */
  readonly replicated: LogIndex;
  /** Wall clock, ms; undefined while it cannot be trusted: then nothing goes because of its age. */
  readonly now: number | undefined;
}

/**
 * Where the log of one partition is to begin (design §4, Trim): at the end of the newest segment of which no record is kept, by age or
 * by size. Whole segments only, never the active one, unless it is as old as it may become. How old a damaged one is nobody knows; but it is
 * older than what stands behind it (design §4, *Damage*). Pure.
 *
 * @returns the new log start offset; undefined when nothing goes
 */
export function newStartOffset(policy: RetentionPolicy, state: RetentionState): Offset | undefined {
  const { segments, replicated, now } = state;
  let left = segments.reduce((sum, segment) => sum + segment.position, state.unwrittenBytes);
  let start: Offset | undefined;
  for (const [i, segment] of segments.entries()) {
    if (i === segments.length - 1 && !closes(segment, policy, now)) break;
    if (segment.lastIndex > replicated) break;
    left -= segment.position;
    // Append times never fall along the log: what is behind a segment that stays is younger.
    if (!tooOld(newestIn(segments, i), policy, now) && !tooMuch(left, policy)) break;
    start = segment.endOffset;
  }
  return start !== undefined && start > state.startOffset ? start : undefined;
}

/** No record of segment `i` was appended later; undefined when that is not known. */
function newestIn(segments: readonly SegmentSpan[], i: number): number | undefined {
  const segment = segments[i];
  if (segment?.damaged === false) return segment.lastAppendTime;
  // One without a frame has no time.
  return segments.slice(i + 1).find(({ damaged, firstAppendTime }) => !damaged && firstAppendTime > 0)?.firstAppendTime;
}

function tooOld(newest: number | undefined, { retentionMs }: RetentionPolicy, now: number | undefined): boolean {
  return retentionMs !== undefined && now !== undefined && newest !== undefined && now - newest > retentionMs;
}

/** @param left bytes without the segment in question */
function tooMuch(left: number, { retentionBytes }: RetentionPolicy): boolean {
  return retentionBytes !== undefined && left >= retentionBytes;
}

/** The trim frame itself, appended now, begins the next segment. */
function closes(active: SegmentSpan, { segmentMs }: RetentionPolicy, now: number | undefined): boolean {
  return !active.damaged && now !== undefined && now - active.firstAppendTime >= segmentMs;
}
