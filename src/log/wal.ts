import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Frame } from "../records/frame-types.ts";
import { BlockBuilder, type BlockEvent, type FrameSource } from "./block-builder.ts";
import { BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockFlag, padded } from "./model/block.ts";
import { type FrameOwner, HeldFrame } from "./model/held.ts";
import type { WalOp } from "./model/records.ts";
import { FILES_KEPT, type Life, type Ring, type RingNeed } from "./model/ring.ts";
import type { WalImage } from "./model/wal-image.ts";
import { Scratch, type Slabs } from "./slabs.ts";
import type { WalFiles } from "./wal-files.ts";

/** Records that may overtake: they say what is durable already, and free files when nothing else can be written. */
export type SystemRecord =
  | {
      readonly kind: "op";
      readonly op: Extract<WalOp, { kind: "synced" | "drop" | "install" | "trim" }>;
      readonly owner: FrameOwner;
      readonly durable: () => void;
    }
  | { readonly kind: "again"; readonly held: HeldFrame; readonly frame: Frame; readonly durable: () => void }
  /** Nothing: a block that carries the low mark, because files became free and no other block would say so. */
  | { readonly kind: "mark"; readonly durable: () => void };

export interface WalEvents {
  /** A write failed: nothing is durable from here on. */
  failed(error: Error): void;
  /** A block is on disk, and its callbacks were called. @param waitedMs since the first record of a client in it; undefined without any */
  blockDurable(waitedMs: number | undefined): void;
  /** The next ring file was begun: time to look for the one after it. */
  lifeBegan(): void;
  /** Something waits and no file is free. */
  stalled(): void;
}

export interface WalStart {
  readonly incarnation: Uint8Array;
  readonly files: WalFiles;
  readonly ring: Ring;
  readonly image: WalImage;
  /** Sequence of the last block on disk, 0 for none, and where the next one goes in the current file. */
  readonly sequence: number;
  readonly position: number;
}

/** Largest block in files of this size: four fit, so that a checkpoint and what must go on in a full ring find room. */
export function blockBytesMax(fileBytes: number): number {
  return Math.min(BLOCK_BYTES_MAX, padded(Math.floor(fileBytes / 4) - 4095));
}

/**
 * The write-ahead log loop (design §4): one block in flight, whatever arrived meanwhile is the next one. That is the group commit,
 * and no timer is needed for it. Block n+1 is written only after n returned, which is what lets recovery tell a torn tail from damage.
 */
export class Wal {
  readonly #clock: Clock;
  readonly #events: WalEvents;
  readonly #incarnation: Uint8Array;
  readonly #files: WalFiles;
  readonly #ring: Ring;
  readonly #image: WalImage;
  readonly #slabs: Slabs;
  readonly #scratch = new Scratch();
  readonly #blockMax: number;
  /** Full blocks, oldest first, then the one being filled. */
  readonly #full: BlockBuilder[] = [];
  #open: BlockBuilder;
  readonly #system: SystemRecord[] = [];
  #checkpoint: BlockBuilder[] = [];
  /** Bytes of the last checkpoint: about what the next one takes. */
  #checkpointBytes = BLOCK_ALIGN;
  #sequence: number;
  #durable: number;
  #position: number;
  #busy = false;
  #soon = false;
  #stopped = false;
  #failed = false;
  #idle: (() => void)[] = [];

  constructor(clock: Clock, slabs: Slabs, start: WalStart, events: WalEvents) {
    this.#clock = clock;
    this.#slabs = slabs;
    this.#events = events;
    this.#incarnation = start.incarnation;
    this.#files = start.files;
    this.#ring = start.ring;
    this.#image = start.image;
    this.#sequence = start.sequence;
    this.#durable = start.sequence;
    this.#position = start.position;
    this.#blockMax = blockBytesMax(start.files.fileBytes);
    this.#open = new BlockBuilder(slabs);
  }

  get durableSequence(): number {
    return this.#durable;
  }

