import { PEER_MESSAGE_BYTES_MAX } from "../base/ports/transport.ts";

/** u32 little-endian length of the body, then u8 kind, then the body. */
export const HEADER_BYTES = 5;

const nothing = new Uint8Array(0);

/**
 * Cuts a byte stream into messages. A body that lies within one chunk is handed out as a view of that chunk; any other is
 * allocated once, at its exact length, and filled as the chunks come, so a large message is copied once and never joined.
 * Chunks must not be written to after `push`: receivers keep views.
 */
export class MessageDecoder {
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerFilled = 0;
  /** The body being gathered over several chunks. */
  #body: Uint8Array | undefined;
  #bodyFilled = 0;
  #kind = 0;
  #chunk: Uint8Array | undefined;
  #position = 0;

  /** Gives the next chunk; the last one must have been used up (`next` returned "more"). */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#position = 0;
  }

  /** What is missing of the body that is being gathered: bytes written there and told to `filled` need no copy. */
  get room(): Uint8Array | undefined {
    return this.#body?.subarray(this.#bodyFilled);
  }

  /** The first `bytes` of `room` were written. The chunk pushed last must be used up. */
  filled(bytes: number): void {
    this.#bodyFilled += bytes;
    this.#chunk = nothing;
    this.#position = 0;
  }

  /** Kind of the message `next` returned last. */
  get kind(): number {
    return this.#kind;
  }

  /** @returns a body; "more" when the chunk is used up; "too-long" when the other side announces more than allowed */
  next(): Uint8Array | "more" | "too-long" {
    const chunk = this.#chunk;
    if (chunk === undefined) return "more";
    if (this.#body !== undefined) return this.#gather(chunk);
    if (!this.#readHeader(chunk)) return "more";
    const length = bodyLength(this.#header);
    if (length > PEER_MESSAGE_BYTES_MAX) return "too-long";
    this.#kind = this.#header[4] ?? 0;
    const end = this.#position + length;
    if (end > chunk.length) {
      // Not zeroed: every byte of it is received before anybody sees it.
      this.#body = Buffer.allocUnsafeSlow(length);
      this.#bodyFilled = 0;
      return this.#gather(chunk);
    }
    this.#headerFilled = 0;
    const body = chunk.subarray(this.#position, end);
    this.#position = end;
    return body;
  }

  #readHeader(chunk: Uint8Array): boolean {
    while (this.#headerFilled < HEADER_BYTES) {
      const byte = chunk[this.#position];
      if (byte === undefined) {
        this.#chunk = undefined;
        return false;
      }
      this.#header[this.#headerFilled++] = byte;
      this.#position++;
    }
    return true;
  }

  #gather(chunk: Uint8Array): Uint8Array | "more" {
    const body = this.#body as Uint8Array;
    const take = Math.min(body.length - this.#bodyFilled, chunk.length - this.#position);
    body.set(chunk.subarray(this.#position, this.#position + take), this.#bodyFilled);
    this.#bodyFilled += take;
    this.#position += take;
    if (this.#bodyFilled < body.length) {
      this.#chunk = undefined;
      return "more";
    }
    this.#body = undefined;
    this.#headerFilled = 0;
    return body;
  }
}

function bodyLength(header: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = header;
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}
