import { type Crc32c, crc32c as checksum } from "../base/crc32c.ts";
import type { GroupId, LogIndex, Offset, ProducerId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { Codec, type Frame, type FrameDraft, type FramePlace, FrameType, PayloadFormat } from "./frame-types.ts";
import { wrongTrim } from "./trim.ts";

/** "MLF1" as it lies on disk. */
export const FRAME_MAGIC = 0x31464c4d;
/** Version of the header's layout; another one is refused. */
export const FRAME_VERSION = 1;
/** The header, drawn in FORMAT.md. */
export const HEADER_BYTES = 100;
/** Where the CRC of a header stands, in its last four bytes. */
export const HEADER_CRC_AT = 96;
const FLAG_APPEND_TIMED = 1;
/** A payload is at most a block (4 MiB, design §4) less what stands around it; this is the outer bound that a length is believed to. */
export const PAYLOAD_BYTES_MAX = 4 * 1024 * 1024 - 4096;

/** Bytes that should be a frame are not one. Whether that is a torn tail, damage or a lying peer is for the reader to say. */
export class BadFrame extends Error {
  override readonly name = "BadFrame";
  /** What is wrong with it. */
  readonly what: string;
  /** Where the frame begins in the buffer that was read. */
  readonly position: number;
  constructor(what: string, position: number) {
    super(`Bad frame at byte ${position}: ${what}`);
    this.what = what;
    this.position = position;
  }
}

/** Bytes of a whole frame with such a payload. */
export function frameBytesOf(draft: Pick<FrameDraft, "payload">): number {
  return HEADER_BYTES + draft.payload.length;
}

/** Writes the header of `draft` at `place` into `target`; the payload goes behind it, by the caller (one copy). */
export function encodeHeader(target: Uint8Array, at: number, draft: FrameDraft, place: FramePlace): void {
  const wrong = wrongDraft(draft) ?? wrongPlace(place);
  invariant(wrong === undefined, () => `cannot make a frame: ${wrong}`);
  const view = new DataView(target.buffer, target.byteOffset + at, HEADER_BYTES);
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint8(4, FRAME_VERSION);
  view.setUint8(5, draft.type);
  view.setUint8(6, draft.appendTimed === true ? FLAG_APPEND_TIMED : 0);
  view.setUint8(7, draft.format);
  view.setUint8(8, draft.codec);
  view.setUint8(9, 0);
  view.setUint16(10, 0);
  view.setUint32(12, draft.payload.length, true);
  view.setUint32(16, draft.payloadCrc, true);
  view.setUint32(20, draft.recordCount, true);
  setInt64(view, 24, place.groupId);
  setInt64(view, 32, place.index);
  setInt64(view, 40, place.term);
  setInt64(view, 48, place.baseOffset);
  setInt64(view, 56, draft.firstTimestamp);
  setInt64(view, 64, draft.maxTimestamp);
  setInt64(view, 72, place.appendTime);
  setInt64(view, 80, draft.producerId);
  view.setInt32(88, draft.producerEpoch, true);
  view.setInt32(92, draft.baseSequence, true);
  view.setUint32(HEADER_CRC_AT, checksum(target.subarray(at, at + HEADER_CRC_AT)), true);
}

/** A frame in a buffer of its own. */
export function makeFrame(draft: FrameDraft, place: FramePlace): Frame {
  const bytes = new Uint8Array(frameBytesOf(draft));
  encodeHeader(bytes, 0, draft, place);
  bytes.set(draft.payload, HEADER_BYTES);
  return decodeFrame(bytes, 0);
}

/**
 * Reads the frame that begins at `at`. Its header CRC is verified, its payload's is not (`verifyPayload`).
 *
 * @param length bytes that may belong to it, from `at` (default: all that follow)
 * @returns views of `buffer`
 * @throws {BadFrame}
 */
export function decodeFrame(buffer: Uint8Array, at = 0, length = buffer.length - at): Frame {
  if (length < HEADER_BYTES) throw new BadFrame(`${length} bytes are no header`, at);
  const view = new DataView(buffer.buffer, buffer.byteOffset + at, HEADER_BYTES);
  if (view.getUint32(0, true) !== FRAME_MAGIC) throw new BadFrame("magic", at);
  if (view.getUint32(HEADER_CRC_AT, true) !== checksum(buffer.subarray(at, at + HEADER_CRC_AT))) throw new BadFrame("header CRC", at);
  if (view.getUint8(4) !== FRAME_VERSION) throw new BadFrame(`version ${view.getUint8(4)}`, at);
  const flags = view.getUint8(6);
  if ((flags & ~FLAG_APPEND_TIMED) !== 0 || view.getUint8(9) !== 0 || view.getUint16(10) !== 0)
    throw new BadFrame("flags of a later version", at);
  const payloadBytes = view.getUint32(12, true);
  if (payloadBytes > length - HEADER_BYTES) throw new BadFrame(`payload of ${payloadBytes} bytes with ${length - HEADER_BYTES} left`, at);
  const payloadAt = at + HEADER_BYTES;
  const frame: Frame = {
    type: view.getUint8(5) as FrameType,
    format: view.getUint8(7) as PayloadFormat,
    codec: view.getUint8(8) as Codec,
    recordCount: view.getUint32(20, true),
    firstTimestamp: getInt64(view, 56, at),
    maxTimestamp: getInt64(view, 64, at),
    producerId: getInt64(view, 80, at) as ProducerId,
    producerEpoch: view.getInt32(88, true),
    baseSequence: view.getInt32(92, true),
    payloadCrc: view.getUint32(16, true),
    payload: buffer.subarray(payloadAt, payloadAt + payloadBytes),
    groupId: getInt64(view, 24, at) as GroupId,
    index: getInt64(view, 32, at) as LogIndex,
    term: getInt64(view, 40, at) as Term,
    baseOffset: getInt64(view, 48, at) as Offset,
    appendTime: getInt64(view, 72, at),
    bytes: buffer.subarray(at, payloadAt + payloadBytes),
  };
  const wrong = wrongDraft(frame) ?? wrongPlace(frame);
  if (wrong !== undefined) throw new BadFrame(wrong, at);
  return flags === 0 ? frame : { ...frame, appendTimed: true };
}

/** Reads frames that lie one after the other and fill `buffer` from `from` to `to`. @throws {BadFrame} */
export function decodeFrames(buffer: Uint8Array, from = 0, to = buffer.length): Frame[] {
  const frames: Frame[] = [];
  for (let at = from; at < to; ) {
    const frame = decodeFrame(buffer, at, to - at);
    frames.push(frame);
    at += frame.bytes.length;
  }
  return frames;
}

/** Every process that takes the bytes off a network or a disk calls this once, before it uses or stores them (design §4). */
export function verifyPayload(frame: Pick<Frame, "payload" | "payloadCrc">, crc32c: Crc32c = checksum): boolean {
  return crc32c(frame.payload) === frame.payloadCrc;
}

const types: ReadonlySet<number> = new Set(Object.values(FrameType));
const formats: ReadonlySet<number> = new Set(Object.values(PayloadFormat));
const codecs: ReadonlySet<number> = new Set(Object.values(Codec));

/** The same truths before the write and after the read. */
function wrongDraft(draft: FrameDraft): string | undefined {
  if (!types.has(draft.type)) return `type ${draft.type}`;
  if (!formats.has(draft.format)) return `payload format ${draft.format}`;
  if (!codecs.has(draft.codec)) return `codec ${draft.codec}`;
  if (draft.payload.length > PAYLOAD_BYTES_MAX) return `payload of ${draft.payload.length} bytes`;
  if (draft.type === FrameType.data ? draft.recordCount < 1 : draft.recordCount !== 0)
    return `${draft.recordCount} records in type ${draft.type}`;
  if (draft.firstTimestamp < 0 || draft.maxTimestamp < 0) return "negative timestamp";
  if (draft.producerId < -1) return `producer id ${draft.producerId}`;
  if (draft.producerId === -1 ? draft.baseSequence !== -1 : draft.baseSequence < 0)
    return `base sequence ${draft.baseSequence} of producer ${draft.producerId}`;
  return draft.type === FrameType.trim ? wrongTrim(draft.payload) : undefined;
}

function wrongPlace(place: FramePlace): string | undefined {
  if (place.groupId < 1) return `group id ${place.groupId}`;
  if (place.index < 1) return `log index ${place.index}`;
  if (place.term < 1) return `term ${place.term}`;
  if (place.baseOffset < 0) return `base offset ${place.baseOffset}`;
  if (place.appendTime < 0) return `append time ${place.appendTime}`;
  return undefined;
}

function setInt64(view: DataView, at: number, value: number): void {
  invariant(Number.isSafeInteger(value), () => `frame header: ${value} at byte ${at} is not a safe integer`);
  const high = Math.floor(value / 2 ** 32);
  view.setUint32(at, value - high * 2 ** 32, true);
  view.setInt32(at + 4, high, true);
}

function getInt64(view: DataView, at: number, frameAt: number): number {
  const value = view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  if (!Number.isSafeInteger(value)) throw new BadFrame(`number at byte ${at} beyond 2^53`, frameAt);
  return value;
}
