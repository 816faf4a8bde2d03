import { HEADER_BYTES } from "./message-decoder.ts";

/** Chunks up to this long are copied next to their header; longer ones are sent from where they lie. */
const COPY_BYTES_MAX = 2048;
const SCRATCH_BYTES = 64 * 1024;

/**
 * Gathers the messages of one turn into few pieces for one `writev`: headers and short chunks are copied side by side into
 * scratch memory (never used twice, since the kernel may still be reading it), long chunks pass by reference.
 */
export class MessageGatherer {
  #scratch: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** Bytes added since the last `take`. */
  get bytes(): number {
    return this.#bytes;
  }

  add(kind: number, chunks: readonly Uint8Array[], length: number): void {
    this.#reserve(HEADER_BYTES);
    const scratch = this.#scratch;
    const at = this.#end;
    scratch[at] = length;
    scratch[at + 1] = length >>> 8;
    scratch[at + 2] = length >>> 16;
    scratch[at + 3] = length >>> 24;
    scratch[at + 4] = kind;
    this.#end = at + HEADER_BYTES;
    for (const chunk of chunks) this.#addChunk(chunk);
    this.#bytes += HEADER_BYTES + length;
  }

  /** @returns the pieces in order, and starts afresh */
  take(): readonly Uint8Array[] {
    this.#seal();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  #addChunk(chunk: Uint8Array): void {
    if (chunk.length > COPY_BYTES_MAX) {
      this.#seal();
      this.#pieces.push(chunk);
      return;
    }
    this.#reserve(chunk.length);
    this.#scratch.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#scratch.length) return;
    this.#seal();
    this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    this.#start = 0;
    this.#end = 0;
  }

  #seal(): void {
    if (this.#end > this.#start) this.#pieces.push(this.#scratch.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
