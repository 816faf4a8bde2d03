import type { GroupId, LogIndex, Term } from "../../base/ids.ts";
import { BlockFlag, type BlockHeader } from "./block.ts";
import type { BlockRecord } from "./block-reader.ts";
import { Malformed } from "./bytes.ts";
import { type BlockRef, FrameOwner, FrameQueue, HeldFrame } from "./held.ts";
import type { GroupImage } from "./image.ts";
import type { WalOp } from "./records.ts";
import type { ReplayedGroup } from "./replay.ts";
import type { Life } from "./ring.ts";
import { WalImage } from "./wal-image.ts";

interface SalvagedBlock {
  readonly sequence: number;
  readonly flags: number;
  readonly life: Life;
  readonly events: readonly (HeldFrame | WalOp)[];
}

export interface Salvaged {
  readonly image: WalImage;
  readonly groups: ReadonlyMap<GroupId, ReplayedGroup>;
  /** Groups that may have been opened here are not known any more. */
  readonly forgot: boolean;
}

/**
 * What a damaged write-ahead log still proves (design §4, *amnesia*). Pure. It starts from the newest complete checkpoint. When every
 * block behind it is there, a group is proved by it: its term and vote stand there, and its frames are all found. Every other group is
 * quarantined with what is left of its log: a prefix of entries that were really appended, which is all that Raft's log matching needs.
 */
export class Salvage {
  readonly #blocks: SalvagedBlock[] = [];
  readonly #owners = new Map<GroupId, FrameOwner>();
  #image = new WalImage();
  /** Frames above the synced index, by group, dense. */
  readonly #frames = new Map<GroupId, HeldFrame[]>();
  readonly #doubted = new Set<GroupId>();

