import type { GroupId, LogIndex, Offset, ProducerId, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { type Frame, FrameType } from "../../records/frame-types.ts";
import { trimOf } from "../../records/trim.ts";
import { copyOf } from "./bytes.ts";
import { type Life, Pins } from "./ring.ts";

/** Where a block lies; filled when it is issued, shared by its frames. */
export interface BlockRef {
  sequence: number;
  position: number;
  life: Life | undefined;
}

/** Told what becomes of the frames of one group. */
export interface FrameListener {
  /** Its block is on disk. */
  durable(frame: HeldFrame): void;
  /**
   * Its memory is wanted back. "must": it is not committed, and a leader can send followers only what is in memory; how much that can
   * be is bounded where batches are admitted. "rather": it is on its way into a segment, and would have to be read again.
   */
  stays(frame: HeldFrame): "must" | "rather" | "no";
  /** Its memory was given back. */
  cooled(frame: HeldFrame): void;
  /** It is in memory again (recovery); frames come newest first. */
  warmed(frame: HeldFrame): void;
  /** Memory is short: what waits for company on its way into a segment should go now. */
  push(): void;
}

/** Whose frames these are. Recovery makes it before the group's log is opened. */
export class FrameOwner {
  readonly groupId: GroupId;
  readonly pins: Pins = new Pins();
  listener: FrameListener | undefined;
  /**
   * What each truncation cut that was handed over and whose block is not issued, oldest first. A crash before it brings these frames
   * back: gone from memory, they are still needed on disk.
   */
  readonly cuts: ReadonlySet<HeldFrame>[] = [];
  /** Its `drop` record was laid out: nothing may follow it. */
  dropped = false;

  constructor(groupId: GroupId) {
    this.groupId = groupId;
  }

  /** Cut, and not on disk yet that it is. */
  isCut(frame: HeldFrame): boolean {
    return this.cuts.some((cut) => cut.has(frame));
  }
  /** Such frames that lie in this life of a ring file. */
  cutIn(life: Life): HeldFrame[] {
    return this.cuts.flatMap((cut) => [...cut].filter((frame) => frame.block.life === life));
  }
}

/**
 * One frame of a group that is not only in a segment: in memory, in the write-ahead log, or both. The numbers stay when the
 * memory goes, so offsets and places are known without reading.
 */
export class HeldFrame {
  readonly owner: FrameOwner;
  readonly index: LogIndex;
  readonly term: Term;
  readonly baseOffset: Offset;
  readonly recordCount: number;
  readonly maxTimestamp: number;
  readonly appendTime: number;
  readonly producerId: ProducerId;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Log start offset it asks for, if it is a trim. */
  readonly trim: Offset | undefined;
  /** Bytes of the whole frame. */
  readonly length: number;
  /** Payload of a configuration frame. */
  readonly config: Uint8Array | undefined;
  /** The block, and where in it the frame begins. Both change when the frame was appended again and lies there. */
  block: BlockRef;
  at: number;
  /** Undefined once its memory was given back: read the block. */
  frame: Frame | undefined;
  /** Its block is on disk. */
  durable = false;
  /** Truncated: a late completion must not count it. */
  gone = false;

  constructor(owner: FrameOwner, frame: Frame, block: BlockRef, at: number) {
    this.owner = owner;
    this.index = frame.index;
    this.term = frame.term;
    this.baseOffset = frame.baseOffset;
    this.recordCount = frame.recordCount;
    this.maxTimestamp = frame.maxTimestamp;
    this.appendTime = frame.appendTime;
    this.producerId = frame.producerId;
    this.producerEpoch = frame.producerEpoch;
    this.baseSequence = frame.baseSequence;
    this.trim = trimOf(frame);
    this.length = frame.bytes.length;
    this.config = frame.type === FrameType.config ? copyOf(frame.payload) : undefined;
    this.block = block;
    this.at = at;
    this.frame = frame;
  }

  get nextOffset(): Offset {
    return (this.baseOffset + this.recordCount) as Offset;
  }
}

/** Held frames of one group by index: dense, added at the end, dropped at both ends. */
export class FrameQueue {
  #frames: HeldFrame[] = [];
  /** Dropped ones still at the head of the array; cut off when they are half of it. */
  #head = 0;
  /** Index and end offset of the newest frame below the first one. */
  #baseIndex: LogIndex;
  #baseOffset: Offset;

  constructor(baseIndex: LogIndex, baseOffset: Offset) {
    this.#baseIndex = baseIndex;
    this.#baseOffset = baseOffset;
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }
  get baseOffset(): Offset {
    return this.#baseOffset;
  }
  get lastIndex(): LogIndex {
    return (this.#baseIndex + this.#frames.length - this.#head) as LogIndex;
  }
  get size(): number {
    return this.#frames.length - this.#head;
  }

  get(index: number): HeldFrame | undefined {
    return index <= this.#baseIndex ? undefined : this.#frames[this.#head + index - this.#baseIndex - 1];
  }

  push(frame: HeldFrame): void {
    invariant(frame.index === this.lastIndex + 1, () => `frame ${frame.index} after ${this.lastIndex}`);
    this.#frames.push(frame);
  }

  /** Removes `from` and above, and returns them. */
  truncate(from: LogIndex): HeldFrame[] {
    const at = Math.max(this.#head, this.#head + from - this.#baseIndex - 1);
    return this.#frames.splice(at);
  }

  /** Forgets everything up to `index`. */
  dropThrough(index: LogIndex): void {
    while (this.#baseIndex < index && this.#head < this.#frames.length) {
      const frame = this.#frames[this.#head] as HeldFrame;
      this.#baseIndex = frame.index;
      this.#baseOffset = frame.nextOffset;
      this.#head += 1;
    }
    if (this.#head > 64 && this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Starts again, empty, after `index` (frames came past the log). */
  reset(baseIndex: LogIndex, baseOffset: Offset): void {
    this.#frames = [];
    this.#head = 0;
    this.#baseIndex = baseIndex;
    this.#baseOffset = baseOffset;
  }

  /** First held frame for which `after` is true, when it is false for all below and true for all above; else undefined. */
  find(after: (frame: HeldFrame) => boolean): HeldFrame | undefined {
    let low = this.#head;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (after(this.#frames[middle] as HeldFrame)) high = middle;
      else low = middle + 1;
    }
    return this.#frames[low];
  }
}
