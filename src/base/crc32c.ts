/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 appendix B.4), as an unsigned 32-bit number.
 *
 * @param seed CRC of the bytes before these: `crc32c(b, crc32c(a))` is the CRC of a and b together
 */
export type Crc32c = (bytes: Uint8Array, seed?: number) => number;

let current: Crc32c = crc32cInJs;

/** Checksum of frames, blocks and files. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return current(bytes, seed);
}

/** `main.ts` puts the native one in its place (floors 0–2 import no package); undefined goes back to this file's. */
export function setCrc32c(implementation: Crc32c | undefined): void {
  current = implementation ?? crc32cInJs;
}

const tables = makeTables();

/** Slicing by eight: eight table look-ups per eight bytes (Kounavis and Berry, "A systematic approach to building high performance, software-based, CRC generators"). */
export function crc32cInJs(bytes: Uint8Array, seed = 0): number {
  const t = tables;
  let crc = ~seed;
  let at = 0;
  const eights = bytes.length - 7;
  for (; at < eights; at += 8) {
    crc ^= (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    crc =
      (t[1792 + (crc & 0xff)] as number) ^
      (t[1536 + ((crc >>> 8) & 0xff)] as number) ^
      (t[1280 + ((crc >>> 16) & 0xff)] as number) ^
      (t[1024 + (crc >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at++) crc = (t[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Table k at 256·k: the CRC of a byte followed by k zero bytes. */
function makeTables(): Int32Array {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256] as number;
    all[at] = (before >>> 8) ^ (all[before & 0xff] as number);
  }
  return all;
}