  /** Whole blocks, by ascending sequence; some are missing. */
  add(header: BlockHeader, ref: BlockRef, records: readonly BlockRecord[], life: Life): void {
    if (header.sequence <= (this.#blocks.at(-1)?.sequence ?? 0)) return;
    const events = records.map((record) => {
      if (record.kind === "op") return record.op;
      const held = new HeldFrame(this.#ownerOf(record.frame.groupId), record.frame, ref, record.at);
      // The memory belongs to whoever reads the files.
      held.frame = undefined;
      held.durable = true;
      return held;
    });
    this.#blocks.push({ sequence: header.sequence, flags: header.flags, life, events });
  }

  /** @param doubtAll nothing proves that no block is missing at the end */
  finish(doubtAll: boolean): Salvaged {
    const base = this.#newestCheckpoint();
    const after = base === undefined ? 0 : base.last + 1;
    if (base !== undefined) {
      for (let i = base.first; i <= base.last; i += 1)
        for (const event of this.#blocks[i]?.events ?? []) if (!(event instanceof HeldFrame)) this.#image.apply(event);
      (this.#blocks[base.last] as SalvagedBlock).life.checkpointed = true;
    }
    const whole = base === undefined ? 0 : this.#follow(after);
    const forgot = base === undefined || whole < this.#blocks.length || doubtAll;
    if (base !== undefined) this.#passSynced(whole);
    this.#findFrames();
    if (forgot) for (const groupId of this.#image.groups.keys()) this.#doubted.add(groupId);
    for (const { flags, events } of this.#blocks.slice(whole)) {
      // The beginning of a checkpoint that was not finished.
      if ((flags & BlockFlag.checkpoint) !== 0) continue;
      for (const event of events) {
        if (event instanceof HeldFrame) this.#frame(event);
        else this.#apply(event, forgot);
      }
    }
    return { image: this.#image, groups: this.#result(), forgot };
  }

  /**
   * The blocks behind the checkpoint as far as none is missing: they say all there is to say, also of frames that were synced since and
   * whose blocks were given up then, before or behind the checkpoint.
   *
   * @returns the first block that does not follow
   */
  #follow(after: number): number {
    for (let i = after; i < this.#blocks.length; i += 1) {
      const { sequence, flags, events } = this.#blocks[i] as SalvagedBlock;
      if (sequence !== (this.#blocks[i - 1]?.sequence ?? 0) + 1) return i;
      // The beginning of a checkpoint that was not finished.
      if ((flags & BlockFlag.checkpoint) !== 0) continue;
      try {
        for (const event of events) {
          if (event instanceof HeldFrame) this.#image.frame(event.owner.groupId, event);
          else this.#image.apply(event);
        }
      } catch (error) {
        if (error instanceof Malformed) return i;
        throw error;
      }
    }
    return this.#blocks.length;
  }

  #newestCheckpoint(): { readonly first: number; readonly last: number } | undefined {
    let found: { readonly first: number; readonly last: number } | undefined;
    let first: number | undefined;
    for (const [i, { flags, sequence }] of this.#blocks.entries()) {
      if ((flags & BlockFlag.checkpointFirst) !== 0) first = i;
      else if ((flags & BlockFlag.checkpoint) === 0 || sequence !== (this.#blocks[i - 1]?.sequence ?? 0) + 1) first = undefined;
      if ((flags & BlockFlag.checkpointLast) !== 0 && first !== undefined) found = { first, last: i };
    }
    return found;
  }

  /**
   * What was synced after the checkpoint is not looked for in blocks before it: those may be written over since, or damaged, and frames
   * behind it are found none the less.
   */
  #passSynced(after: number): void {
    const over = new Set<GroupId>();
    for (const event of this.#blocks.slice(after).flatMap(({ events }) => events)) {
      if (event instanceof HeldFrame || event.kind === "checkpoint" || event.kind === "dropped") continue;
      if (event.kind === "drop" || event.kind === "install") over.add(event.groupId);
      const group = this.#image.groups.get(event.groupId);
      if (event.kind !== "synced" || group?.replicaId !== event.replicaId || over.has(event.groupId)) continue;
      const { index, term } = event.mark;
      if (index > group.syncedIndex && index <= group.lastIndex && group.termAt(index) === term) this.#image.apply(event);
    }
  }

  /**
   * The frames that the checkpoint says are there; a group that lacks one ends before it. They stand in blocks before it, or, where these were
   * given up since, in one behind it, appended again to free their file: of one index and term there is only one entry (Raft §5.3).
   */
  #findFrames(): void {
    const found = new Map<GroupId, Map<LogIndex, HeldFrame>>();
    for (const { events } of this.#blocks)
      for (const event of events) {
        if (!(event instanceof HeldFrame)) continue;
        const group = this.#image.groups.get(event.owner.groupId);
        if (group === undefined || event.index <= group.syncedIndex || group.termAt(event.index) !== event.term) continue;
        const frames = found.get(group.groupId) ?? new Map<LogIndex, HeldFrame>();
        found.set(group.groupId, frames.set(event.index, event));
      }
    for (const [groupId, group] of this.#image.groups) {
      const frames: HeldFrame[] = [];
      for (let index = group.syncedIndex + 1; index <= group.lastIndex; index += 1) {
        const frame = found.get(groupId)?.get(index as LogIndex);
        if (frame === undefined) break;
        frames.push(frame);
      }
      this.#frames.set(groupId, frames);
      if (group.syncedIndex + frames.length === group.lastIndex) continue;
      this.#doubted.add(groupId);
      this.#cut(group, (group.syncedIndex + frames.length + 1) as LogIndex);
    }
  }

  /** The log ends before `from`. */
  #cut(group: GroupImage, from: LogIndex): void {
    const frames = this.#framesOf(group.groupId);
    frames.length = Math.min(frames.length, from - 1 - group.syncedIndex);
    const newest = frames.at(-1);
    group.terms.truncate(from);
    group.configs.truncate(from);
    group.lastIndex = (from - 1) as LogIndex;
    group.endOffset = newest?.nextOffset ?? group.synced?.offset ?? group.start.offset;
    group.lastAppendTime = newest?.appendTime ?? group.synced?.appendTime ?? 0;
  }

  #frame(frame: HeldFrame): void {
    const { groupId } = frame.owner;
    const group = this.#image.groups.get(groupId);
    if (group === undefined || frame.index <= group.syncedIndex) return;
    const frames = this.#framesOf(groupId);
    const term = group.termAt(frame.index);
    if (frame.index <= group.lastIndex && term === frame.term) {
      frames[frame.index - group.syncedIndex - 1] = frame;
      return;
    }
    if (frame.index <= group.lastIndex) {
      // What cut off the former frames is among the blocks that are missing.
      this.#doubted.add(groupId);
      this.#cut(group, frame.index);
    }
    const follows = frame.index === group.lastIndex + 1 && frame.baseOffset === group.endOffset;
    if (!follows || frame.term < (group.termAt(group.lastIndex) ?? 0)) {
      this.#doubted.add(groupId);
      return;
    }
    group.frame(frame);
    frames.push(frame);
  }

  #apply(op: WalOp, forgot: boolean): void {
    if (op.kind === "checkpoint") return;
    if (op.kind === "dropped") {
      this.#image.apply(op);
      return;
    }
    const group = this.#image.groups.get(op.groupId);
    if (op.kind === "open") {
      if (group !== undefined || this.#image.dropped.has(op.replicaId)) return;
      this.#image.apply(op);
      this.#frames.set(op.groupId, []);
      // Where blocks are missing, nothing that it did since is sure either.
      if (forgot) this.#doubted.add(op.groupId);
      return;
    }
    if (group === undefined) return;
    try {
      this.#applyTo(group, op);
    } catch (error) {
      // It builds on a block that is missing.
      if (!(error instanceof Malformed)) throw error;
      this.#doubted.add(op.groupId);
    }
  }

  #applyTo(group: GroupImage, op: Exclude<WalOp, { kind: "checkpoint" | "dropped" | "open" }>): void {
    const { groupId } = group;
    switch (op.kind) {
      case "state":
        if (op.term < group.term) return;
        group.term = op.term;
        group.votedFor = op.votedFor;
        return;
      case "truncate":
        if (op.from <= group.syncedIndex || op.from > group.lastIndex) return;
        this.#cut(group, op.from);
        return;
      case "synced": {
        if (op.mark.index <= group.syncedIndex) return;
        // Past the end of what is left: which terms lie between is known only when there is one.
        const known: Term | undefined = group.termAt(Math.min(op.mark.index, group.lastIndex) as LogIndex);
        const extended = op.terms.length > 0 && !this.#doubted.has(groupId);
        if (known !== op.mark.term && !extended) return;
        const { syncedIndex } = group;
        this.#image.apply(op);
        this.#framesOf(groupId).splice(0, group.syncedIndex - syncedIndex);
        return;
      }
      case "install":
        this.#image.apply(op);
        this.#frames.set(groupId, []);
        return;
      case "drop":
        this.#image.apply(op);
        this.#frames.delete(groupId);
        this.#doubted.delete(groupId);
        return;
      case "trim":
      case "doubt":
        this.#image.apply(op);
        return;
    }
  }

  #result(): Map<GroupId, ReplayedGroup> {
    const result = new Map<GroupId, ReplayedGroup>();
    for (const [groupId, group] of this.#image.groups) {
      if (this.#doubted.has(groupId)) group.doubted = true;
      const owner = this.#ownerOf(groupId);
      owner.pins.synced(group.syncedIndex);
      const frames = new FrameQueue(group.syncedIndex, group.synced?.offset ?? group.start.offset);
      for (const held of this.#framesOf(groupId)) {
        frames.push(held);
        if (held.block.life !== undefined) owner.pins.add(held.block.life, held.index);
      }
      result.set(groupId, { frames, owner });
    }
    return result;
  }

  #framesOf(groupId: GroupId): HeldFrame[] {
    const frames = this.#frames.get(groupId) ?? [];
    this.#frames.set(groupId, frames);
    return frames;
  }

  #ownerOf(groupId: GroupId): FrameOwner {
    const owner = this.#owners.get(groupId) ?? new FrameOwner(groupId);
    this.#owners.set(groupId, owner);
    return owner;
  }
}
