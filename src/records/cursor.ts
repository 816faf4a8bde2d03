import { MillraceError } from "../base/errors.ts";
import type { LimitName } from "../base/limits.ts";

/** 9999-12-31T23:59:59.999Z: a later timestamp is a mistake (nanoseconds, say), and would keep its segment for ever. */
export const TIMESTAMP_MAX = 253_402_300_799_999;

/** Field number × 8 + wire type, of `millrace.v1` records.proto. */
export const Tag = { record: 0x0a, key: 0x0a, value: 0x12, header: 0x1a, timestamp: 0x20, headerKey: 0x0a, headerValue: 0x12 } as const;

/**
 * Moves over the protobuf wire format of a record set. `limit` is the end of the innermost message.
 *
 * @throws {MillraceError} MALFORMED_RECORD_SET with the position, from every method
 */
export class RecordCursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** @param limit the one that was reached */
  fail(what: string, position = this.at, limit?: LimitName): never {
    throw new MillraceError("MALFORMED_RECORD_SET", `Cannot read the record set at byte ${position}: ${what}`, {
      position: String(position),
      ...(limit === undefined ? {} : { limit }),
    });
  }

  /** Field number × 8 + wire type: below 2^32, number at least 1, no group. */
  tag(limit: number): number {
    const first = this.bytes[this.at] as number;
    const tag = first < 0x80 ? first : this.#uint32(limit);
    if (first < 0x80) this.at++;
    const wire = tag & 7;
    if (tag >>> 3 === 0) this.fail("field number 0");
    if (wire === 3 || wire === 4) this.fail("group tag");
    if (wire > 5) this.fail(`wire type ${wire}`);
    return tag;
  }

  /** A length prefix. @returns the end of what it covers; `at` stands at its first byte */
  delimited(limit: number): number {
    const first = this.at < limit ? (this.bytes[this.at] as number) : 0x80;
    const length = first < 0x80 ? first : this.#uint32(limit);
    if (first < 0x80) this.at++;
    if (length > limit - this.at) this.fail(`length ${length} with ${limit - this.at} bytes left`);
    return this.at + length;
  }

  #uint32(limit: number): number {
    let value = 0;
    for (let n = 0; n < 10; n++) {
      if (this.at + n >= limit) this.fail("truncated varint");
      const byte = this.bytes[this.at + n] as number;
      const bits = byte & 0x7f;
      if (n < 4) value |= bits << (7 * n);
      else if (n === 4 && bits < 16) value += bits * 2 ** 28;
      else if (bits !== 0) this.fail("number above 2^32");
      if (byte < 0x80) {
        this.at += n + 1;
        return value;
      }
    }
    this.fail("varint of more than 10 bytes");
  }

  /** An int64 that must be a timestamp: 0 … TIMESTAMP_MAX. */
  timestamp(limit: number): number {
    let low = 0;
    let high = 0;
    for (let n = 0; n < 10; n++) {
      if (this.at + n >= limit) this.fail("truncated varint");
      const byte = this.bytes[this.at + n] as number;
      const bits = byte & 0x7f;
      if (n < 4) low |= bits << (7 * n);
      else if (n < 8) high |= bits << (7 * (n - 4));
      else if (bits !== 0) this.fail("timestamp negative or after the year 9999");
      if (byte >= 0x80) continue;
      const value = high * 2 ** 28 + low;
      if (value > TIMESTAMP_MAX) this.fail("timestamp after the year 9999");
      this.at += n + 1;
      return value;
    }
    this.fail("varint of more than 10 bytes");
  }

  /** Passes over the value of a field. */
  skip(wire: number, limit: number): void {
    if (wire === 2) {
      this.at = this.delimited(limit);
    } else if (wire === 0) {
      for (let n = 0; n < 10; n++) {
        if (this.at >= limit) this.fail("truncated varint");
        if ((this.bytes[this.at++] as number) < 0x80) return;
      }
      this.fail("varint of more than 10 bytes");
    } else {
      const width = wire === 1 ? 8 : 4;
      if (limit - this.at < width) this.fail("truncated field");
      this.at += width;
    }
  }
}
