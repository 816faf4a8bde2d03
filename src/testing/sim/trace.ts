import { crc32 } from "node:zlib";
import { ZEROS } from "../../log/wal-files.ts";

const FNV_PRIME = 0x01000193;

const ZEROS_CRC = crc32(ZEROS);

/**
 * What happened, as a running hash: two runs of one seed are the same run when their hashes agree. With `print` every line is shown
 * as well, so that two runs that differ can be compared line by line.
 */
export class Trace {
  #hash = 0x811c9dc5 | 0;
  #lines = 0;
  readonly #print: ((line: string) => void) | undefined;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** @param time virtual milliseconds @param what one line; goes into the hash as it is @param who stands before it */
  note(time: number, what: string, who = ""): void {
    // In 2^-20 ms, as two words: the same on every machine, and no text has to be made of it.
    const fine = time * 2 ** 20;
    let hash = hashText(this.#hash, who);
    hash = hashText(hash, what);
    hash = Math.imul(hash ^ fine, FNV_PRIME);
    this.#hash = Math.imul(hash ^ Math.floor(fine / 2 ** 32), FNV_PRIME);
    this.#lines++;
    if (this.#print !== undefined) this.#show(time, what, who);
  }

  /**
   * The same of bytes that were sent, read or written: their length and their hash join, as numbers.
   *
   * @param what stands before these
   * @param at of a file or a call, between the two: no text is made of it
   */
  noteBytes(time: number, what: string, chunks: readonly Uint8Array[], at?: number): void {
    const fine = time * 2 ** 20;
    const { length, sum } = summed(chunks);
    let hash = hashText(this.#hash, what);
    if (at !== undefined) hash = Math.imul(hash ^ at, FNV_PRIME);
    hash = Math.imul(hash ^ length, FNV_PRIME);
    hash = Math.imul(hash ^ sum, FNV_PRIME);
    hash = Math.imul(hash ^ fine, FNV_PRIME);
    this.#hash = Math.imul(hash ^ Math.floor(fine / 2 ** 32), FNV_PRIME);
    this.#lines++;
    if (this.#print !== undefined) this.#show(time, `${what}${at === undefined ? "" : ` ${at}`}: ${length}#${sum.toString(16)}`, "");
  }

  #show(time: number, what: string, who: string): void {
    this.#print?.(`${time.toFixed(3).padStart(12)} ${who}${who === "" ? "" : " "}${what}`);
  }

  /** Bytes that were sent or written: their hash joins, they do not. @returns a short name of the bytes for the line that follows */
  bytes(chunks: readonly Uint8Array[]): string {
    const { length, sum } = summed(chunks);
    return `${length}#${sum.toString(16)}`;
  }

  /** Lines so far and their hash. */
  get digest(): string {
    return `${this.#lines}-${(this.#hash >>> 0).toString(16).padStart(8, "0")}`;
  }
}

function summed(chunks: readonly Uint8Array[]): { readonly length: number; readonly sum: number } {
  let sum = 0;
  let length = 0;
  for (const chunk of chunks) {
    sum = sum === 0 && isNewFile(chunk) ? ZEROS_CRC : crc32(chunk, sum);
    length += chunk.length;
  }
  return { length, sum };
}

/** A whole piece of a new log file: most of what a cluster writes while it forms. */
function isNewFile(chunk: Uint8Array): boolean {
  // The length first: a small array has no buffer before somebody asks for it.
  return chunk.length === ZEROS.length && chunk.buffer === ZEROS.buffer;
}

/** FNV-1a, 32 bits, over UTF-16 units: for lines as short as these a call into native code costs more than the hash. */
function hashText(seed: number, text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return hash;
}
