import { crc32c } from "../base/crc32c.ts";
import { encodeHeader, HEADER_BYTES, HEADER_CRC_AT } from "../records/frame.ts";
import { type Frame, type FrameDraft, type FramePlace, FrameType, PayloadFormat } from "../records/frame-types.ts";
import { BLOCK_ALIGN, BLOCK_HEADER_BYTES, BlockFlag, padded, writeBlockHeader } from "./model/block.ts";
import { type BlockRef, type FrameOwner, HeldFrame } from "./model/held.ts";
import { encodeOp, RECORD_HEADER_BYTES, RecordKind, type WalOp } from "./model/records.ts";
import type { Life } from "./model/ring.ts";
import type { Slab } from "./slabs.ts";

export type FrameSource = Frame | { readonly draft: FrameDraft; readonly place: FramePlace };

/** What a block does to the state of its groups, applied when it is issued. */
export type BlockEvent =
  | HeldFrame
  | { readonly kind: "op"; readonly op: WalOp; readonly owner: FrameOwner | undefined }
  /** A frame appended again: from then on it lies at `at` in this block. */
  | { readonly kind: "moved"; readonly held: HeldFrame; readonly at: number }
  /** Its frames above `above` that lay in `life` are all appended again. */
  | { readonly kind: "left"; readonly owner: FrameOwner; readonly life: Life; readonly above: number };

export interface Memory {
  /** A slab with `bytes` free at `used`; the caller adds to `used`. */
  take(bytes: number): Slab;
}

const PADDING = new Uint8Array(BLOCK_ALIGN);

/** One block being filled. Frames are copied once, to where they stay: the block's memory is the hot tail (design §4). */
export class BlockBuilder {
  readonly ref: BlockRef = { sequence: 0, position: 0, life: undefined };
  readonly events: BlockEvent[] = [];
  /** Called, in order, once the block is durable. */
  readonly callbacks: (() => void)[] = [];
  /** `BlockFlag`s. */
  flags: number;
  /** It holds records of clients: it may not take the files that are kept free (`FILES_KEPT`). */
  data = false;
  /** When the first of those was handed over, monotonic ms. */
  since = 0;
  readonly #memory: Memory;
  readonly #chunks: Uint8Array[] = [];
  #slab: Slab | undefined;
  #chunkAt = 0;
  #bytes = 0;
  #frames = 0;
  #digest = 0;

  constructor(memory: Memory, flags = 0) {
    this.#memory = memory;
    this.flags = flags;
  }

