import { invariant } from "../../base/invariant.ts";

/**
 * One use of a ring file: from the checkpoint at its head to the block after which the next file began. A file lives many lives.
 */
export class Life {
  /** Number of the ring file. */
  readonly file: number;
  /** Sequence of the block at the head. */
  readonly head: number;
  /** Groups with frames here that are in no synced segment: replay needs them. */
  pins = 0;
  /** Reads of this file under way: it may not be overwritten under them, but replay does not need it. */
  reads = 0;
  /** Its checkpoint is complete in the blocks issued so far. */
  checkpointed = false;

  constructor(file: number, head: number) {
    this.file = file;
    this.head = head;
  }
}

/** What a block is for: records; what elections and the log itself need (votes, terms, no-ops, truncations, trims, facts); what frees files. */
export type RingNeed = "data" | "vote" | "freeing";

/**
 * Files that stay free when a block is written, by what it is for (design §4). Frames that cannot be committed keep their files for as
 * long as they like: they never get the last two. The next to last is for what ends such a state (a vote, the no-op of a new leader, a
 * truncation), the last for what says that an older file is not needed any more. All of them exist: a full disk takes none away.
 */
export const FILES_KEPT: Readonly<Record<RingNeed, number>> = { data: 2, vote: 1, freeing: 0 };

/**
 * Which ring file may be written next (design §4). Pure.
 *
 * A file is free again only when a *durable* block says so: its low mark is above the file's life. The low mark of a block is the
 * head of the oldest life that replay needs if that block is the last one: the oldest with a pin, but never above the newest life
 * whose checkpoint is complete. So if the first block of a new life is torn, the last valid block still names a life that is whole.
 */
export class Ring {
  readonly #asked: number;
  #filesMax: number;
  /** Oldest first; the last one is being written. */
  readonly #lives: Life[] = [];
  readonly #ready: number[] = [];
  #made: number;
  #making = false;
  /** The last file that was asked for could not be made. */
  #unmakeable = false;
  /** Records found no room in the files there are, also where one of them is ahead of what is kept free. */
  #short = false;
  #durableLowMark = 0;

  /** @param made files that exist, 0…made−1, `ready` those of them that hold nothing needed */
  constructor(filesMax: number, made: number, ready: readonly number[], lives: readonly Life[]) {
    this.#asked = filesMax;
    this.#filesMax = Math.max(filesMax, made);
    this.#made = made;
    this.#ready.push(...ready);
    this.#lives.push(...lives);
  }

  get lives(): readonly Life[] {
    return this.#lives;
  }
  get current(): Life | undefined {
    return this.#lives.at(-1);
  }
  /** Files that exist and may be written. */
  get ready(): number {
    return this.#ready.length;
  }
  /** Files that may be written, now or once they are made. */
  get spare(): number {
    return this.#ready.length + (this.#unmakeable ? 0 : this.#filesMax - this.#made);
  }

  /** Files there are, or will be as far as there is room for them. */
  get files(): number {
    return this.#unmakeable ? this.#made : this.#filesMax;
  }

