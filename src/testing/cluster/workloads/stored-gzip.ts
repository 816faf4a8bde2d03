import { crc32 } from "node:zlib";

const HEAD = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
/** Of one stored block (RFC 1951 §3.2.4). */
const BLOCK_BYTES_MAX = 0xffff;

/**
 * A gzip stream (RFC 1952) that holds the bytes as they are: what zlib makes of them differs from one version of Node to another, and no
 * trace may. Any reader inflates it.
 */
export function storedGzip(bytes: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK_BYTES_MAX));
  const out = new Uint8Array(HEAD.length + bytes.length + 5 * blocks + 8);
  const view = new DataView(out.buffer);
  out.set(HEAD);
  let at = HEAD.length;
  for (let block = 0; block < blocks; block++) {
    const piece = bytes.subarray(block * BLOCK_BYTES_MAX, (block + 1) * BLOCK_BYTES_MAX);
    view.setUint8(at, block === blocks - 1 ? 1 : 0);
    view.setUint16(at + 1, piece.length, true);
    view.setUint16(at + 3, ~piece.length & 0xffff, true);
    out.set(piece, at + 5);
    at += 5 + piece.length;
  }
  view.setUint32(at, crc32(bytes), true);
  view.setUint32(at + 4, bytes.length, true);
  return out;
}
