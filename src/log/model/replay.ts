import type { GroupId } from "../../base/ids.ts";
import { type Frame, FrameType } from "../../records/frame-types.ts";
import { BlockFlag, type BlockHeader } from "./block.ts";
import type { BlockRecord } from "./block-reader.ts";
import { copyOf, Malformed } from "./bytes.ts";
import { type BlockRef, FrameOwner, FrameQueue, HeldFrame } from "./held.ts";
import type { FrameFacts } from "./image.ts";
import type { Life } from "./ring.ts";
import { WalImage } from "./wal-image.ts";

/** One group as replay leaves it. */
export interface ReplayedGroup {
  /** Frames above the synced index: in the write-ahead log, not known to be in a segment. */
  readonly frames: FrameQueue;
  readonly owner: FrameOwner;
}

interface Held {
  readonly owner: FrameOwner;
  /** Frame at `base + 1 + i`; undefined where its block lies before the place replay began. */
  readonly frames: (HeldFrame | undefined)[];
  base: number;
}

/**
 * Reads blocks in sequence into what every group was (design §4, recovery). Pure. It begins with a complete checkpoint; later ones
 * change nothing, they must say the same as what was replayed.
 */
export class Replay {
  #image: WalImage | undefined;
  #partial: { readonly image: WalImage } | undefined;
  readonly #groups: Map<GroupId, Held> = new Map<GroupId, Held>();

  /** Undefined until a checkpoint was complete. */
  get image(): WalImage | undefined {
    return this.#image;
  }

  /**
   * @param ref where the block lies; its life is the file it is in
   * @throws {Malformed} when the records contradict each other: the caller names the block
   */
  block(header: BlockHeader, ref: BlockRef, records: readonly BlockRecord[], life: Life): void {
    if ((header.flags & BlockFlag.checkpoint) !== 0) {
      this.#checkpoint(header, records, life);
      return;
    }
    this.#partial = undefined;
    const image = this.#image;
    if (image === undefined) throw new Malformed("no complete checkpoint stands before this block");
    for (const record of records) {
      if (record.kind === "frame") this.#frame(image, record, ref, life);
      else this.#apply(image, record);
    }
  }

  /**
   * The end of the log: what each group holds.
   *
   * @throws {Malformed} a frame above a synced index is nowhere
   */
  finish(): ReadonlyMap<GroupId, ReplayedGroup> {
    const image = this.#image;
    if (image === undefined) throw new Malformed("no complete checkpoint");
    const result = new Map<GroupId, ReplayedGroup>();
    for (const [groupId, group] of image.groups) {
      const held = this.#held(groupId, group.syncedIndex);
      const frames = new FrameQueue(group.syncedIndex, group.synced?.offset ?? group.start.offset);
      for (let index = group.syncedIndex + 1; index <= group.lastIndex; index += 1) {
        const frame = held.frames[index - held.base - 1];
        if (frame === undefined) throw new Malformed(`frame ${index} of group ${groupId} is in no block and in no segment`);
        frames.push(frame);
      }
      result.set(groupId, { frames, owner: held.owner });
    }
    return result;
  }

  #frame(image: WalImage, record: Extract<BlockRecord, { kind: "frame" }>, ref: BlockRef, life: Life): void {
    const { groupId } = record.frame;
    image.frame(groupId, withConfig(record.frame));
    const group = image.groups.get(groupId);
    if (group === undefined || record.frame.index <= group.syncedIndex) return;
    const held = this.#held(groupId, group.syncedIndex);
    const frame = new HeldFrame(held.owner, record.frame, ref, record.at);
    // The memory belongs to whoever reads the files; what is wanted is read again.
    frame.frame = undefined;
    const at = frame.index - held.base - 1;
    while (held.frames.length < at) held.frames.push(undefined);
    frame.durable = true;
    held.frames[at] = frame;
    held.owner.pins.add(life, frame.index);
  }

  #apply(image: WalImage, record: Extract<BlockRecord, { kind: "op" }>): void {
    const { op } = record;
    if (op.kind === "checkpoint" || op.kind === "dropped") throw new Malformed(`a ${op.kind} record outside a checkpoint`);
    image.apply(op);
    if (op.kind === "drop") {
      this.#groups.get(op.groupId)?.owner.pins.drop();
      this.#groups.delete(op.groupId);
    } else if (op.kind === "truncate") {
      const held = this.#groups.get(op.groupId);
      held?.owner.pins.truncate(op.from);
      held?.frames.splice(Math.max(0, op.from - held.base - 1));
    } else if (op.kind === "install") {
      const held = this.#held(op.groupId, op.mark.index);
      held.owner.pins.begin(op.mark.index);
      held.frames.length = 0;
      held.base = op.mark.index;
    } else if (op.kind === "synced") {
      const held = this.#groups.get(op.groupId);
      if (held === undefined) return;
      held.owner.pins.synced(op.mark.index);
      held.frames.splice(0, op.mark.index - held.base);
      held.base = op.mark.index;
    }
  }

  #held(groupId: GroupId, syncedIndex: number): Held {
    let held = this.#groups.get(groupId);
    if (held === undefined) {
      held = { owner: new FrameOwner(groupId), frames: [], base: syncedIndex };
      held.owner.pins.synced(syncedIndex);
      this.#groups.set(groupId, held);
    }
    return held;
  }

  #checkpoint(header: BlockHeader, records: readonly BlockRecord[], life: Life): void {
    if ((header.flags & BlockFlag.checkpointFirst) !== 0) this.#partial = { image: new WalImage() };
    const partial = this.#partial;
    // The rest of a checkpoint whose beginning lies before the place replay started from.
    if (partial === undefined) return;
    for (const record of records) {
      if (record.kind === "frame") throw new Malformed("a frame inside a checkpoint");
      if (record.op.kind !== "checkpoint" && record.op.kind !== "dropped")
        throw new Malformed(`a ${record.op.kind} record inside a checkpoint`);
      partial.image.apply(record.op);
    }
    if ((header.flags & BlockFlag.checkpointLast) === 0) return;
    this.#partial = undefined;
    life.checkpointed = true;
    if (this.#image === undefined) this.#image = partial.image;
    else requireSame(this.#image, partial.image);
  }
}

function withConfig(frame: Frame): FrameFacts {
  return frame.type === FrameType.config ? { ...frame, config: copyOf(frame.payload) } : frame;
}

/** A checkpoint and the replay of everything before it are two ways to one state. */
function requireSame(replayed: WalImage, stated: WalImage): void {
  const right = [...stated.checkpoint()];
  let i = 0;
  for (const record of replayed.checkpoint()) {
    const other = right[i];
    i += 1;
    if (other === undefined || record.length !== other.length || record.some((byte, at) => byte !== other[at]))
      throw new Malformed("a checkpoint says otherwise than the blocks before it");
  }
  if (i !== right.length) throw new Malformed("a checkpoint names groups that the blocks before it do not");
}
