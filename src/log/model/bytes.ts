import { invariant } from "../../base/invariant.ts";

/** Bytes that are not what the format says. The caller knows which file and position, and says so. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Writes little-endian fields one after the other into a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(expected = 256) {
    this.#bytes = new Uint8Array(expected);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  i32(value: number): this {
    const at = this.#grow(4);
    this.#view.setInt32(at, value, true);
    return this;
  }

  /** A safe integer (negative ones too), as i64. */
  i53(value: number): this {
    invariant(Number.isSafeInteger(value), () => `a 53-bit number is a safe integer: got ${value}`);
    const at = this.#grow(8);
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** u32 length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** Overwrites a u32 written before. */
  setU32(at: number, value: number): void {
    invariant(at + 4 <= this.#length, "only what was written can be set");
    this.#view.setUint32(at, value, true);
  }

  /** What was written; a view that the next write may move away from. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      bigger.set(this.#bytes);
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    return at;
  }
}

/** Reads what `ByteWriter` wrote. @throws {Malformed} past the end, or when a number is no safe integer */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }
  get left(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  i53(): number {
    const at = this.#take(8);
    const value = this.#view.getInt32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new Malformed(`a number at byte ${at} is over 53 bits`);
    return value;
  }
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
  /** A copy: what is kept must not hold the whole block alive. */
  bytes(): Uint8Array {
    return copyOf(this.raw(this.u32()));
  }
  skip(length: number): void {
    this.#take(length);
  }
  /** @throws {Malformed} when bytes are left */
  end(): void {
    if (this.left !== 0) throw new Malformed(`${this.left} bytes too many`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw new Malformed(`ends at byte ${this.#end}, ${length} bytes are wanted at ${at}`);
    this.#at = at + length;
    return at;
  }
}

/** `slice()` of a `Buffer` is a view, of other arrays a copy: this is always a copy. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
