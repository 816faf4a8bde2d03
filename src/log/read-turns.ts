import { PAYLOAD_BYTES_MAX } from "../records/frame.ts";
import { READ_BYTES } from "./segment-scan.ts";

interface Waiting {
  readonly bytes: number;
  readonly begin: () => void;
}

/**
 * Reads from the disk for callers (`read.pending.max.bytes`): each keeps what it has read so far while it waits for more, so those under way
 * are bounded by their bytes, and the others wait for their turn, first come first. What is in memory is read without one, and so is what
 * replication needs.
 */
export class ReadTurns {
  readonly #bytesMax: number;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Of reads that are under way, at most. */
  get bytes(): number {
    return this.#bytes;
  }
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @param maxBytes of the frames that are read; one frame is read however large it is */
  async run<T>(maxBytes: number, read: () => Promise<T>): Promise<T> {
    // Frames are views of what is read at once, which reaches beyond them. What is more than all there is goes alone.
    const bytes = Math.min(this.#bytesMax, Math.max(maxBytes, PAYLOAD_BYTES_MAX) + READ_BYTES);
    if (this.#waiting.length > 0 || this.#bytes + bytes > this.#bytesMax)
      await new Promise<void>((begin) => this.#waiting.push({ bytes, begin }));
    else this.#bytes += bytes;
    try {
      return await read();
    } finally {
      this.#bytes -= bytes;
      this.#next();
    }
  }

  #next(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || this.#bytes + first.bytes > this.#bytesMax) return;
      this.#waiting.shift();
      // At once, so that a newcomer cannot slip in between.
      this.#bytes += first.bytes;
      first.begin();
    }
  }
}
