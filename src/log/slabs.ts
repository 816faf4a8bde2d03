import type { Frame } from "../records/frame-types.ts";
import type { BlockRef, HeldFrame } from "./model/held.ts";

/** Blocks are laid out one after the other in pieces of memory of at most this size; a larger record gets a piece of its own. */
const SLAB_BYTES_MAX = 1024 * 1024;

const SCRATCH_BYTES = 64 * 1024;

/** A piece of memory that blocks, replication, segments and tail reads share. The garbage collector frees it when nobody holds a frame of it. */
export interface Slab {
  readonly buffer: Uint8Array;
  used: number;
  /** Frames whose bytes lie here. */
  readonly held: HeldFrame[];
  /** The last block with frames here; until it is durable the memory is the only copy. */
  newest: BlockRef | undefined;
  /** Holds copies of frames that had to stay in memory. */
  copied: boolean;
}

function slabOf(buffer: Uint8Array): Slab {
  return { buffer, used: 0, held: [], newest: undefined, copied: false };
}

/** Where blocks that are not kept in memory are laid out: checkpoints and the like. */
export class Scratch {
  #open: Slab = slabOf(new Uint8Array(0));

  take(bytes: number): Slab {
    if (this.#open.buffer.length - this.#open.used < bytes) this.#open = slabOf(Buffer.allocUnsafeSlow(Math.max(SCRATCH_BYTES, bytes)));
    return this.#open;
  }
}

/**
 * The hot tail of the whole broker, counted in backing bytes: one small frame keeps its whole slab, so slabs are given back whole,
 * oldest first, and what must stay is copied out (design §4).
 */
export class Slabs {
  readonly #bytesMax: number;
  /** The open slab is never given back: of a small budget it takes a part. */
  readonly #slabBytes: number;
  /** Oldest first. */
  readonly #slabs: Slab[] = [];
  #open: Slab | undefined;
  #tryAgainAt = 0;
  #asked: Slab | undefined;
  #bytes = 0;
  #copied = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#slabBytes = Math.min(SLAB_BYTES_MAX, Math.ceil(bytesMax / 4));
  }

  /** Memory behind everything in `slabs`. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Three quarters are used: frames that wait for company in a segment piece should go now. True once per slab. */
  takeFilling(): boolean {
    if (this.#bytes * 4 <= this.#bytesMax * 3 || this.#asked === this.#open) return false;
    this.#asked = this.#open;
    return true;
  }

  /** The slab that takes the next record, with `bytes` free at `used`; the caller adds to `used`. */
  take(bytes: number): Slab {
    const open = this.#open;
    if (open !== undefined && open.buffer.length - open.used >= bytes) return open;
    this.#open = this.add(Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, bytes)));
    return this.#open;
  }

  /** Memory on its own: copies of what must stay, or blocks that recovery read. */
  add(buffer: Uint8Array): Slab {
    const slab = slabOf(buffer);
    this.#slabs.push(slab);
    this.#bytes += buffer.length;
    return slab;
  }

  /** Frames of the oldest quarter. */
  eachOld(visit: (held: HeldFrame) => void): void {
    for (const slab of this.#slabs.slice(0, Math.ceil(this.#slabs.length / 4))) for (const held of slab.held) if (!held.gone) visit(held);
  }

  /** Gives recovered frames memory of their own. Frames come newest first. */
  warm(held: readonly HeldFrame[], frames: readonly Frame[]): void {
    const slab = slabOf(Buffer.allocUnsafeSlow(held.reduce((sum, one) => sum + one.length, 0)));
    // Oldest first: what is warmed later is older than what is here.
    this.#slabs.unshift(slab);
    this.#bytes += slab.buffer.length;
    for (const [i, one] of held.entries()) {
      copyInto(slab, one, frames[i] as Frame);
      one.owner.listener?.warmed(one);
    }
  }

  /**
   * Gives memory back until the budget is kept, or nothing more may go.
   *
   * @param durableSequence frames of later blocks cannot be given back
   */
  shrink(durableSequence: number): void {
    if (this.#bytes <= this.#bytesMax || this.#bytes < this.#tryAgainAt) return;
    for (let left = this.#slabs.length; left > 0 && this.#bytes > this.#bytesMax; left -= 1) {
      const oldest = this.#slabs[0] as Slab;
      const { newest } = oldest;
      if (oldest === this.#open || (newest !== undefined && (newest.sequence === 0 || newest.sequence > durableSequence))) break;
      this.#slabs.shift();
      this.#bytes -= oldest.buffer.length;
      if (oldest.copied) this.#copied -= oldest.buffer.length;
      this.#release(oldest);
    }
    // What had to stay is not looked at again for every block.
    this.#tryAgainAt = this.#bytes > this.#bytesMax ? this.#bytes + this.#bytesMax / 8 : 0;
  }

  #release(slab: Slab): void {
    const stay: HeldFrame[] = [];
    let bytes = 0;
    for (const held of slab.held) {
      if (held.gone || held.frame === undefined) continue;
      const { listener } = held.owner;
      const stays = listener?.stays(held) ?? "no";
      // Beyond half of the budget a frame that would rather stay is read from the write-ahead log when it is wanted.
      if (stays === "must" || (stays === "rather" && this.#copied + bytes < this.#bytesMax / 2)) {
        stay.push(held);
        bytes += held.length;
      } else {
        held.frame = undefined;
        listener?.cooled(held);
      }
    }
    if (stay.length === 0) return;
    if (bytes * 2 >= slab.buffer.length) this.#keep(slab, stay);
    else this.#copy(slab, stay, bytes);
  }

  /** Most of the memory is wanted: it stays as it is. */
  #keep(slab: Slab, stay: readonly HeldFrame[]): void {
    slab.held.length = 0;
    slab.held.push(...stay);
    this.#slabs.push(slab);
    this.#bytes += slab.buffer.length;
    if (slab.copied) this.#copied += slab.buffer.length;
  }

  /** Few small frames must not keep a whole slab. */
  #copy(slab: Slab, stay: readonly HeldFrame[], bytes: number): void {
    const copies = this.add(Buffer.allocUnsafeSlow(bytes));
    copies.newest = slab.newest;
    copies.copied = true;
    this.#copied += bytes;
    for (const held of stay) if (held.frame !== undefined) copyInto(copies, held, held.frame);
  }
}

function copyInto(slab: Slab, held: HeldFrame, frame: Frame): void {
  const at = slab.used;
  slab.buffer.set(frame.bytes, at);
  slab.used += held.length;
  const bytes = slab.buffer.subarray(at, slab.used);
  held.frame = { ...frame, bytes, payload: bytes.subarray(held.length - frame.payload.length) };
  slab.held.push(held);
}