  /** A block is on its way to disk. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Bytes of data frames that find room whether or not anything older is ever freed, in files that exist. Who hands over no more than
   * this keeps the way open for votes: they stand in line with the frames, so the line must always move.
   */
  get roomBytes(): number {
    const { fileBytes } = this.#files;
    const files = this.#ring.ready - FILES_KEPT.data;
    if (files < 0) return 0;
    // At the end of each file up to a block is left unused, because blocks do not cross files.
    const rest = Math.max(0, fileBytes - this.#position - BLOCK_ALIGN - this.#blockMax);
    const each = Math.max(0, fileBytes - this.#checkpointBytes - this.#blockMax);
    const queued = this.#full.reduce((sum, block) => sum + padded(block.bytes), this.#open.empty ? 0 : padded(this.#open.bytes));
    // Frames that are appended again, to free the file they lie in, overtake what stands in line: half a file at most until it is free.
    return Math.max(0, rest + files * each - queued - fileBytes / 2);
  }

  /** Copies a frame into the open block. */
  frame(owner: FrameOwner, source: FrameSource): HeldFrame {
    this.#room(BlockBuilder.recordBytes(source));
    const open = this.#open;
    const fresh = !open.data;
    const held = open.frame(owner, source);
    if (fresh && open.data) open.since = this.#clock.monotonic();
    return held;
  }

  op(op: WalOp, owner: FrameOwner | undefined): void {
    this.#room(128 + ("config" in op ? (op.config?.length ?? 0) : 0));
    this.#open.op(op, owner);
  }

  /** Calls `durable` when everything handed over so far is on disk. */
  whenDurable(durable: () => void): void {
    this.#open.callbacks.push(durable);
    this.kick();
  }

  /** Resolves when everything handed over so far is on disk; never, after a failure. */
  barrier(): Promise<void> {
    return new Promise((resolve) => this.whenDurable(resolve));
  }

  system(record: SystemRecord): void {
    this.#system.push(record);
    this.kick();
  }

  /** Writes as soon as this turn is over, so that everything of one turn goes into one block. */
  kick(): void {
    if (this.#busy || this.#soon || this.#stopped) return;
    this.#soon = true;
    this.#clock.soon(() => {
      this.#soon = false;
      this.#pump();
    });
  }

  /** After recovery: writes a checkpoint where the last one was not finished, or where there is none yet. */
  async firstCheckpoint(): Promise<void> {
    const current = this.#ring.current;
    if (current === undefined) this.#checkpoint = [this.#begin(), ...this.#checkpoint];
    else if (!current.checkpointed) this.#checkpoint = [this.#again(), ...this.#checkpoint];
    await this.barrier();
  }

  /** Begins the next file now, so that its checkpoint is the last thing replay has to read. Resolves when durable. */
  async checkpoint(): Promise<void> {
    await this.barrier();
    // Not into a file that is kept free: a log that is stuck may be closed many times.
    if (!this.#ring.mayBegin("data") || this.#stopped || this.#checkpoint.length > 0) return;
    this.#checkpoint = [this.#begin(), ...this.#checkpoint];
    await this.barrier();
  }

  /** Nothing is durable from here on, and nobody is called back. */
  fail(): void {
    this.#failed = true;
    this.#stopped = true;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Stops writing; resolves when no write is under way. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#busy && !this.#failed ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  #room(bytes: number): void {
    invariant(BLOCK_HEADER_BYTES + bytes <= this.#blockMax, () => `a record of ${bytes} bytes does not fit a block of ${this.#blockMax}`);
    if (this.#open.bytes + bytes <= this.#blockMax) return;
    this.#open.seal();
    this.#full.push(this.#open);
    this.#open = new BlockBuilder(this.#slabs);
  }

  #pump(): void {
    if (this.#busy || this.#stopped) return;
    const block = this.#next();
    if (block === undefined) return;
    this.#busy = true;
    this.#issue(block).catch((error: unknown) => {
      this.fail();
      this.#events.failed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** What to write now; undefined when there is nothing, or no room for it. */
  #next(): BlockBuilder | undefined {
    const part = this.#checkpoint.shift();
    if (part !== undefined) return part;
    if (this.#full.length === 0 && this.#open.empty && this.#system.length === 0) {
      // Callbacks wait for nothing but what is durable already.
      this.#flushCallbacks();
      return undefined;
    }
    const ordinary = this.#full[0] ?? (this.#open.empty ? undefined : this.#open);
    if (ordinary !== undefined) {
      const need: RingNeed = ordinary.data ? "data" : "vote";
      const fits = this.#fits(ordinary.bytes);
      if (fits && this.#ring.mayWrite(need)) return this.#take(ordinary);
      if (!fits && this.#ring.mayBegin(need)) return this.#begin();
    }
    if (this.#system.length > 0) {
      const block = this.#fillSystem(new BlockBuilder(this.#scratch));
      if (block !== undefined) return this.#withCallbacks(block);
      if (this.#ring.mayBegin("freeing")) return this.#begin();
    }
    // A file is free as soon as a block says so; the last 4 KiB of each file are kept for that.
    if (this.#ring.markFrees && this.#position + BLOCK_ALIGN <= this.#files.fileBytes) return new BlockBuilder(this.#scratch);
    this.#events.stalled();
    return undefined;
  }

  /** Who waits for all that was handed over waits for this block, if it is the last of it: more of its kind may come after it without end. */
  #withCallbacks(block: BlockBuilder): BlockBuilder {
    const last = this.#full.length === 0 && this.#open.empty && this.#system.length === 0;
    if (last) block.callbacks.push(...this.#open.callbacks.splice(0));
    return block;
  }

  #flushCallbacks(): void {
    const callbacks = this.#open.callbacks.splice(0);
    for (const callback of callbacks) callback();
  }

  #take(block: BlockBuilder): BlockBuilder {
    if (block === this.#open) {
      block.seal();
      this.#open = new BlockBuilder(this.#slabs);
    } else {
      this.#full.shift();
      this.#open.seal();
    }
    return this.#fillSystem(block) ?? block;
  }

  /** Adds system records as far as they fit. @returns undefined when none did */
  #fillSystem(block: BlockBuilder): BlockBuilder | undefined {
    let added = 0;
    const first = block.empty;
    for (const record of this.#system) {
      // The truncation that cuts it may be in this very block, and would come before it.
      if (!first && record.kind === "again" && record.held.gone) break;
      const bytes = systemBytes(record);
      if (block.bytes + bytes > this.#blockMax || !this.#fits(block.bytes + bytes)) break;
      added += 1;
      block.callbacks.push(record.durable);
      // Of a group that was dropped nothing is said any more.
      if (record.kind === "op" && !record.owner.dropped) {
        block.op(record.op, record.owner);
        if (record.op.kind === "drop") record.owner.dropped = true;
      } else if (record.kind === "again" && isNeeded(record.held)) block.again(record.held, record.frame);
    }
    this.#system.splice(0, added);
    return added > 0 ? block : undefined;
  }

  #fits(bytes: number): boolean {
    return this.#position + padded(bytes) + BLOCK_ALIGN <= this.#files.fileBytes;
  }

  /** The checkpoint at the head of the current file, once more: in it when it fits, else in the next file. */
  #again(): BlockBuilder {
    const first = this.#startCheckpoint();
    const bytes = [first, ...this.#checkpoint].reduce((sum, part) => sum + padded(part.bytes), 0);
    return this.#position + bytes <= this.#files.fileBytes ? first : this.#begin();
  }

  /** Begins the next file with a checkpoint of everything issued so far. @returns its first block */
  #begin(): BlockBuilder {
    this.#ring.begin(this.#sequence + 1);
    this.#position = 0;
    this.#events.lifeBegan();
    return this.#startCheckpoint();
  }

  /** Lays out a checkpoint in as many blocks as it needs; nothing else comes between them. @returns the first */
  #startCheckpoint(): BlockBuilder {
    const parts: BlockBuilder[] = [];
    let part = new BlockBuilder(this.#scratch, BlockFlag.checkpoint);
    for (const record of this.#image.checkpoint()) {
      if (part.bytes + record.length > this.#blockMax) {
        part.seal();
        parts.push(part);
        part = new BlockBuilder(this.#scratch, BlockFlag.checkpoint);
      }
      part.encoded(record);
    }
    part.seal();
    parts.push(part);
    const bytes = parts.reduce((sum, one) => sum + padded(one.bytes), 0);
    invariant(
      bytes + BLOCK_ALIGN <= this.#files.fileBytes,
      () => `a checkpoint of ${bytes} bytes does not fit a file of ${this.#files.fileBytes}`,
    );
    this.#checkpointBytes = bytes;
    const first = parts[0] as BlockBuilder;
    first.flags |= BlockFlag.checkpointFirst;
    part.flags |= BlockFlag.checkpointLast;
    this.#checkpoint = parts.slice(1);
    return first;
  }

  /** Writes one block and says so to everyone who waits for it. */
  async #issue(block: BlockBuilder): Promise<void> {
    const life = this.#ring.current;
    invariant(life !== undefined, "a block is written into a file");
    this.#sequence += 1;
    const { ref } = block;
    const { sequence } = Object.assign(ref, { sequence: this.#sequence, position: this.#position, life });
    for (const event of block.events) this.#apply(event, life);
    if ((block.flags & BlockFlag.checkpointLast) !== 0) life.checkpointed = true;
    const lowMark = this.#ring.lowMark();
    const chunks = block.finish(this.#incarnation, lowMark);
    this.#position += padded(block.bytes);
    await this.#files.get(life.file).write(ref.position, chunks);

    if (this.#failed) return;
    const waitedMs = block.data ? this.#clock.monotonic() - block.since : undefined;
    this.#durable = sequence;
    this.#ring.durable(lowMark);
    for (const event of block.events) {
      if (event instanceof HeldFrame) {
        event.durable = true;
        if (!event.gone) event.owner.listener?.durable(event);
      } else if (event.kind === "moved" && isNeeded(event.held)) {
        // Only now: until it lies here, whoever reads it finds it where it lay.
        event.held.block = ref;
        event.held.at = event.at;
      }
    }
    this.#busy = false;
    // The next block first: the disk works while the callbacks run.
    this.#pump();
    for (const callback of block.callbacks) callback();
    this.#events.blockDurable(waitedMs);
    if (!this.#busy) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The image follows the blocks in the order they are issued, so a checkpoint says what the blocks before it say. */
  #apply(event: BlockEvent, life: Life): void {
    if (event instanceof HeldFrame) {
      this.#image.frame(event.owner.groupId, event);
      event.owner.pins.add(life, event.index);
      return;
    }
    if (event.kind === "moved") {
      if (isNeeded(event.held)) event.held.owner.pins.add(life, event.held.index);
      return;
    }
    const { op, owner } = event;
    this.#image.apply(op);
    if (owner === undefined) return;
    if (op.kind === "synced") owner.pins.synced(op.mark.index);
    else if (op.kind === "truncate") {
      owner.pins.truncate(op.from);
      owner.cuts.shift();
    } else if (op.kind === "install") owner.pins.begin(op.start.index);
    else if (op.kind === "drop") owner.pins.drop();
  }
}

/** A start needs it in some block. */
function isNeeded(held: HeldFrame): boolean {
  return !held.owner.dropped && (!held.gone || held.owner.isCut(held));
}

/** At most so many bytes of a block. */
function systemBytes(record: SystemRecord): number {
  if (record.kind === "op")
    return 256 + ("terms" in record.op ? 16 * record.op.terms.length : 0) + ("config" in record.op ? (record.op.config?.length ?? 0) : 0);
  return record.kind === "again" ? BlockBuilder.recordBytes(record.frame) : 0;
}
