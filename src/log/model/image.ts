import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../../base/ids.ts";
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts";
import { Configs } from "./configs.ts";
import { type LogStart, readStart, readSynced, type SyncedMark, type WalOp, writeStart, writeSynced } from "./records.ts";
import { readTerms, TermTable, writeTerms } from "./terms.ts";

/** What the image needs to know of a frame. */
export interface FrameFacts {
  readonly index: LogIndex;
  readonly term: Term;
  readonly baseOffset: Offset;
  readonly recordCount: number;
  readonly appendTime: number;
  /** Set for a configuration frame: its payload, in memory of its own. */
  readonly config?: Uint8Array | undefined;
}

/** Fields of a checkpoint record that not every group has. Numbers are for ever. */
const ImageTag = { startOffset: 1, configs: 2, doubted: 3 } as const;

/**
 * What the write-ahead log says of one group, up to some block: enough to vote, and to write a checkpoint. The same class follows
 * the blocks as they are written and as they are replayed, so both cannot differ.
 */
export class GroupImage {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  /** Moves when segments below the log start offset go. */
  start: LogStart;
  /** Log start offset: what lies below is not readable. At least `start.offset`. */
  startOffset: Offset;
  /** Opaque bytes given when the group was made, or in configuration frames since. */
  readonly configs: Configs;
  readonly terms: TermTable;
  term: Term = 0 as Term;
  votedFor: ReplicaId | undefined;
  synced: SyncedMark | undefined;
  lastIndex: LogIndex;
  /** Offset the next record gets. */
  endOffset: Offset;
  lastAppendTime = 0;
  /** It may have forgotten what it promised: quarantined until the cluster vouches for it (design §4). */
  doubted = false;

  constructor(groupId: GroupId, replicaId: ReplicaId, start: LogStart, config: Uint8Array, terms: TermTable = new TermTable()) {
    this.groupId = groupId;
    this.replicaId = replicaId;
    this.start = start;
    this.startOffset = start.offset;
    this.configs = new Configs(config);
    this.terms = terms;
    this.lastIndex = start.index;
    this.endOffset = start.offset;
  }

  get syncedIndex(): LogIndex {
    return this.synced?.index ?? this.start.index;
  }

  termAt(index: LogIndex): Term | undefined {
    return index === this.start.index ? this.start.term : this.terms.termAt(index);
  }

  /**
   * @returns false when the frame is held already (it was appended again to free a file): nothing changed
   * @throws {Malformed} a gap, a term that fell, or another frame under an index that was not truncated before
   */
  frame(frame: FrameFacts): boolean {
    const { index, term } = frame;
    // Trimmed away meanwhile: nothing is known of it any more.
    if (index <= this.start.index) return false;
    if (index <= this.lastIndex) {
      const held = this.terms.termAt(index);
      if (held !== term) throw new Malformed(`group ${this.groupId} holds ${index} with term ${held}, and here with ${term}`);
      return false;
    }
    if (index !== this.lastIndex + 1) throw new Malformed(`group ${this.groupId} ends at ${this.lastIndex}, and here comes ${index}`);
    const lastTerm = this.termAt(this.lastIndex) ?? 0;
    if (term < lastTerm) throw new Malformed(`group ${this.groupId} has term ${lastTerm} at ${this.lastIndex}, then ${term}`);
    if (frame.baseOffset !== this.endOffset)
      throw new Malformed(`group ${this.groupId} ends at offset ${this.endOffset}, and ${index} has ${frame.baseOffset}`);
    this.terms.append(index, term);
    this.lastIndex = index;
    this.endOffset = (frame.baseOffset + frame.recordCount) as Offset;
    this.lastAppendTime = frame.appendTime;
    if (frame.config !== undefined) this.configs.append(index, frame.config);
    return true;
  }

  /** The same replica with a log that begins elsewhere. @throws {Malformed} the new beginning is behind what is committed here */
  installed(op: Extract<WalOp, { kind: "install" }>): GroupImage {
    const { start, mark } = op;
    if (start.index <= this.syncedIndex)
      throw new Malformed(`group ${this.groupId} is synced to ${this.syncedIndex}, and here begins anew at ${start.index}`);
    if (mark.index !== start.index || mark.baseIndex !== start.index + 1 || mark.offset !== start.offset)
      throw new Malformed(`group ${this.groupId} begins at ${start.index}, and its first segment after ${mark.index}`);
    const image = new GroupImage(this.groupId, this.replicaId, start, op.config);
    image.term = this.term;
    image.votedFor = this.votedFor;
    image.synced = mark;
    image.lastAppendTime = mark.appendTime;
    image.doubted = this.doubted;
    return image;
  }

