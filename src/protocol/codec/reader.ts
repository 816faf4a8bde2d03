import { MillraceError } from "../../base/errors.ts";
import { type LimitName, limits } from "../../base/limits.ts";
import { readUtf8 } from "../../base/utf8.ts";

/** Wire types (https://protobuf.dev/programming-guides/encoding). 3 and 4 are groups: refused. */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Fields no declaration knows, over one whole decode: newer peers may send some, nobody may make us walk a million. */
export const UNKNOWN_FIELDS_MAX = limits["request.unknown.fields.max"].value;
/** Elements of repeated and map fields over one whole decode: two bytes on the wire may cost a hundred in memory. */
export const ELEMENTS_MAX = limits["request.elements.max"].value;

const TWO_32 = 2 ** 32;

/**
 * Reads protobuf wire primitives out of one buffer, strictly.
 * Life: one per decode. `message` and `field` say what is being read, for errors; `end` is the end of the innermost message.
 *
 * @throws {MillraceError} INVALID_REQUEST from every method, naming message, field and position
 */
export class Reader {
  readonly bytes: Uint8Array;
  at = 0;
  end: number;
  message = "";
  field = "";
  #unknown = 0;
  #elements = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.end = bytes.length;
  }

  /** @param limit the one that was reached */
  fail(what: string, limit?: LimitName): never {
    const name = this.field === "" ? this.message : `${this.message}.${this.field}`;
    throw new MillraceError("INVALID_REQUEST", `Cannot read ${name} at byte ${this.at}: ${what}`, {
      message: this.message,
      field: this.field,
      position: String(this.at),
      ...(limit === undefined ? {} : { limit }),
    });
  }

  /** @returns field number × 8 + wire type; the number is 1 … 2^29 - 1 and the wire type no group */
  tag(): number {
    const tag = this.uint64();
    const number = Math.floor(tag / 8);
    if (number < 1 || number > 0x1fffffff) this.fail(`field number ${number}`);
    const wire = tag % 8;
    if (wire === 3 || wire === 4) this.fail("group tag");
    if (wire > 5) this.fail(`wire type ${wire}`);
    return tag;
  }

  /** A varint as an unsigned number of at most 53 bits. */
  uint64(): number {
    const first = this.at < this.end ? (this.bytes[this.at] as number) : 0x80;
    if (first < 0x80) {
      this.at++;
      return first;
    }
    const value = this.int64();
    if (value < 0) this.fail("number above 2^53 - 1");
    return value;
  }

  /** A varint as a two's complement 64-bit number, refused when a JS number cannot hold it exactly. */
  int64(): number {
    const bytes = this.bytes;
    const end = this.end;
    let at = this.at;
    let low = 0; // bits 0 … 27
    let middle = 0; // bits 28 … 55
    let high = 0; // bits 56 … 63
    for (let n = 0; ; n++) {
      if (at >= end) this.fail("truncated varint");
      const byte = bytes[at++] as number;
      const bits = byte & 0x7f;
      if (n < 4) low |= bits << (7 * n);
      else if (n < 8) middle |= bits << (7 * (n - 4));
      else if (n === 8) high = bits;
      else {
        if (byte > 1) this.fail("varint of more than 64 bits");
        high |= bits << 7;
      }
      if (byte < 0x80) break;
    }
    const signed = ((high << 24) >> 24) * 2 ** 56 + middle * 2 ** 28 + low;
    // A sum that had to be rounded is at least 2^53 away from 0, so this refuses those too.
    if (!Number.isSafeInteger(signed)) this.fail("number beyond ±2^53");
    this.at = at;
    return signed;
  }

  int32(): number {
    const value = this.int64();
    if (value !== (value | 0)) this.fail(`${value} is not a 32-bit number`);
    return value;
  }

  uint32(): number {
    const value = this.uint64();
    if (value >= TWO_32) this.fail(`${value} is not an unsigned 32-bit number`);
    return value;
  }

  bool(): boolean {
    const value = this.uint64();
    if (value > 1) this.fail(`${value} is not a bool`);
    return value === 1;
  }

  double(): number {
    if (this.end - this.at < 8) this.fail("truncated double");
    const value = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, 8).getFloat64(0, true);
    if (!Number.isFinite(value)) this.fail(`${value} is not a finite number`);
    this.at += 8;
    return value;
  }

  /** A length prefix. @returns the end of what it covers; `at` stands at its first byte */
  delimited(): number {
    const length = this.uint64();
    if (length > this.end - this.at) this.fail(`length ${length} with ${this.end - this.at} bytes left`);
    return this.at + length;
  }

  /** A view, no copy. */
  view(): Uint8Array {
    const end = this.delimited();
    const view = this.bytes.subarray(this.at, end);
    this.at = end;
    return view;
  }

  string(): string {
    const end = this.delimited();
    const text = readUtf8(this.bytes, this.at, end);
    if (text === undefined) this.fail("not UTF-8");
    this.at = end;
    return text;
  }

  /** Counts an element of a repeated field against the limit. */
  element(): void {
    if (++this.#elements > ELEMENTS_MAX) this.fail(`more than ${ELEMENTS_MAX} elements`, "request.elements.max");
  }

  /** Passes over the value of a field nobody declared. */
  skip(wire: number): void {
    if (++this.#unknown > UNKNOWN_FIELDS_MAX) this.fail(`more than ${UNKNOWN_FIELDS_MAX} unknown fields`, "request.unknown.fields.max");
    if (wire === WireType.varint) this.#skipVarint();
    else if (wire === WireType.bytes) this.at = this.delimited();
    else {
      const width = wire === WireType.fixed64 ? 8 : 4;
      if (this.end - this.at < width) this.fail("truncated field");
      this.at += width;
    }
  }

  #skipVarint(): void {
    for (let n = 0; n < 10; n++) {
      if (this.at >= this.end) this.fail("truncated varint");
      if ((this.bytes[this.at++] as number) < 0x80) return;
    }
    this.fail("varint of more than 10 bytes");
  }
}