  /** The same without those that it grew by: what records have in common. */
  get common(): number {
    return Math.min(this.files, this.#asked);
  }

  /** Files beyond those it was to have that exist. */
  get grown(): number {
    return Math.max(0, this.#made - this.#asked);
  }

  /** Whether the file that is being written may take a block for this. */
  mayWrite(need: RingNeed): boolean {
    // A ring of one file that could not grow has none to keep: what is no record goes on in the one it has, until another can be made.
    return this.spare >= FILES_KEPT[need] || (need !== "data" && this.#made === 1);
  }

  /** Whether the next file may be begun for this. */
  mayBegin(need: RingNeed): boolean {
    return this.#ready.length > FILES_KEPT[need];
  }
  /** Files between the oldest needed block and the newest. */
  get dirty(): number {
    return this.#lives.length;
  }

  /**
   * Records found no room. With files that are small beside a block that can be so although one is free for them: at the end of each a block is
   * left unused, and half a file is kept for frames that are appended again.
   */
  short(): void {
    this.#short = true;
  }

  /** Number of the file to make now: one is made ahead of what is kept free, one more when records found no room, one at a time. */
  toMake(): number | undefined {
    if (this.#making || (this.mayBegin("data") && !this.#short) || this.#made === this.#filesMax) return undefined;
    this.#making = true;
    return this.#made;
  }

  /** The file that `toMake` named exists, zeroed and durable. */
  makeDone(): void {
    invariant(this.#making, "a file is made after it was asked for");
    this.#making = false;
    this.#unmakeable = false;
    this.#short = false;
    this.#ready.push(this.#made);
    this.#made += 1;
  }

  /** There was no room for the file that `toMake` named; it may be asked for again. */
  makeFailed(): void {
    invariant(this.#making, "a file is made after it was asked for");
    this.#making = false;
    this.#unmakeable = true;
  }

  /**
   * One more file than was asked for, when votes may begin none, or records found no room: what an earlier process was about to write, so that a
   * file goes, nobody knows any more, and what keeps a file may need votes to end, or what a leader has and this log has not.
   *
   * @returns whether there will be one
   */
  grow(need: Exclude<RingNeed, "freeing"> = "vote"): boolean {
    if (this.#making || this.#made < this.#filesMax || this.#made === 0) return false;
    if (need === "data") this.short();
    else if (this.mayBegin(need)) return false;
    this.#filesMax = this.#made + 1;
    this.#unmakeable = false;
    return true;
  }

  /** Begins the life of the next free file; `head` is the sequence of its first block. */
  begin(head: number): Life {
    const file = this.#ready.shift();
    invariant(file !== undefined, "a ring file is written only when it is free");
    invariant(!this.#lives.some((life) => life.file === file), () => `ring file ${file} is free and in use`);
    const life = new Life(file, head);
    this.#lives.push(life);
    return life;
  }

  /** What the block that is issued now may call the oldest needed one. */
  lowMark(): number {
    let lowest = this.#lives.findLast((life) => life.checkpointed)?.head ?? this.#lives[0]?.head ?? 0;
    for (const life of this.#lives) {
      if (life.pins > 0 && life.head < lowest) lowest = life.head;
    }
    return lowest;
  }

  /** A block that says nothing but its low mark would end the oldest life. */
  get markFrees(): boolean {
    const lowMark = this.lowMark();
    return this.#lives.length > 1 && lowMark > this.#durableLowMark && (this.#lives[0] as Life).head < lowMark;
  }

  /** A block with this low mark is durable: older lives end, their files may be written again. */
  durable(lowMark: number): void {
    invariant(lowMark >= this.#durableLowMark, () => `the low mark fell from ${this.#durableLowMark} to ${lowMark}`);
    this.#durableLowMark = lowMark;
    this.settle();
  }

  /** Ends the lives that nobody needs: after a block, and after a read. */
  settle(): void {
    while (this.#lives.length > 1) {
      const oldest = this.#lives[0] as Life;
      if (oldest.head >= this.#durableLowMark || oldest.pins + oldest.reads > 0) return;
      this.#lives.shift();
      this.#ready.push(oldest.file);
    }
  }
}

/**
 * Which lives one group keeps from ending: those with frames above its synced index. Kept per life and not per frame, so its size
 * is that of the ring.
 */
export class Pins {
  readonly #ranges: { readonly life: Life; first: number; last: number }[] = [];
  #synced = 0;

  /** Highest index that is in a synced segment, as far as records were issued that say so. */
  get syncedIndex(): number {
    return this.#synced;
  }

  /** A frame was put into a block of `life`. */
  add(life: Life, index: number): void {
    const newest = this.#ranges.at(-1);
    if (newest?.life === life) {
      newest.first = Math.min(newest.first, index);
      newest.last = Math.max(newest.last, index);
      return;
    }
    life.pins += 1;
    this.#ranges.push({ life, first: index, last: index });
  }

  /** Frames up to here are in a synced segment. */
  synced(index: number): void {
    this.#synced = index;
    this.#keep((range) => range.last > index);
  }

  truncate(from: number): void {
    for (const range of this.#ranges) range.last = Math.min(range.last, from - 1);
    this.#keep((range) => range.first < from && range.last > this.#synced);
  }

  /** Everything above `above` in this life was appended again elsewhere; what is left of it a mark lets go. */
  moved(life: Life, above: number): void {
    for (const range of this.#ranges) if (range.life === life) range.last = Math.min(range.last, above);
    this.#keep((range) => range.last > this.#synced);
  }

  drop(): void {
    this.#keep(() => false);
  }

  /** The log begins anew after `index`: nothing it held is needed. */
  begin(index: number): void {
    this.#synced = index;
    this.#keep(() => false);
  }

  /** Frames of this group that keep `life`, or undefined. */
  range(life: Life): { readonly first: number; readonly last: number } | undefined {
    return this.#ranges.find((range) => range.life === life);
  }

  #keep(keep: (range: { life: Life; first: number; last: number }) => boolean): void {
    let kept = 0;
    for (const range of this.#ranges) {
      if (keep(range)) {
        this.#ranges[kept] = range;
        kept += 1;
      } else range.life.pins -= 1;
    }
    this.#ranges.length = kept;
  }
}
