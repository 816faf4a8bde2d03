import { MillraceError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { isUtf8 } from "../base/utf8.ts";
import { RecordCursor, Tag } from "./cursor.ts";

/** What one record set may be. */
export interface RecordSetLimits {
  /** `max.message.bytes` of the topic. */
  readonly bytesMax: number;
  readonly headersPerRecordMax: number;
  /** Fields of records and headers that this version does not know, over the whole set. */
  readonly unknownFieldsMax: number;
}

export const RECORD_SET_LIMITS: RecordSetLimits = {
  bytesMax: 1024 * 1024,
  headersPerRecordMax: limits["record.headers.max"].value,
  unknownFieldsMax: limits["records.unknown.fields.max"].value,
};
/** `max.message.bytes` can be raised to this (design §4). */
export const RECORD_SET_BYTES_MAX = 3 * 1024 * 1024;

/** An inflated set may be so many times `max.message.bytes` (design §4: inflating stops at a limit). */
export const INFLATED_FACTOR = 16;

/** What the broker needs to know of a record set. */
export interface RecordSetSummary {
  readonly bytes: number;
  /** At least 1. */
  readonly recordCount: number;
  /** Milliseconds since 1970 of the first record; 0: it takes the append time. */
  readonly firstTimestamp: number;
  /** The highest; 0 when no record has one. */
  readonly maxTimestamp: number;
  /** Records without a timestamp of their own. */
  readonly unstampedCount: number;
  readonly unknownFieldCount: number;
}

/**
 * Walks a serialized `millrace.v1.RecordSet` once, without decoding it (design §4): it is stored as it is if this returns.
 * Well-formed means: lengths that fit, no group, no field twice, header keys in UTF-8, timestamps of this era, at least one record.
 * Unknown fields inside records and headers are kept and counted; the set itself has none but `records`.
 *
 * @param visit called with the first byte and the end of each record, tag included
 * @throws {MillraceError} MALFORMED_RECORD_SET with the position, RECORD_SET_TOO_LARGE
 */
export function walkRecordSet(
  bytes: Uint8Array,
  limits: RecordSetLimits = RECORD_SET_LIMITS,
  visit?: (at: number, end: number) => void,
): RecordSetSummary {
  if (bytes.length > limits.bytesMax) {
    throw new MillraceError("RECORD_SET_TOO_LARGE", `The record set has ${bytes.length} bytes: at most ${limits.bytesMax} are taken`, {
      bytes: String(bytes.length),
      max_bytes: String(limits.bytesMax),
    });
  }
  const walk = new Walk(bytes, limits);
  if (bytes.length === 0) walk.fail("no records");
  let recordCount = 0;
  let unstampedCount = 0;
  let firstTimestamp = 0;
  let maxTimestamp = 0;
  while (walk.at < bytes.length) {
    const at = walk.at;
    if (walk.tag(bytes.length) !== Tag.record) walk.fail("not a record", at);
    const end = walk.delimited(bytes.length);
    const timestamp = walk.record(end);
    if (recordCount === 0) firstTimestamp = timestamp;
    if (timestamp === 0) unstampedCount++;
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    recordCount++;
    visit?.(at, end);
  }
  return { bytes: bytes.length, recordCount, firstTimestamp, maxTimestamp, unstampedCount, unknownFieldCount: walk.unknownFieldCount };
}

/**
 * Leaves out the first `skip` records, so that a fetch begins with the one asked for.
 *
 * @param bytes a set that `walkRecordSet` accepted
 * @returns a view, itself a record set; empty when there are exactly `skip` records
 * @throws {MillraceError} MALFORMED_RECORD_SET when there are fewer
 */
export function cutRecordSet(bytes: Uint8Array, skip: number): Uint8Array {
  const cursor = new RecordCursor(bytes, 0);
  for (let n = 0; n < skip; n++) {
    if (cursor.at === bytes.length) cursor.fail(`${n} records, asked to leave out ${skip}`);
    if (cursor.tag(bytes.length) !== Tag.record) cursor.fail("not a record");
    cursor.at = cursor.delimited(bytes.length);
  }
  return bytes.subarray(cursor.at);
}

class Walk extends RecordCursor {
  readonly #limits: RecordSetLimits;
  unknownFieldCount = 0;

  constructor(bytes: Uint8Array, limits: RecordSetLimits) {
    super(bytes, 0);
    this.#limits = limits;
  }

  /** Walks the body of a record up to `end`. @returns its timestamp, 0 when it has none */
  record(end: number): number {
    let seen = 0;
    let timestamp = 0;
    let headers = 0;
    while (this.at < end) {
      const at = this.at;
      const tag = this.tag(end);
      switch (tag) {
        case Tag.key:
        case Tag.value:
          if ((seen & bitOf(tag)) !== 0) this.fail("key or value given twice", at);
          seen |= bitOf(tag);
          this.at = this.delimited(end);
          break;
        case Tag.timestamp:
          if ((seen & bitOf(tag)) !== 0) this.fail("timestamp given twice", at);
          seen |= bitOf(tag);
          timestamp = this.timestamp(end);
          break;
        case Tag.header:
          if (++headers > this.#limits.headersPerRecordMax)
            this.fail(`more than ${this.#limits.headersPerRecordMax} headers in a record`, at, "record.headers.max");
          this.#header(this.delimited(end));
          break;
        default:
          if (tag >>> 3 <= 4) this.fail(`field ${tag >>> 3} with wire type ${tag & 7}`, at);
          this.#unknown(tag, end);
      }
    }
    return timestamp;
  }

  #header(end: number): void {
    let seen = 0;
    while (this.at < end) {
      const at = this.at;
      const tag = this.tag(end);
      if (tag !== Tag.headerKey && tag !== Tag.headerValue) {
        if (tag >>> 3 <= 2) this.fail(`header field ${tag >>> 3} with wire type ${tag & 7}`, at);
        this.#unknown(tag, end);
        continue;
      }
      if ((seen & bitOf(tag)) !== 0) this.fail("header key or value given twice", at);
      seen |= bitOf(tag);
      const valueEnd = this.delimited(end);
      if (tag === Tag.headerKey && !isUtf8(this.bytes, this.at, valueEnd)) this.fail("header key is not UTF-8");
      this.at = valueEnd;
    }
  }

  #unknown(tag: number, end: number): void {
    if (++this.unknownFieldCount > this.#limits.unknownFieldsMax)
      this.fail(`more than ${this.#limits.unknownFieldsMax} unknown fields`, this.at, "records.unknown.fields.max");
    this.skip(tag & 7, end);
  }
}

/** One bit per field number. */
function bitOf(tag: number): number {
  return 1 << (tag >>> 3);
}
