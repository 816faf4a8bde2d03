import type { GroupId, LogIndex, Offset } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Frame } from "../records/frame-types.ts";
import type { FrameQueue, HeldFrame } from "./model/held.ts";

/**
 * The frames of one group on their way into segments, and how far each part of that way is gone. A frame is appended, becomes durable in
 * the write-ahead log, is committed; once it is both it may be written to a segment, and a `synced` record lets the log forget it:
 *
 * ```
 * synced ≤ written ≤ writable ≤ min(committed, durable) ≤ lastIndex
 * ```
 *
 * Frames that came past the write-ahead log (`extend`) were never held: they are written, and then everything is as far as they are.
 */
export class GroupFrames {
  readonly #groupId: GroupId;
  readonly #queue: FrameQueue;
  readonly #uncommitted: (bytes: number) => void;
  #committed: LogIndex;
  /** Highest index whose block, and all before it, is on disk. */
  #durable: LogIndex;
  /** In segments, synced or not. */
  #written: LogIndex;
  /** Committed and durable; `#writableBytes` counts those above `#written`. */
  #writable: LogIndex;
  #writableBytes = 0;
  #pendingBytes = 0;
  #uncommittedBytes = 0;
  #hotFrom: LogIndex;

  /**
   * @param queue frames above the synced index, all of them durable
   * @param uncommitted told of so many more bytes that are not committed, or fewer
   */
  constructor(groupId: GroupId, queue: FrameQueue, syncedIndex: LogIndex, uncommitted: (bytes: number) => void) {
    this.#groupId = groupId;
    this.#queue = queue;
    this.#uncommitted = uncommitted;
    this.#committed = syncedIndex;
    this.#written = syncedIndex;
    this.#writable = syncedIndex;
    this.#durable = queue.lastIndex;
    this.#hotFrom = (queue.lastIndex + 1) as LogIndex;
    for (let index = queue.baseIndex + 1; index <= queue.lastIndex; index += 1) {
      const { length } = this.held(index);
      this.#pendingBytes += length;
      if (index > syncedIndex) this.#count(length);
    }
  }

  get lastIndex(): LogIndex {
    return this.#queue.lastIndex;
  }
  /** Offset the next record gets. */
  get endOffset(): Offset {
    return this.#queue.get(this.lastIndex)?.nextOffset ?? this.#queue.baseOffset;
  }
  /** Of the newest frame below those that are held. */
  get baseIndex(): LogIndex {
    return this.#queue.baseIndex;
  }
  get baseOffset(): Offset {
    return this.#queue.baseOffset;
  }
  get committed(): LogIndex {
    return this.#committed;
  }
  get written(): LogIndex {
    return this.#written;
  }
  /** Bytes of frames not yet in a segment. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }
  /** Bytes that may be written to a segment now. */
  get writableBytes(): number {
    return this.#writableBytes;
  }
  get writableIndex(): LogIndex {
    return this.#writable;
  }
  /** Every frame from here to the end is in memory. */
  get hotFrom(): LogIndex {
    return this.#hotFrom;
  }
  get(index: number): HeldFrame | undefined {
    return this.#queue.get(index);
  }

  held(index: number): HeldFrame {
    const held = this.#queue.get(index);
    invariant(held !== undefined, () => `group ${this.#groupId} does not hold frame ${index}`);
    return held;
  }

  /** The first one whose records end above `offset`. */
  endingAbove(offset: Offset): HeldFrame | undefined {
    return this.#queue.find((frame) => frame.nextOffset > offset);
  }

