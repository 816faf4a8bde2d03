import type { GroupId } from "../base/ids.ts";
import type { DiskFile } from "../base/ports/disk.ts";
import { BadFrame, decodeFrame, HEADER_BYTES, verifyPayload } from "../records/frame.ts";
import type { Frame } from "../records/frame-types.ts";

/** Bytes of one cold read (performance: 64 KiB reads give a ninth of the throughput). */
export const READ_BYTES = 1024 * 1024;
const PAYLOAD_LENGTH_AT = 12;

/** The frames of a segment do not say what was written. */
export class BadSegment extends Error {
  override readonly name = "BadSegment";
  readonly position: number;
  constructor(position: number, what: string) {
    super(what);
    this.position = position;
  }
}

/**
 * Walks the frames of one segment from a position on, in reads of 1 MiB. What was read is kept, so a reader that goes on where it
 * stopped reads no byte twice.
 */
export class SegmentCursor {
  readonly #groupId: GroupId;
  #index: number;
  /** Of the next frame, in the file and in `#buffer`. */
  #position: number;
  #at = 0;
  #buffer = new Uint8Array(0);

  /** @param index of the frame that begins at `position` */
  constructor(groupId: GroupId, index: number, position: number) {
    this.#groupId = groupId;
    this.#index = index;
    this.#position = position;
  }

  get index(): number {
    return this.#index;
  }
  get position(): number {
    return this.#position;
  }

  /** Bytes of the next frame, or undefined when `load` must be called first. @throws {BadSegment} */
  length(): number | undefined {
    const left = this.#buffer.length - this.#at;
    if (left < HEADER_BYTES) return undefined;
    const length = HEADER_BYTES + new DataView(this.#buffer.buffer, this.#buffer.byteOffset + this.#at).getUint32(PAYLOAD_LENGTH_AT, true);
    return length <= left ? length : undefined;
  }

  /**
   * Takes the next frame. Its header is checked, with group and index; its payload only when it is wanted.
   *
   * @throws {BadSegment}
   */
  next(wanted: (frame: Frame) => boolean): Frame {
    const length = this.length() ?? 0;
    let frame: Frame;
    try {
      frame = decodeFrame(this.#buffer, this.#at, length);
    } catch (error) {
      if (error instanceof BadFrame) throw new BadSegment(this.#position, error.what);
      throw error;
    }
    if (frame.groupId !== this.#groupId || frame.index !== this.#index)
      throw new BadSegment(
        this.#position,
        `frame ${frame.index} of group ${frame.groupId} lies where ${this.#index} of ${this.#groupId} should`,
      );
    if (wanted(frame) && !verifyPayload(frame))
      throw new BadSegment(this.#position, `the payload of frame ${frame.index} does not match its CRC`);
    this.#at += length;
    this.#position += length;
    this.#index += 1;
    return frame;
  }

  /** Reads on: at least the next frame, up to `end`. @throws {BadSegment} the file ends too early */
  async load(file: DiskFile, end: number): Promise<void> {
    const left = this.#buffer.length - this.#at;
    let wanted = READ_BYTES;
    if (left >= HEADER_BYTES) {
      const next = HEADER_BYTES + new DataView(this.#buffer.buffer, this.#buffer.byteOffset + this.#at).getUint32(PAYLOAD_LENGTH_AT, true);
      wanted = Math.max(wanted, next);
    }
    wanted = Math.min(wanted, end - this.#position);
    if (wanted <= left) throw new BadSegment(this.#position, `frame ${this.#index} does not end before byte ${end}`);
    // Frames that were handed out are views of the old buffer, so a new one is needed each time.
    const buffer = Buffer.allocUnsafeSlow(wanted);
    buffer.set(this.#buffer.subarray(this.#at));
    let filled = left;
    while (filled < wanted) {
      const read = await file.read(this.#position + filled, buffer.subarray(filled));
      if (read === 0) throw new BadSegment(this.#position + filled, `the file ends before byte ${end}`);
      filled += read;
    }
    this.#buffer = buffer;
    this.#at = 0;
    // Only now is it known how long a frame is that begins here: one of more than a read takes another.
    if (this.length() === undefined) await this.load(file, end);
  }
}
