import { MillraceError } from "../base/errors.ts";
import { utf8Length, writeUtf8 } from "../base/utf8.ts";
import { Tag, TIMESTAMP_MAX } from "./cursor.ts";
import type { RecordHeader } from "./log-record.ts";

/** Text is written as UTF-8, straight into the set. */
export type BytesOrText = Uint8Array | string;

const NO_HEADERS: readonly RecordHeader[] = [];
const NOTHING = new Uint8Array(0);
/** Below this copying byte by byte is cheaper than a call of `set`. */
const SHORT_BYTES = 24;

/**
 * Serializes records into a `millrace.v1.RecordSet`, each copied once. `take` hands the set over and starts the next one.
 * Not bounded by itself: ask `byteLength` + `recordBytesOf` before appending.
 */
export class RecordSetBuilder {
  readonly #initialBytes: number;
  /** What the next buffer has at least; it is made when there is something to put into it. */
  #nextBytes: number;
  #buffer: Uint8Array;
  #at = 0;
  #count = 0;

  /** @param space bytes to begin with, or a buffer that nobody else uses any more */
  constructor(space: number | Uint8Array = 16 * 1024) {
    this.#initialBytes = typeof space === "number" ? space : space.length;
    this.#nextBytes = this.#initialBytes;
    this.#buffer = typeof space === "number" ? NOTHING : space;
  }

  get byteLength(): number {
    return this.#at;
  }

  get recordCount(): number {
    return this.#count;
  }

  /**
   * @param value undefined: tombstone
   * @param timestampMs 0: the append time
   * @returns bytes the record took
   * @throws {MillraceError} INVALID_REQUEST for a timestamp that is no whole number of milliseconds up to the year 9999
   */
  append(key: BytesOrText | undefined, value: BytesOrText | undefined, headers = NO_HEADERS, timestampMs = 0): number {
    const keyBytes = contentBytes(key);
    const valueBytes = contentBytes(value);
    const body = bodyBytesOf(keyBytes, valueBytes, headers, timestampMs);
    const from = this.#at;
    this.#reserve(1 + varintBytes(body) + body);
    this.#buffer[this.#at++] = Tag.record;
    this.#varint(body);
    if (key !== undefined) this.#field(Tag.key, key, keyBytes);
    if (value !== undefined) this.#field(Tag.value, value, valueBytes);
    for (const header of headers) {
      this.#buffer[this.#at++] = Tag.header;
      this.#varint(headerBytesOf(header));
      if (header.key !== "") this.#field(Tag.headerKey, header.key, contentBytes(header.key));
      if (header.value !== undefined) this.#field(Tag.headerValue, header.value, header.value.length);
    }
    if (timestampMs !== 0) {
      this.#buffer[this.#at++] = Tag.timestamp;
      this.#varint(timestampMs);
    }
    this.#count++;
    return this.#at - from;
  }

  /** @returns the set so far; the builder never writes into it again */
  take(): Uint8Array {
    const set = this.#buffer.subarray(0, this.#at);
    // The next set is likely as large as this one; a single huge record does not make all later buffers huge for ever.
    this.#nextBytes = Math.max(this.#initialBytes, this.#at);
    this.#buffer = NOTHING;
    this.#at = 0;
    this.#count = 0;
    return set;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2, this.#nextBytes));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }

  #field(tag: number, content: BytesOrText, length: number): void {
    this.#buffer[this.#at++] = tag;
    this.#varint(length);
    if (typeof content === "string") writeUtf8(content, this.#buffer, this.#at);
    else if (length > SHORT_BYTES) this.#buffer.set(content, this.#at);
    else for (let i = 0; i < length; i++) this.#buffer[this.#at + i] = content[i] as number;
    this.#at += length;
  }

  #varint(value: number): void {
    const buffer = this.#buffer;
    let rest = value;
    while (rest > 0x7fffffff) {
      buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#at++] = rest;
  }
}

/** Bytes such a record takes in a set, its tag and length included. @throws {MillraceError} like `append` */
export function recordBytesOf(
  key: BytesOrText | undefined,
  value: BytesOrText | undefined,
  headers: readonly RecordHeader[] = NO_HEADERS,
  timestampMs = 0,
): number {
  const body = bodyBytesOf(contentBytes(key), contentBytes(value), headers, timestampMs);
  return 1 + varintBytes(body) + body;
}

/** Of a record without its tag and length. `keyBytes` and `valueBytes`: -1 when absent. */
function bodyBytesOf(keyBytes: number, valueBytes: number, headers: readonly RecordHeader[], timestampMs: number): number {
  if (!Number.isInteger(timestampMs) || timestampMs < 0 || timestampMs > TIMESTAMP_MAX) {
    throw new MillraceError("INVALID_REQUEST", `Cannot stamp a record ${timestampMs}: milliseconds since 1970, up to the year 9999`, {
      field: "timestamp_ms",
    });
  }
  let bytes = fieldBytes(keyBytes) + fieldBytes(valueBytes);
  for (const header of headers) bytes += fieldBytes(headerBytesOf(header));
  return timestampMs === 0 ? bytes : bytes + 1 + varintBytes(timestampMs);
}

function headerBytesOf(header: RecordHeader): number {
  return (header.key === "" ? 0 : fieldBytes(contentBytes(header.key))) + fieldBytes(contentBytes(header.value));
}

/** @returns -1 when absent */
function contentBytes(content: BytesOrText | undefined): number {
  if (content === undefined) return -1;
  return typeof content === "string" ? utf8Length(content) : content.length;
}

/** Of a field with such a content, its tag and length included; 0 for -1. */
function fieldBytes(contentLength: number): number {
  return contentLength < 0 ? 0 : 1 + varintBytes(contentLength) + contentLength;
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  return value < 2 ** 35 ? 5 : value < 2 ** 42 ? 6 : 7;
}
