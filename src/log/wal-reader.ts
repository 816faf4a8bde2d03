import { BadFrame, decodeFrame, verifyPayload } from "../records/frame.ts";
import type { Frame } from "../records/frame-types.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { HeldFrame } from "./model/held.ts";
import type { Life, Ring } from "./model/ring.ts";
import { walPath } from "./model/segment-name.ts";
import { DamagedLog } from "./types.ts";
import type { WalFiles } from "./wal-files.ts";

/** Frames that lie closer than this are fetched by one read, gap and all. */
const GAP_BYTES_MAX = 64 * 1024;
const READ_BYTES_MAX = 4 * 1024 * 1024;

interface Span {
  readonly life: Life;
  readonly from: number;
  to: number;
  readonly frames: HeldFrame[];
  /** Where each lay when the read was begun: a frame that is appended again meanwhile lies elsewhere then. */
  readonly places: number[];
}

/** Reads frames back from the write-ahead log: those of before the last start, and those that memory had no room for. */
export class WalReader {
  readonly #files: WalFiles;
  readonly #ring: Ring;
  readonly #scheduler: DiskScheduler;
  readonly #settled: () => void;

  /** @param settled files may have become free: whoever waits for one should look */
  constructor(files: WalFiles, ring: Ring, scheduler: DiskScheduler, settled: () => void) {
    this.#files = files;
    this.#ring = ring;
    this.#scheduler = scheduler;
    this.#settled = settled;
  }

  /**
   * The frames in the order asked; those in memory as they are.
   *
   * @throws {DamagedLog} the block says otherwise than when it was written
   */
  async readMany(frames: readonly HeldFrame[]): Promise<Frame[]> {
    const found = new Map<HeldFrame, Frame>();
    for (const held of frames) if (held.frame !== undefined) found.set(held, held.frame);
    if (found.size === frames.length) return frames.map((held) => found.get(held) as Frame);
    const spans = spansOf(frames);
    // All of them before the first read: a life may end while we read, its file must not be written over before we are done.
    for (const { life } of spans) life.reads += 1;
    try {
      for (const span of spans) await this.#readSpan(span, found);
    } finally {
      for (const { life } of spans) life.reads -= 1;
      this.#ring.settle();
      this.#settled();
    }
    return frames.map((held) => found.get(held) as Frame);
  }

  async #readSpan(span: Span, found: Map<HeldFrame, Frame>): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(span.to - span.from);
    const path = walPath(span.life.file);
    const file = this.#files.get(span.life.file);
    const read = await this.#scheduler.run("read", () => file.read(span.from, bytes));
    if (read < bytes.length) throw new DamagedLog(path, span.from + read, "the file ends here");
    for (const [i, held] of span.frames.entries()) {
      const at = span.places[i] as number;
      found.set(held, decode(bytes, at - span.from, held, path, at));
    }
  }
}

function placeOf(held: HeldFrame): number {
  return held.block.position + held.at;
}

function spansOf(frames: readonly HeldFrame[]): Span[] {
  const spans: Span[] = [];
  for (const held of frames) {
    const { life } = held.block;
    if (held.frame !== undefined || life === undefined) continue;
    const from = placeOf(held);
    const to = from + held.length;
    const last = spans.at(-1);
    if (
      last !== undefined &&
      last.life === life &&
      from >= last.to &&
      from - last.to <= GAP_BYTES_MAX &&
      to - last.from <= READ_BYTES_MAX
    ) {
      last.to = to;
      last.frames.push(held);
      last.places.push(from);
    } else spans.push({ life, from, to, frames: [held], places: [from] });
  }
  return spans;
}

function decode(bytes: Uint8Array, at: number, held: HeldFrame, path: string, position: number): Frame {
  try {
    const frame = decodeFrame(bytes, at, held.length);
    if (frame.groupId !== held.owner.groupId || frame.index !== held.index || frame.term !== held.term || !verifyPayload(frame))
      throw new DamagedLog(path, position, `frame ${held.index} of group ${held.owner.groupId} is not what was written`);
    return frame;
  } catch (error) {
    if (error instanceof BadFrame) throw new DamagedLog(path, position, error.what);
    throw error;
  }
}