  /** @throws {Malformed} when the record contradicts what is known */
  apply(op: Extract<WalOp, { kind: "state" | "truncate" | "synced" | "trim" | "doubt" }>): void {
    switch (op.kind) {
      case "state":
        if (op.term < this.term) throw new Malformed(`group ${this.groupId} is at term ${this.term}, and here at ${op.term}`);
        if (op.term === this.term && this.votedFor !== undefined && op.votedFor !== this.votedFor)
          throw new Malformed(`group ${this.groupId} voted twice in term ${op.term}`);
        this.term = op.term;
        this.votedFor = op.votedFor;
        break;
      case "truncate":
        if (op.from <= this.syncedIndex) throw new Malformed(`group ${this.groupId} truncates committed ${op.from}`);
        if (op.from > this.lastIndex) throw new Malformed(`group ${this.groupId} ends at ${this.lastIndex}, truncates ${op.from}`);
        this.terms.truncate(op.from);
        this.configs.truncate(op.from);
        this.lastIndex = (op.from - 1) as LogIndex;
        this.endOffset = op.offset;
        this.lastAppendTime = op.appendTime;
        break;
      case "synced":
        this.#synced(op);
        break;
      case "trim":
        this.#trim(op);
        break;
      case "doubt":
        this.doubted = op.doubted;
        break;
    }
  }

  #trim({ startOffset, start }: Extract<WalOp, { kind: "trim" }>): void {
    if (startOffset < this.startOffset || startOffset < start.offset)
      throw new Malformed(`group ${this.groupId} starts at offset ${this.startOffset}, is trimmed to ${startOffset}`);
    this.startOffset = startOffset;
    if (start.index === this.start.index) return;
    // The newest segment stays: what stands at its head is needed at every start.
    if (start.index < this.start.index || start.index >= (this.synced?.baseIndex ?? 0))
      throw new Malformed(`group ${this.groupId} starts after ${this.start.index}, and here after ${start.index}`);
    this.start = start;
    this.terms.trim(start.index);
  }

  #synced(op: Extract<WalOp, { kind: "synced" }>): void {
    const { mark } = op;
    if (mark.index < this.syncedIndex)
      throw new Malformed(`group ${this.groupId} is synced to ${this.syncedIndex}, and here to ${mark.index}`);
    this.synced = mark;
    this.configs.synced(mark.index, op.config);
    if (mark.index <= this.lastIndex) return;
    // The frames came past the log (`extend`).
    for (const { firstIndex, term } of op.terms) if (firstIndex > this.lastIndex) this.terms.append(firstIndex, term);
    this.lastIndex = mark.index;
    this.endOffset = mark.offset;
    this.lastAppendTime = mark.appendTime;
  }

  encode(): Uint8Array {
    const out = new ByteWriter(192 + this.configs.base.length);
    out.i53(this.groupId).i53(this.replicaId).i53(this.term);
    out.i53(this.votedFor ?? 0);
    writeStart(out, this.start);
    out.i53(this.lastIndex).i53(this.endOffset).i53(this.lastAppendTime);
    out.u8(this.synced === undefined ? 0 : 1);
    if (this.synced !== undefined) writeSynced(out, this.synced);
    writeTerms(out, this.terms.starts);
    out.bytes(this.configs.base);
    // What came later stands behind, each with its tag, and only where it says something.
    if (this.startOffset !== this.start.offset) out.u8(ImageTag.startOffset).i53(this.startOffset);
    if (this.configs.later.length > 0) this.configs.write(out.u8(ImageTag.configs));
    if (this.doubted) out.u8(ImageTag.doubted);
    return out.done();
  }

  /** @throws {Malformed} */
  static decode(bytes: Uint8Array): GroupImage {
    const from = new ByteReader(bytes);
    const groupId = from.i53() as GroupId;
    const replicaId = from.i53() as ReplicaId;
    const term = from.i53() as Term;
    const voted = from.i53();
    const start = readStart(from);
    const lastIndex = from.i53() as LogIndex;
    const endOffset = from.i53() as Offset;
    const lastAppendTime = from.i53();
    const synced = from.u8() === 1 ? readSynced(from) : undefined;
    const terms = new TermTable(readTerms(from));
    const image = new GroupImage(groupId, replicaId, start, from.bytes(), terms);
    while (from.left > 0) {
      const tag = from.u8();
      if (tag === ImageTag.startOffset) image.startOffset = from.i53() as Offset;
      else if (tag === ImageTag.configs) image.configs.read(from);
      else if (tag === ImageTag.doubted) image.doubted = true;
      else throw new Malformed(`field ${tag} of a group is not known to this version`);
    }
    image.term = term;
    image.votedFor = voted === 0 ? undefined : (voted as ReplicaId);
    image.synced = synced;
    image.lastIndex = lastIndex;
    image.endOffset = endOffset;
    image.lastAppendTime = lastAppendTime;
    return image;
  }
}
