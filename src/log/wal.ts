import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import { BlockBuilder, type FrameSource } from "./block-builder.ts";
import { issued, landed } from "./block-events.ts";
import { checkpointBlocks, sizeOf } from "./checkpoint-blocks.ts";
import { BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockFlag, padded } from "./model/block.ts";
import type { FrameOwner, HeldFrame } from "./model/held.ts";
import type { WalOp } from "./model/records.ts";
import { FILES_KEPT, type Ring, type RingNeed } from "./model/ring.ts";
import type { WalImage } from "./model/wal-image.ts";
import { Scratch, type Slabs } from "./slabs.ts";
import { SystemQueue, type SystemRecord } from "./system-records.ts";
import type { WalFiles } from "./wal-files.ts";

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
  readonly #system = new SystemQueue();
  #checkpoint: BlockBuilder[] = [];
  /** A checkpoint that somebody waits for: at the head of the next file, or once more behind what is left of the last one. */
  #wanted: "next" | "again" | undefined;
  #starting = true;
  #checkpointBytes = BLOCK_ALIGN;
  #sequence: number;
  #durable: number;
  #position: number;
  #busy = false;
  /** Something waits for a file, and nothing was written since that was found. */
  #stalled = false;
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
    this.#checkpointBytes = this.#checkpointSize();
  }

  /** Bytes of the last checkpoint: about what the next one takes. */
  get checkpointBytes(): number {
    return this.#checkpointBytes;
  }
  get durableSequence(): number {
    return this.#durable;
  }

  /** A block is on its way to disk. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Votes and their like wait for a file, and the system records that wait let none go. */
  get votesWait(): boolean {
    const first = this.#full[0] ?? this.#open;
    // What was handed over since is looked at soon.
    return this.#stalled && !this.#soon && ((!first.empty && !first.data) || this.#system.urgent);
  }
  /** System records that wait let the oldest file go, and there is room for them. */
  get releases(): boolean {
    return this.#releasePlace() !== undefined;
  }
  /** System records that were ever handed over. */
  get handedOver(): number {
    return this.#system.handedOver;
  }

  /**
   * Bytes of data frames that find room whether or not anything older is ever freed, in files that exist. Who hands over no more than
   * this keeps the way open for votes: they stand in line with the frames, so the line must always move.
   *
   * @param grown also in files that the ring grew by
   */
  roomBytes(grown: boolean): number {
    const { fileBytes } = this.#files;
    const files = this.#ring.ready - FILES_KEPT.data - (grown ? 0 : this.#ring.grown);
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
    if (current?.checkpointed !== true) this.#wanted = current === undefined ? "next" : "again";
    await this.barrier();
  }

  /**
   * The groups are there, who may let files go: what is written from now on keeps to the files it may use. Until now the little that a start has
   * to say took any.
   */
  started(): void {
    this.#starting = false;
  }

  /** Begins the next file now, so that its checkpoint is the last thing replay has to read. Resolves when durable. */
  async checkpoint(): Promise<void> {
    await this.barrier();
    // A log that is stuck may be closed many times.
    if (!this.#plenty || this.#stopped || this.#checkpoint.length > 0) return;
    this.#wanted = "next";
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
    this.#stalled = false;
    this.#issue(block).catch((error: unknown) => {
      this.fail();
      this.#events.failed(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** What to write now; undefined when there is nothing, or no room for it. */
  #next(): BlockBuilder | undefined {
    const part = this.#checkpoint.shift() ?? this.#wantedCheckpoint();
    if (part !== undefined) return part;
    const ordinary = this.#full[0] ?? (this.#open.empty ? undefined : this.#open);
    if (this.#wanted === undefined) {
      const block = (ordinary && this.#ordinary(ordinary)) ?? this.#systemBlock();
      if (block !== undefined) return block;
      // What waits for company is not waited for: all else that was handed over is durable.
      if (ordinary === undefined) this.#flushCallbacks();
      if (ordinary === undefined && this.#system.length === 0) return undefined;
    }
    // A file is free as soon as a block says so; the last 4 KiB of each file are kept for that.
    if (this.#ring.markFrees && this.#position + BLOCK_ALIGN <= this.#files.fileBytes) return new BlockBuilder(this.#scratch);
    this.#stalled = true;
    this.#events.stalled();
    return undefined;
  }

  #wantedCheckpoint(): BlockBuilder | undefined {
    if (this.#wanted === undefined) return undefined;
    const inPlace = this.#wanted === "again" && this.#position + this.#checkpointSize() <= this.#files.fileBytes;
    if (!inPlace && !this.#ring.mayBegin("freeing")) return undefined;
    this.#wanted = undefined;
    return inPlace ? this.#startCheckpoint() : this.#begin();
  }

  #ordinary(block: BlockBuilder): BlockBuilder | undefined {
    const need = this.#need(block.data ? "data" : "vote");
    const fits = this.#fits(block.bytes);
    if (fits && this.#ring.mayWrite(need)) return this.#take(block);
    return !fits && this.#ring.mayBegin(need) ? this.#begin() : undefined;
  }

  /**
   * A block of system records alone, or the first of the file for it. On files that are kept free they are written only if they let the oldest
   * file go: the last one is begun only when all that this takes fits into it. Otherwise what is said of segments would take it, file after
   * file, until nothing more can be said (ADR 0021).
   */
  #systemBlock(): BlockBuilder | undefined {
    if (this.#system.length === 0) return undefined;
    return this.#systemFor("data") ?? this.#releasing() ?? (this.#system.urgent ? this.#systemFor("vote") : undefined);
  }

  #systemFor(need: RingNeed): BlockBuilder | undefined {
    const asked = this.#need(need);
    const block = this.#ring.mayWrite(asked) ? this.#filled(need === "vote") : undefined;
    const begins = asked === "data" ? this.#plenty : this.#ring.mayBegin(asked);
    return block ?? (begins ? this.#begin() : undefined);
  }

  #releasing(): BlockBuilder | undefined {
    const place = this.#releasePlace();
    return place === "here" ? this.#filled() : place === "next file" ? this.#begin() : undefined;
  }

  /** Where the system records go that let the oldest file go; undefined when those that wait do not, or find no room. */
  #releasePlace(): "here" | "next file" | undefined {
    const oldest = this.#ring.lives[0];
    const count = oldest === undefined || oldest === this.#ring.current ? undefined : this.#system.release(oldest);
    if (count === undefined) return undefined;
    const bytes = this.#system.packed(count, this.#blockMax) + BLOCK_ALIGN;
    const { fileBytes } = this.#files;
    if (this.#position + bytes <= fileBytes) return "here";
    return this.#ring.mayBegin("freeing") && this.#checkpointSize() + bytes <= fileBytes ? "next file" : undefined;
  }

  #filled(urgent = false): BlockBuilder | undefined {
    const block = new BlockBuilder(this.#scratch);
    const added = this.#system.fill(block, (bytes) => bytes <= this.#blockMax && this.#fits(bytes), urgent);
    return added > 0 ? this.#withCallbacks(block) : undefined;
  }

  /** A file is free besides those that are kept free, and those that the ring grew by for what was inherited. A start takes any. */
  get #plenty(): boolean {
    return this.#ring.ready - (this.#starting ? 0 : this.#ring.grown) > FILES_KEPT.data;
  }

  #need(need: RingNeed): RingNeed {
    return this.#starting ? "freeing" : need;
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
    // Where room is kept for votes, they take along what costs nothing.
    const most = this.#ring.mayWrite("data") ? this.#blockMax : padded(block.bytes);
    this.#system.fill(block, (bytes) => bytes <= most && this.#fits(bytes));
    return block;
  }

  #fits(bytes: number): boolean {
    return this.#position + padded(bytes) + BLOCK_ALIGN <= this.#files.fileBytes;
  }

  /** Begins the next file with a checkpoint of everything issued so far. @returns its first block */
  #begin(): BlockBuilder {
    this.#ring.begin(this.#sequence + 1);
    this.#position = 0;
    this.#events.lifeBegan();
    return this.#startCheckpoint();
  }

  /** Bytes of the blocks that a checkpoint takes now. */
  #checkpointSize(): number {
    return sizeOf(checkpointBlocks(this.#image, this.#scratch, this.#blockMax));
  }

  /** Nothing else comes between the blocks of a checkpoint. @returns the first */
  #startCheckpoint(): BlockBuilder {
    const blocks = checkpointBlocks(this.#image, this.#scratch, this.#blockMax);
    const bytes = sizeOf(blocks);
    invariant(
      bytes + BLOCK_ALIGN <= this.#files.fileBytes,
      () => `a checkpoint of ${bytes} bytes does not fit a file of ${this.#files.fileBytes}`,
    );
    this.#checkpointBytes = bytes;
    this.#checkpoint = blocks.slice(1);
    return blocks[0] as BlockBuilder;
  }

  /** Writes one block and says so to everyone who waits for it. */
  async #issue(block: BlockBuilder): Promise<void> {
    const life = this.#ring.current;
    invariant(life !== undefined, "a block is written into a file");
    this.#sequence += 1;
    const { ref } = block;
    const { sequence } = Object.assign(ref, { sequence: this.#sequence, position: this.#position, life });
    for (const event of block.events) issued(event, this.#image, life);
    if ((block.flags & BlockFlag.checkpointLast) !== 0) life.checkpointed = true;
    const lowMark = this.#ring.lowMark();
    const chunks = block.finish(this.#incarnation, lowMark);
    this.#position += padded(block.bytes);
    await this.#files.get(life.file).write(ref.position, chunks);

    if (this.#failed) return;
    const waitedMs = block.data ? this.#clock.monotonic() - block.since : undefined;
    this.#durable = sequence;
    this.#ring.durable(lowMark);
    for (const event of block.events) landed(event, ref);
    this.#busy = false;
    // The next block first: the disk works while the callbacks run.
    this.#pump();
    for (const callback of block.callbacks) callback();
    this.#events.blockDurable(waitedMs);
    if (!this.#busy) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
