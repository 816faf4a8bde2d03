import { writeUtf8 } from "../../base/utf8.ts";

/** A bytes field of this size or more leaves as its own chunk; below, a copy is cheaper than another chunk. */
export const PART_BYTES_MIN = 1024;

/** Bytes of the varint of a safe integer; negative ones take ten (two's complement, 64 bits). */
export function varintLength(value: number): number {
  if (value < 0) return 10;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes wire primitives into one presized buffer; with `parts`, large byte strings are handed on uncopied. */
export class Writer {
  readonly #buffer: Uint8Array;
  readonly #parts: Uint8Array[] | undefined;
  #at = 0;
  #partFrom = 0;

  constructor(bytes: number, parts: Uint8Array[] | undefined) {
    this.#buffer = new Uint8Array(bytes);
    this.#parts = parts;
  }

  varint(value: number): void {
    const buffer = this.#buffer;
    let at = this.#at;
    if (value < 0) {
      // Floor division and remainder by 2^32 give the two's complement halves.
      const high = Math.floor(value / 2 ** 32);
      this.#at = writeTenBytes(buffer, at, (value - high * 2 ** 32) >>> 0, high >>> 0);
      return;
    }
    let rest = value;
    while (rest >= 0x80000000) {
      buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#at = at;
  }

  double(value: number): void {
    new DataView(this.#buffer.buffer).setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** Without a length. */
  string(text: string): void {
    this.#at = writeUtf8(text, this.#buffer, this.#at);
  }

  /** Without a length. */
  bytes(bytes: Uint8Array): void {
    if (this.#parts !== undefined && bytes.length >= PART_BYTES_MIN) {
      this.#cut();
      this.#parts.push(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #cut(): void {
    if (this.#at > this.#partFrom) this.#parts?.push(this.#buffer.subarray(this.#partFrom, this.#at));
    this.#partFrom = this.#at;
  }

  /** @returns what was written (with `parts`: its last chunk was added to them) */
  finish(): Uint8Array {
    if (this.#parts !== undefined) this.#cut();
    return this.#buffer;
  }

  /** Bytes written into the buffer so far. */
  get length(): number {
    return this.#at;
  }
}

function writeTenBytes(buffer: Uint8Array, from: number, low: number, high: number): number {
  let at = from;
  let lo = low;
  let hi = high;
  for (let n = 0; n < 9; n++) {
    buffer[at++] = (lo & 0x7f) | 0x80;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  buffer[at++] = lo;
  return at;
}
