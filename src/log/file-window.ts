import { DiskError, type DiskFile } from "../base/ports/disk.ts";
import { BadFrame, decodeFrame, HEADER_BYTES, PAYLOAD_BYTES_MAX } from "../records/frame.ts";
import type { Frame } from "../records/frame-types.ts";
import { READ_BYTES } from "./segment-scan.ts";

const PAYLOAD_LENGTH_AT = 12;

/** How one read of up to 1 MiB is done: through the disk scheduler, and no faster than the reader may. */
export type PacedRead = <T>(bytes: number, read: () => Promise<T>) => Promise<T>;

export const unpaced: PacedRead = (_bytes, read) => read();

/** A stretch of one file in memory, which follows the places that are asked for. Bytes that cannot be read are not there. */
export class FileWindow {
  readonly #file: DiskFile;
  readonly #size: number;
  readonly #paced: PacedRead;
  readonly #ahead: number;
  #from = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Bytes read from the disk. */
  read = 0;

  /** @param ahead bytes that one read takes, when there are as many */
  constructor(file: DiskFile, size: number, paced: PacedRead = unpaced, ahead = READ_BYTES) {
    this.#ahead = ahead;
    this.#file = file;
    this.#size = size;
    this.#paced = paced;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns a view that stays good; what is wrong when the bytes are not there */
  async at(position: number, length: number): Promise<Uint8Array | string> {
    if (position + length > this.#size) return `the file ends at ${this.#size}`;
    const from = position - this.#from;
    if (from >= 0 && from + length <= this.#bytes.length) return this.#bytes.subarray(from, from + length);
    const wanted = Math.min(this.#size - position, Math.max(length, this.#ahead));
    // Frames that were handed out are views of the old buffer, so a new one is needed each time.
    const bytes = new Uint8Array(wanted);
    let filled = 0;
    try {
      while (filled < length) {
        const read = await this.#paced(wanted - filled, () => this.#file.read(position + filled, bytes.subarray(filled)));
        if (read === 0) return `the file ends at ${position + filled}`;
        filled += read;
      }
    } catch (error) {
      if (error instanceof DiskError) return error.message;
      throw error;
    }
    this.read += filled;
    this.#from = position;
    this.#bytes = bytes.subarray(0, filled);
    return this.#bytes.subarray(0, length);
  }

  /** The frame that begins there, its header checked and its payload not; or what is wrong. */
  async frame(position: number): Promise<Frame | string> {
    const head = await this.at(position, HEADER_BYTES);
    if (typeof head === "string") return head;
    const payload = new DataView(head.buffer, head.byteOffset, HEADER_BYTES).getUint32(PAYLOAD_LENGTH_AT, true);
    if (payload > PAYLOAD_BYTES_MAX) return `a payload of ${payload} bytes`;
    const bytes = await this.at(position, HEADER_BYTES + payload);
    if (typeof bytes === "string") {
      // A header that is itself bad says nothing about the end of the file.
      const wrong = decoded(head);
      return typeof wrong === "string" && !wrong.startsWith("payload of") ? wrong : bytes;
    }
    return decoded(bytes);
  }
}

function decoded(bytes: Uint8Array): Frame | string {
  try {
    return decodeFrame(bytes);
  } catch (error) {
    if (error instanceof BadFrame) return error.what;
    throw error;
  }
}
