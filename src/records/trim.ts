import { crc32c } from "../base/crc32c.ts";
import { NO_PRODUCER, type Offset } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "./frame-types.ts";

/** u8 version, 7 zero bytes, i64 log start offset. Drawn in FORMAT.md. */
export const TRIM_BYTES = 16;
const TRIM_VERSION = 1;

/** The frame that moves the log start offset to `startOffset`, once it is committed (design §4, Trim). */
export function trimDraft(startOffset: Offset): FrameDraft {
  invariant(Number.isSafeInteger(startOffset) && startOffset >= 0, () => `cannot trim to offset ${startOffset}`);
  const payload = new Uint8Array(TRIM_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint8(0, TRIM_VERSION);
  view.setUint32(8, startOffset % 2 ** 32, true);
  view.setInt32(12, Math.floor(startOffset / 2 ** 32), true);
  return {
    type: FrameType.trim,
    format: PayloadFormat.records,
    codec: Codec.none,
    recordCount: 0,
    firstTimestamp: 0,
    maxTimestamp: 0,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payloadCrc: crc32c(payload),
    payload,
  };
}

/**
 * Log start offset that a frame asks for; undefined when it is no trim frame.
 *
 * @throws {InvariantViolated} the payload is none of a trim frame: `wrongTrim` is asked wherever frames come in
 */
export function trimOf(frame: Pick<FrameDraft, "type" | "payload">): Offset | undefined {
  if (frame.type !== FrameType.trim) return undefined;
  const wrong = wrongTrim(frame.payload);
  invariant(wrong === undefined, () => `a trim frame was let in: ${wrong}`);
  return offsetIn(frame.payload) as Offset;
}

/** What is wrong with the payload of a trim frame, or undefined. */
export function wrongTrim(payload: Uint8Array): string | undefined {
  if (payload.length !== TRIM_BYTES) return `a trim of ${payload.length} bytes`;
  if (payload[0] !== TRIM_VERSION) return `trim version ${payload[0]}`;
  for (let at = 1; at < 8; at += 1) if (payload[at] !== 0) return `byte ${at} of a trim is not zero`;
  const offset = offsetIn(payload);
  return Number.isSafeInteger(offset) && offset >= 0 ? undefined : `a trim to offset ${offset}`;
}

function offsetIn(payload: Uint8Array): number {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return view.getInt32(12, true) * 2 ** 32 + view.getUint32(8, true);
}
