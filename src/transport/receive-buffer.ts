import type { MessageDecoder } from "./message-decoder.ts";

const SLAB_BYTES = 256 * 1024;
/** A read into less would cost a system call for little. */
const ROOM_BYTES_MIN = 64 * 1024;

/**
 * Memory the kernel writes into, where the socket lets us choose it: the rest of a large body goes straight to its place, anything
 * else into a slab. A part of a slab is never written twice, because receivers keep views of it.
 */
export class ReceiveBuffer {
  readonly #decoder: MessageDecoder;
  #slab: Uint8Array = new Uint8Array(0);
  #used = 0;
  /** The next read goes into the body the decoder gathers. */
  #direct = false;

  constructor(decoder: MessageDecoder) {
    this.#decoder = decoder;
  }

  /** Where the next read goes. */
  next(): Uint8Array {
    const room = this.#decoder.room;
    this.#direct = room !== undefined && room.length >= ROOM_BYTES_MIN;
    if (room !== undefined && this.#direct) return room;
    if (this.#slab.length - this.#used < ROOM_BYTES_MIN) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used);
  }

  /** `bytes` were written there: the decoder has something to look at. */
  received(bytes: number): void {
    if (this.#direct) {
      this.#decoder.filled(bytes);
      return;
    }
    this.#decoder.push(this.#slab.subarray(this.#used, this.#used + bytes));
    this.#used += bytes;
  }
}