  /** Header and records, without padding. */
  get bytes(): number {
    return Math.max(BLOCK_HEADER_BYTES, this.#bytes);
  }
  /** Nothing to write; callbacks may wait here all the same. */
  get empty(): boolean {
    return this.#bytes === 0;
  }

  static recordBytes(source: FrameSource): number {
    return RECORD_HEADER_BYTES + ("bytes" in source ? source.bytes.length : HEADER_BYTES + source.draft.payload.length);
  }

  frame(owner: FrameOwner, source: FrameSource): HeldFrame {
    const { frame, at } = this.#lay(source);
    const held = new HeldFrame(owner, frame, this.ref, at);
    if (isData(frame)) this.data = true;
    const slab = this.#slab as Slab;
    slab.held.push(held);
    slab.newest = this.ref;
    this.events.push(held);
    return held;
  }

  /** The same frame in another block: its old place may be overwritten once this block is durable. */
  again(held: HeldFrame, frame: Frame): void {
    const { at } = this.#lay(frame);
    this.events.push({ kind: "moved", held, at });
  }

  op(op: WalOp, owner: FrameOwner | undefined, encoded: Uint8Array = encodeOp(op)): void {
    this.encoded(encoded);
    this.events.push({ kind: "op", op, owner });
  }

  /** The frames of a group that were appended again are all that it has in `life` above `above`. */
  left(owner: FrameOwner, life: Life, above: number): void {
    this.events.push({ kind: "left", owner, life, above });
  }

  /** A record that was encoded before, header included. */
  encoded(record: Uint8Array): void {
    const at = this.#reserve(record.length);
    const buffer = (this.#slab as Slab).buffer;
    buffer.set(record, at);
    this.#digest = crc32c(record, this.#digest);
  }

  /** Copies a frame into the block. @returns it as it lies there, and where in the block */
  #lay(source: FrameSource): { readonly frame: Frame; readonly at: number } {
    const record = BlockBuilder.recordBytes(source);
    const at = this.#reserve(record);
    const inBlock = this.#bytes - record + RECORD_HEADER_BYTES;
    const { buffer } = this.#slab as Slab;
    const frameAt = at + RECORD_HEADER_BYTES;
    const length = record - RECORD_HEADER_BYTES;
    buffer[at] = length & 0xff;
    buffer[at + 1] = (length >>> 8) & 0xff;
    buffer[at + 2] = (length >>> 16) & 0xff;
    buffer[at + 3] = length >>> 24;
    buffer[at + 4] = RecordKind.frame;
    buffer.fill(0, at + 5, frameAt);
    let frame: Frame;
    const bytes = buffer.subarray(frameAt, frameAt + length);
    const payload = bytes.subarray(HEADER_BYTES);
    if ("bytes" in source) {
      bytes.set(source.bytes);
      frame = placed(source, source, payload, bytes);
    } else {
      encodeHeader(buffer, frameAt, source.draft, source.place);
      payload.set(source.draft.payload);
      frame = placed(source.draft, source.place, payload, bytes);
    }
    this.#digest = crc32c(buffer.subarray(at, frameAt + HEADER_CRC_AT), this.#digest);
    this.#frames += 1;
    return { frame, at: inBlock };
  }

  /** Ends the layout: what is added later goes into the next block. */
  seal(): void {
    if (this.#slab !== undefined) this.#chunks.push(this.#slab.buffer.subarray(this.#chunkAt, this.#slab.used));
    this.#slab = undefined;
  }

  /** The whole block as it goes to disk; `ref.sequence` is set. */
  finish(incarnation: Uint8Array, lowMark: number): readonly Uint8Array[] {
    if (this.#bytes === 0) this.#reserve(0);
    this.seal();
    writeBlockHeader(this.#chunks[0] as Uint8Array, 0, incarnation, {
      sequence: this.ref.sequence,
      lowMark,
      bytes: this.#bytes,
      frames: this.#frames,
      flags: this.flags | BlockFlag.bound,
      digest: this.#digest,
    });
    const padding = padded(this.#bytes) - this.#bytes;
    if (padding > 0) this.#chunks.push(PADDING.subarray(0, padding));
    return this.#chunks;
  }

  /** Room for one record, contiguous; a record that does not fit the rest of a slab begins the next one. */
  #reserve(bytes: number): number {
    const header = this.#bytes === 0 ? BLOCK_HEADER_BYTES : 0;
    const slab = this.#memory.take(header + bytes);
    if (slab !== this.#slab) {
      this.seal();
      this.#slab = slab;
      this.#chunkAt = slab.used;
    }
    const at = slab.used + header;
    slab.used = at + bytes;
    this.#bytes += header + bytes;
    return at;
  }
}

/** Records of clients. What is left is small, and what the cluster itself needs: no-ops, configurations, trims, facts. */
export function isData(frame: Pick<Frame, "type" | "format">): boolean {
  return frame.type === FrameType.data && frame.format === PayloadFormat.records;
}

function placed(draft: FrameDraft, place: FramePlace, payload: Uint8Array, bytes: Uint8Array): Frame {
  const frame: Frame = {
    type: draft.type,
    format: draft.format,
    codec: draft.codec,
    recordCount: draft.recordCount,
    firstTimestamp: draft.firstTimestamp,
    maxTimestamp: draft.maxTimestamp,
    producerId: draft.producerId,
    producerEpoch: draft.producerEpoch,
    baseSequence: draft.baseSequence,
    payloadCrc: draft.payloadCrc,
    payload,
    groupId: place.groupId,
    index: place.index,
    term: place.term,
    baseOffset: place.baseOffset,
    appendTime: place.appendTime,
    bytes,
  };
  return draft.appendTimed === true ? { ...frame, appendTimed: true } : frame;
}