  /** Frames in [first, last] that are in no segment yet. */
  between(first: number, last: number): HeldFrame[] {
    const held: HeldFrame[] = [];
    for (let index = Math.max(first, this.#written + 1); index <= last; index += 1) {
      const frame = this.#queue.get(index);
      if (frame !== undefined) held.push(frame);
    }
    return held;
  }

  /** Whole frames from memory, at least one; undefined when the first is not there. */
  hot(index: LogIndex, maxBytes: number, last: LogIndex): readonly Frame[] | undefined {
    const frames: Frame[] = [];
    let bytes = 0;
    for (let at = index; at <= last; at = (at + 1) as LogIndex) {
      const frame = this.#queue.get(at)?.frame;
      if (frame === undefined) break;
      if (frames.length > 0 && bytes + frame.bytes.length > maxBytes) break;
      frames.push(frame);
      bytes += frame.bytes.length;
    }
    return frames.length === 0 ? undefined : frames;
  }

  append(held: HeldFrame): void {
    this.#queue.push(held);
    this.#pendingBytes += held.length;
    this.#count(held.length);
  }

  /** `from` and everything above it is gone. @returns what was cut off */
  truncate(from: LogIndex): readonly HeldFrame[] {
    const cut = this.#queue.truncate(from);
    for (const held of cut) {
      held.gone = true;
      this.#pendingBytes -= held.length;
      this.#count(-held.length);
    }
    this.#durable = Math.min(this.#durable, from - 1) as LogIndex;
    this.#hotFrom = Math.min(this.#hotFrom, from) as LogIndex;
    return cut;
  }

  /** @param each called for each frame that is committed now, ascending */
  commit(index: LogIndex, each: (held: HeldFrame) => void): void {
    let bytes = 0;
    for (let at = this.#committed + 1; at <= index; at += 1) {
      const held = this.held(at);
      bytes += held.length;
      each(held);
    }
    this.#count(-bytes);
    this.#committed = index;
  }

  durable(frame: HeldFrame): void {
    this.#durable = frame.index;
  }

  /** Commit or durability moved: frames that are both may go to the segments. */
  advance(): void {
    const limit = Math.min(this.#committed, this.#durable);
    while (this.#writable < limit) {
      this.#writable = (this.#writable + 1) as LogIndex;
      this.#writableBytes += this.held(this.#writable).length;
    }
  }

  /** The next ones for the segments, at most about `most` bytes; none when there are fewer than `least`. */
  writable(least: number, most: number): readonly HeldFrame[] {
    if (this.#writableBytes < least) return [];
    const piece: HeldFrame[] = [];
    let bytes = 0;
    for (let index = this.#written + 1; index <= this.#writable; index += 1) {
      const held = this.held(index);
      if (piece.length > 0 && bytes + held.length > most) break;
      piece.push(held);
      bytes += held.length;
    }
    return piece;
  }

  /** Everything up to `last` is in segments. */
  wrote(last: LogIndex): void {
    for (let index = this.#written + 1; index <= Math.min(last, this.#writable); index += 1) {
      const { length } = this.held(index);
      this.#writableBytes -= length;
      this.#pendingBytes -= length;
    }
    this.#written = last;
    this.forget();
  }

  /** Forgets frames that a segment has and memory has not. */
  forget(): void {
    let through = this.#queue.baseIndex;
    while (through < this.#written) {
      const held = this.#queue.get(through + 1);
      if (held === undefined || held.frame !== undefined) break;
      through = held.index;
    }
    this.#queue.dropThrough(through);
  }

  /** Frames up to `index` are not for anybody to read or send, also those that are in memory still. */
  coldThrough(index: LogIndex): void {
    this.#hotFrom = Math.max(this.#hotFrom, index + 1) as LogIndex;
  }

  /** Memory was given to a recovered frame; frames come newest first. */
  warmed(frame: HeldFrame): void {
    if (frame.index === this.#hotFrom - 1) this.#hotFrom = frame.index;
  }

  /** Frames up to `index` came into the segments past the write-ahead log; nothing was held. */
  passed(index: LogIndex, endOffset: Offset): void {
    this.#queue.reset(index, endOffset);
    this.#hotFrom = (index + 1) as LogIndex;
    this.#committed = index;
    this.#durable = index;
    this.#writable = index;
  }

  /** The log begins after `index`, empty. */
  begin(index: LogIndex, endOffset: Offset): void {
    // A frame that waits to be appended again, or for its memory, is nobody's: it must not follow the record that says so.
    for (let at = this.#queue.baseIndex + 1; at <= this.lastIndex; at += 1) this.held(at).gone = true;
    this.#count(-this.#uncommittedBytes);
    this.#pendingBytes = 0;
    this.#writableBytes = 0;
    this.passed(index, endOffset);
    this.#written = index;
  }

  /** The group goes away: its frames need no place any more. */
  abandon(): void {
    for (const held of this.between(0, this.lastIndex)) held.gone = true;
    this.#count(-this.#uncommittedBytes);
  }

  #count(bytes: number): void {
    this.#uncommittedBytes += bytes;
    this.#uncommitted(bytes);
  }
}
