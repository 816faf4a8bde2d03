import { crc32c } from "../../base/crc32c.ts";
import type { Incarnation } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";

/**
 * The unit of the write-ahead log (design §4): one write, aligned and padded to 4 KiB, never across files, one in flight.
 * Drawn in FORMAT.md.
 */
export const BLOCK_ALIGN = 4096;
export const BLOCK_HEADER_BYTES = 64;
/** Header and records of one block, padding included. */
export const BLOCK_BYTES_MAX = 4 * 1024 * 1024;
const MAGIC = 0x3142_524d; // "MRB1"

/**
 * What kind of records a block holds. A checkpoint is a run of checkpoint blocks: the first and the last are marked. The digest of a
 * bound block leaves out the CRCs of frame headers; blocks of earlier versions are not bound.
 */
export const BlockFlag = { checkpoint: 1, checkpointFirst: 2, checkpointLast: 4, bound: 8 } as const;

export interface BlockHeader {
  /** Dense over the life of the disk, from 1. */
  readonly sequence: number;
  /** Blocks below this sequence are not needed any more, once this block is durable. */
  readonly lowMark: number;
  /** Header and records, without padding. */
  readonly bytes: number;
  readonly frames: number;
  readonly flags: number;
  /**
   * CRC-32C of all records but the payloads of frames, which their own headers vouch for, and but the CRCs of those headers: a CRC over
   * bytes and their own CRC comes out the same whatever the bytes are, so a sound header of another frame would pass.
   */
  readonly digest: number;
}

/** Where a block lies. `file` is the number of the ring file. */
export interface BlockPlace {
  readonly sequence: number;
  readonly file: number;
  readonly position: number;
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_ALIGN) * BLOCK_ALIGN;
}

/** The 16 bytes of a uuid. */
export function incarnationBytes(incarnation: Incarnation): Uint8Array {
  const hex = incarnation.replaceAll("-", "");
  invariant(/^[0-9a-f]{32}$/.test(hex), () => `an incarnation is a uuid: got ${incarnation}`);
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** Writes the header of a block into the first 64 bytes at `at`. */
export function writeBlockHeader(into: Uint8Array, at: number, incarnation: Uint8Array, header: BlockHeader): void {
  const view = new DataView(into.buffer, into.byteOffset + at, BLOCK_HEADER_BYTES);
  into.fill(0, at, at + BLOCK_HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, header.flags, true);
  into.set(incarnation, at + 8);
  setU53(view, 24, header.sequence);
  setU53(view, 32, header.lowMark);
  view.setUint32(40, header.bytes, true);
  view.setUint32(44, header.frames, true);
  view.setUint32(48, header.digest, true);
  view.setUint32(60, crc32c(into.subarray(at, at + 60)), true);
}

/** @returns the header at `at`, or undefined when these 64 bytes are no block header of this disk */
export function readBlockHeader(bytes: Uint8Array, at: number, incarnation: Uint8Array): BlockHeader | undefined {
  if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  for (let i = 0; i < 16; i += 1) if (bytes[at + 8 + i] !== incarnation[i]) return undefined;
  if (view.getUint32(60, true) !== crc32c(bytes.subarray(at, at + 60))) return undefined;
  const header = {
    flags: view.getUint32(4, true),
    sequence: u53(view, 24),
    lowMark: u53(view, 32),
    bytes: view.getUint32(40, true),
    frames: view.getUint32(44, true),
    digest: view.getUint32(48, true),
  };
  return header.bytes >= BLOCK_HEADER_BYTES && padded(header.bytes) <= BLOCK_BYTES_MAX ? header : undefined;
}

function setU53(view: DataView, at: number, value: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, () => `not a sequence: ${value}`);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function u53(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
