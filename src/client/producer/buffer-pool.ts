/** Buffers kept; more are left to the garbage collector. */
const KEPT_MAX = 32;
/** Larger ones are not kept. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Buffers of batches that are done with, for those to come: making them anew would keep the garbage collector busy. */
export class BufferPool {
  readonly #free: Uint8Array[] = [];

  /** @returns a buffer of at least `bytes`, with anything in it */
  take(bytes: number): Uint8Array {
    const free = this.#free.pop();
    return free !== undefined && free.length >= bytes ? free : new Uint8Array(bytes);
  }

  /** @param view of a buffer that nobody looks at any more */
  give(view: Uint8Array): void {
    const bytes = view.buffer.byteLength;
    if (this.#free.length < KEPT_MAX && bytes <= KEPT_BYTES_MAX) this.#free.push(new Uint8Array(view.buffer));
  }
}
