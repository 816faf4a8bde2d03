import { crc32c } from "../../base/crc32c.ts";
import { BadFrame, decodeFrame, HEADER_BYTES, HEADER_CRC_AT, verifyPayload } from "../../records/frame.ts";
import type { Frame } from "../../records/frame-types.ts";
import { BLOCK_HEADER_BYTES, BlockFlag, type BlockHeader } from "./block.ts";
import { Malformed } from "./bytes.ts";
import { RECORD_HEADER_BYTES, RecordKind, readOp, type WalOp } from "./records.ts";

/** A record of a block: a frame and where in the block it begins, or another record. */
export type BlockRecord =
  | { readonly kind: "frame"; readonly frame: Frame; readonly at: number }
  | { readonly kind: "op"; readonly op: WalOp };

interface Span {
  readonly kind: number;
  readonly at: number;
  readonly end: number;
}

/**
 * Reads a whole block. Nothing of it counts unless all of it is right: structure, digest, every payload.
 *
 * @param block from its header on
 * @returns its records, views into `block`; or what is wrong with the bytes
 * @throws {Malformed} the bytes are as they were written, but this version cannot read them
 */
export function readBlock(block: Uint8Array, header: BlockHeader): readonly BlockRecord[] | string {
  if (header.bytes > block.length) return `the block has ${header.bytes} bytes, the file ends after ${block.length}`;
  const spans = spansOf(block, header);
  if (typeof spans === "string") return spans;
  const records: BlockRecord[] = [];
  for (const span of spans) {
    if (span.kind !== RecordKind.frame) {
      records.push({ kind: "op", op: readOp(span.kind, block.subarray(span.at, span.end)) });
      continue;
    }
    const frame = decode(block, span);
    if (typeof frame === "string") return frame;
    if (frame.bytes.length !== span.end - span.at)
      throw new Malformed(`a frame of ${frame.bytes.length} bytes lies in ${span.end - span.at}`);
    if (!verifyPayload(frame)) return `the payload of the frame at ${span.at} does not match its CRC`;
    records.push({ kind: "frame", frame, at: span.at });
  }
  return records;
}

function decode(block: Uint8Array, span: Span): Frame | string {
  try {
    return decodeFrame(block, span.at, span.end - span.at);
  } catch (error) {
    if (error instanceof BadFrame) return error.message;
    throw error;
  }
}

/** Finds the records and checks the digest: everything but the payloads of frames. */
function spansOf(block: Uint8Array, header: BlockHeader): readonly Span[] | string {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const spans: Span[] = [];
  let digest = 0;
  let frames = 0;
  let at = BLOCK_HEADER_BYTES;
  const ofFrameHeader = (header.flags & BlockFlag.bound) !== 0 ? HEADER_CRC_AT : HEADER_BYTES;
  while (at < header.bytes) {
    const body = at + RECORD_HEADER_BYTES;
    if (body > header.bytes) return `a record at ${at} does not fit`;
    const end = body + view.getUint32(at, true);
    const kind = view.getUint32(at + 4, true);
    if (end > header.bytes) return `a record of ${end - body} bytes at ${at} does not fit`;
    const isFrame = kind === RecordKind.frame;
    if (isFrame && end - body < HEADER_BYTES) return `a frame of ${end - body} bytes at ${at} is too short`;
    digest = crc32c(block.subarray(at, isFrame ? body + ofFrameHeader : end), digest);
    if (isFrame) frames += 1;
    spans.push({ kind, at: body, end });
    at = end;
  }
  if (digest !== header.digest) return "the digest of the records does not match";
  if (frames !== header.frames) return `it holds ${frames} frames, its header says ${header.frames}`;
  return spans;
}
