import { crc32c } from "../../base/crc32c.ts";
import type { GroupId, LogIndex, Offset, ReplicaId } from "../../base/ids.ts";
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts";
import { Producers } from "./producers.ts";
import { readFacts, type SegmentFacts, writeFacts } from "./segment-files.ts";

/** One entry per this many bytes of frames. */
export const INDEX_INTERVAL_BYTES = 8 * 1024;
/** "MRI2". One of version 1 does not say whose it is: it is built again. */
const MAGIC = 0x3249_524d;
const FIELDS = 4;

/** A stretch of a segment: its first frame, where that begins, and the highest record time in it. */
export interface IndexEntry {
  readonly index: LogIndex;
  readonly offset: Offset;
  readonly position: number;
  readonly maxTimestamp: number;
}

/** Whose segment an index describes: a file that was copied over it from another partition must not pass for it. */
export interface IndexOwner {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
}

/** What is indexed of a frame. */
interface IndexedFrame {
  readonly index: LogIndex;
  readonly baseOffset: Offset;
  readonly maxTimestamp: number;
}

/** An index file. */
export interface IndexFile {
  readonly owner: IndexOwner;
  readonly facts: SegmentFacts;
  readonly index: SparseIndex;
  /** As of `facts.position`. */
  readonly producers: Producers;
}

/** Where frames lie in one segment, roughly: derived from it, and built again when missing or bad (design §4). */
export class SparseIndex {
  #entries = new Float64Array(FIELDS * 64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** A frame begins at `position`; positions ascend. */
  add(frame: IndexedFrame, position: number): void {
    const last = (this.#count - 1) * FIELDS;
    if (this.#count > 0 && position - (this.#entries[last + 2] as number) < INDEX_INTERVAL_BYTES) {
      if (frame.maxTimestamp > (this.#entries[last + 3] as number)) this.#entries[last + 3] = frame.maxTimestamp;
      return;
    }
    this.#push(frame.index, frame.baseOffset, position, frame.maxTimestamp);
  }

  /** The same, with an entry of its own: what stands before it is not what was written. */
  begin(frame: IndexedFrame, position: number): void {
    this.#push(frame.index, frame.baseOffset, position, frame.maxTimestamp);
  }

  entry(i: number): IndexEntry | undefined {
    if (i < 0 || i >= this.#count) return undefined;
    const at = i * FIELDS;
    const [index, offset, position, maxTimestamp] = this.#entries.subarray(at, at + FIELDS);
    return { index: index as LogIndex, offset: offset as Offset, position: position as number, maxTimestamp: maxTimestamp as number };
  }

  /** Where to begin to look for the frame at `index`: at or before it; undefined when the segment has no frames. */
  atIndex(index: LogIndex): IndexEntry | undefined {
    return this.entry(this.#lastAtMost(0, index));
  }

  /** Where to begin to look for the frame that holds `offset`. */
  atOffset(offset: Offset): IndexEntry | undefined {
    return this.entry(this.#lastAtMost(1, offset));
  }

  /** Where to begin to look for the first frame with a record at or after `timestamp`. */
  atTime(timestamp: number): IndexEntry | undefined {
    for (let i = 0; i < this.#count; i += 1) if ((this.#entries[i * FIELDS + 3] as number) >= timestamp) return this.entry(i);
    return undefined;
  }

  #lastAtMost(field: number, value: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle * FIELDS + field] as number) <= value) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #push(...fields: [number, number, number, number]): void {
    const at = this.#count * FIELDS;
    if (at === this.#entries.length) {
      const bigger = new Float64Array(at * 2);
      bigger.set(this.#entries);
      this.#entries = bigger;
    }
    this.#entries.set(fields, at);
    this.#count += 1;
  }

  /** The index file: what the segment holds up to `facts.position`, the entries, and the producers as of there. */
  encode(owner: IndexOwner, facts: SegmentFacts, producers: Producers): Uint8Array {
    const out = new ByteWriter(256 + this.#count * 32);
    out.u32(MAGIC).u32(0).i53(owner.groupId).i53(owner.replicaId);
    writeFacts(out, facts);
    out.u32(this.#count);
    for (let i = 0; i < this.#count * FIELDS; i += 1) out.i53(this.#entries[i] as number);
    producers.write(out);
    out.setU32(4, crc32c(out.done().subarray(8)));
    return out.done();
  }

  /** @throws {Malformed}: then the caller builds the index again from the segment */
  static decode(bytes: Uint8Array): IndexFile {
    const from = new ByteReader(bytes);
    if (from.u32() !== MAGIC || from.u32() !== crc32c(bytes.subarray(8))) throw new Malformed("the index does not match its CRC");
    const owner = { groupId: from.i53() as GroupId, replicaId: from.i53() as ReplicaId };
    const facts = readFacts(from);
    const index = new SparseIndex();
    const count = from.u32();
    if (count * FIELDS * 8 > from.left) throw new Malformed(`an index of ${count} entries does not fit`);
    for (let left = count; left > 0; left -= 1) index.#push(from.i53(), from.i53(), from.i53(), from.i53());
    const producers = Producers.read(from);
    from.end();
    return { owner, facts, index, producers };
  }
}
