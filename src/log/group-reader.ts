import type { GroupId, LogIndex, Offset } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { type Frame, nextOffsetOf } from "../records/frame-types.ts";
import { type ColdRead, holdsOffset, type ReadFrom, SegmentDropped } from "./cold-reader.ts";
import type { GroupFrames } from "./group-frames.ts";
import type { GroupHost } from "./group-host.ts";
import type { HeldFrame } from "./model/held.ts";
import type { LogStart } from "./model/records.ts";
import type { Segment } from "./segment.ts";
import type { SegmentDoctor } from "./segment-doctor.ts";
import type { ReadResult } from "./types.ts";

/** The log that is read. All of it may change while a read waits for the disk: trims, an install. */
export interface ReadSource {
  readonly groupId: GroupId;
  readonly start: LogStart;
  readonly startOffset: Offset;
  readonly frames: GroupFrames;
  /** Oldest first. */
  readonly segments: readonly Segment[];
  readonly doctor: SegmentDoctor;
}

/** Reads one group's log wherever its frames are: in memory, in segments, and what lies between in the write-ahead log. */
export class GroupReader {
  readonly #log: ReadSource;
  readonly #host: Pick<GroupHost, "cold" | "readWal">;

  constructor(log: ReadSource, host: Pick<GroupHost, "cold" | "readWal">) {
    this.#log = log;
    this.#host = host;
  }

  /** As `GroupLog.read`. */
  read(index: LogIndex, maxBytes: number, upTo: LogIndex, heals: boolean, stopped?: () => boolean): ReadResult | Promise<ReadResult> {
    const { start, frames } = this.#log;
    if (index <= start.index) return { kind: "below-start", start };
    const last = Math.min(upTo, frames.lastIndex) as LogIndex;
    if (index > last) return { kind: "frames", frames: [] };
    return this.#hot(index, maxBytes, last) ?? this.#cold({ index }, fromIndex(index, maxBytes, last, stopped), heals);
  }

  /** As `GroupLog.readFrom`. */
  readFrom(offset: Offset, maxBytes: number, upTo: LogIndex, stopped?: () => boolean): ReadResult | Promise<ReadResult> {
    const { start, startOffset, frames } = this.#log;
    if (offset < startOffset) return { kind: "below-start", start };
    const last = Math.min(upTo, frames.lastIndex) as LogIndex;
    if (offset >= frames.endOffset || last <= start.index) return { kind: "frames", frames: [] };
    if (offset >= frames.baseOffset) {
      const held = frames.endingAbove(offset);
      if (held === undefined || held.index > last) return { kind: "frames", frames: [] };
      const { index } = held;
      return this.#hot(index, maxBytes, last) ?? this.#inTurn({ index }, fromIndex(index, maxBytes, last, stopped));
    }
    return this.#inTurn({ offset }, { wanted: holdsOffset(offset), maxBytes, upTo: last, stopped });
  }

  /** As `GroupLog.findTime`. */
  async findTime(timestampMs: number, upTo: LogIndex, from: Offset, stopped?: () => boolean): Promise<Frame | undefined> {
    const { groupId, frames } = this.#log;
    const last = Math.min(upTo, frames.lastIndex) as LogIndex;
    const wanted = (frame: Pick<Frame, "baseOffset" | "recordCount" | "maxTimestamp">): boolean =>
      frame.recordCount > 0 && frame.maxTimestamp >= timestampMs && nextOffsetOf(frame) > from;
    // Frames move into segments while we read: what was passed over in memory is looked for again there.
    for (let done = this.#log.start.index; done < Math.min(last, frames.written); ) {
      const { written } = frames;
      for (const segment of this.#log.segments.filter((one) => one.lastIndex > done && one.maxTimestamp >= timestampMs)) {
        const upToWritten = Math.min(last, written) as LogIndex;
        const read = { wanted, maxBytes: 1, upTo: upToWritten, stopped };
        const look = (): Promise<readonly Frame[]> =>
          this.#host.cold.read(groupId, segment, { time: timestampMs, notBelow: from }, read).catch(noneIfDropped);
        const found = await this.#log.doctor.read(look, true);
        if (found[0] !== undefined) return found[0];
        if (stopped?.() === true) return undefined;
      }
      done = written;
    }
    for (let index = frames.written + 1; index <= Math.min(last, frames.lastIndex); index += 1) {
      const held = frames.get(index);
      if (held !== undefined && wanted(held)) return held.frame ?? (await this.#host.readWal([held]))[0];
    }
    return undefined;
  }

  #hot(index: LogIndex, maxBytes: number, last: LogIndex): ReadResult | undefined {
    const frames = this.#log.frames.hot(index, maxBytes, last);
    return frames === undefined ? undefined : { kind: "frames", frames };
  }

  /** For a caller, of whom there may be any number. Who waits for a repair has no turn meanwhile: it keeps nothing. */
  #inTurn(from: ReadFrom, read: ColdRead): Promise<ReadResult> {
    return this.#log.doctor.read(() => this.#host.cold.turns.run(read.maxBytes, () => this.#coldOnce(from, read)), true);
  }

  #cold(from: ReadFrom, read: ColdRead, heals: boolean): Promise<ReadResult> {
    return this.#log.doctor.read(() => this.#coldOnce(from, read), heals);
  }

  async #coldOnce(from: ReadFrom, read: ColdRead): Promise<ReadResult> {
    const { maxBytes, upTo: last } = read;
    const { groupId, start, startOffset, frames } = this.#log;
    // A read that is tried again after a repair may find that the log begins later by now.
    const below = "index" in from ? from.index <= start.index : "offset" in from && from.offset < startOffset;
    if (below) return { kind: "below-start", start };
    const segment = this.#log.segments.findLast((one) =>
      "index" in from ? one.name.baseIndex <= from.index : "offset" in from ? one.name.baseOffset <= from.offset : false,
    );
    const inSegments = Math.min(last, frames.written) as LogIndex;
    if (segment !== undefined && (!("index" in from) || from.index <= inSegments)) {
      try {
        return { kind: "frames", frames: await this.#host.cold.read(groupId, segment, from, { ...read, upTo: inSegments }) };
      } catch (error) {
        if (error instanceof SegmentDropped) return { kind: "below-start", start: this.#log.start };
        throw error;
      }
    }
    invariant("index" in from, "what is above the segments is found by index");
    const held: HeldFrame[] = [];
    let bytes = 0;
    for (let index: number = from.index; index <= last; index += 1) {
      const one = frames.held(index);
      if (held.length > 0 && bytes + one.length > maxBytes) break;
      held.push(one);
      bytes += one.length;
    }
    return { kind: "frames", frames: await this.#host.readWal(held) };
  }
}

function fromIndex(index: LogIndex, maxBytes: number, upTo: LogIndex, stopped: (() => boolean) | undefined): ColdRead {
  return { wanted: (frame) => frame.index >= index, maxBytes, upTo, stopped };
}

/** What was trimmed away under a search is passed over. */
function noneIfDropped(error: unknown): readonly Frame[] {
  if (error instanceof SegmentDropped) return [];
  throw error;
}
