import { crc32 } from "node:zlib";

/**
 * What happened, as a running hash: two runs of one seed are the same run when their hashes agree. With `print` every line is shown
 * as well, so that two runs that differ can be compared line by line.
 */
export class Trace {
  #hash = 0;
  #lines = 0;
  readonly #print: ((line: string) => void) | undefined;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** @param time virtual milliseconds @param what one line; goes into the hash as it is */
  note(time: number, what: string): void {
    this.#hash = crc32(`${time} ${what}`, this.#hash);
    this.#lines++;
    this.#print?.(`${time.toFixed(3).padStart(12)} ${what}`);
  }

  /** Bytes that were sent or written: their hash joins, they do not. @returns a short name of the bytes for the line that follows */
  bytes(chunks: readonly Uint8Array[]): string {
    let sum = 0;
    let length = 0;
    for (const chunk of chunks) {
      sum = crc32(chunk, sum);
      length += chunk.length;
    }
    return `${length}#${sum.toString(16)}`;
  }

  /** Lines so far and their hash. */
  get digest(): string {
    return `${this.#lines}-${this.#hash.toString(16).padStart(8, "0")}`;
  }
}
