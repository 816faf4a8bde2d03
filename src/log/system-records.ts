import type { Frame } from "../records/frame-types.ts";
import { BlockBuilder } from "./block-builder.ts";
import { isNeeded } from "./block-events.ts";
import { BLOCK_HEADER_BYTES, padded } from "./model/block.ts";
import type { FrameOwner, HeldFrame } from "./model/held.ts";
import { encodeOp, type WalOp } from "./model/records.ts";
import type { Life } from "./model/ring.ts";

/** Records that may overtake: they say what is durable already, and let files of the ring go. */
export type SystemRecord =
  | {
      readonly kind: "op";
      readonly op: Extract<WalOp, { kind: "synced" | "drop" | "install" | "trim" }>;
      readonly owner: FrameOwner;
      readonly durable: () => void;
    }
  | { readonly kind: "again"; readonly held: HeldFrame; readonly frame: Frame; readonly durable: () => void }
  /** No bytes: the frames above `above` that the owner had in `life` were appended again by records before this one. */
  | { readonly kind: "moved"; readonly owner: FrameOwner; readonly life: Life; readonly above: number; readonly durable: () => void };

type OpRecord = Extract<SystemRecord, { kind: "op" }>;

interface Entry {
  readonly record: SystemRecord;
  /** Of a block. */
  readonly bytes: number;
  /** An op, laid out. */
  readonly encoded: Uint8Array | undefined;
}

/**
 * System records that wait for their block, in order. While files are plenty a block is written for them at once. When they are not, most
 * of them wait for one that is written anyway, or until together they let the oldest file go: `Wal` asks what they would do.
 *
 * Of the `synced` records of one group only the newest waits, so that what has to be written for all groups is bounded however many
 * segments were written meanwhile.
 */
export class SystemQueue {
  #entries: Entry[] = [];
  /** The `synced` record of each group that a newer one may stand for. */
  readonly #marks = new Map<FrameOwner, Entry>();

  #handedOver = 0;

  /** Records that were ever pushed. */
  get handedOver(): number {
    return this.#handedOver;
  }
  get length(): number {
    return this.#entries.length;
  }

  push(record: SystemRecord): void {
    this.#handedOver += 1;
    if (record.kind !== "op") this.#entries.push({ record, bytes: bytesOf(record), encoded: undefined });
    else this.#pushOp(record);
  }

  #pushOp(record: OpRecord): void {
    const encoded = encodeOp(record.op);
    const { owner } = record;
    if (record.op.kind !== "synced") {
      this.#entries.push({ record, bytes: encoded.length, encoded });
      return;
    }
    const older = this.#marks.get(owner);
    const entry = { record: older === undefined ? record : both(older, record), bytes: encoded.length, encoded };
    if (older !== undefined) this.#entries.splice(this.#entries.indexOf(older), 1);
    this.#entries.push(entry);
    // What it says besides of frames that came past the log, no other record says.
    if (record.op.terms.length === 0 && record.op.config === undefined) this.#marks.set(owner, entry);
    else this.#marks.delete(owner);
  }

  /** Some of them end a state in which nothing can be committed, or give back room on the disk: they need no others to be written. */
  get urgent(): boolean {
    return this.#entries.some(isUrgent);
  }

  /**
   * Adds records to a block, in order, as long as they fit.
   *
   * @param fits whether the block may be of so many bytes
   * @param urgent only those of groups which have urgent ones
   * @returns how many were added
   */
  fill(block: BlockBuilder, fits: (bytes: number) => boolean, urgent = false): number {
    const first = block.empty;
    const owners = urgent ? new Set(this.#entries.filter(isUrgent).map(({ record }) => ownerOf(record))) : undefined;
    const left: Entry[] = [];
    let next = 0;
    for (; next < this.#entries.length; next += 1) {
      const entry = this.#entries[next] as Entry;
      const { record } = entry;
      if (owners?.has(ownerOf(record)) === false) {
        left.push(entry);
        continue;
      }
      // The truncation that cuts it may be in this very block, and would come before it.
      if (!first && record.kind === "again" && record.held.gone) break;
      if (!fits(block.bytes + entry.bytes)) break;
      this.#add(block, entry);
    }
    const added = next - left.length;
    if (added > 0) this.#entries = [...left, ...this.#entries.slice(next)];
    return added;
  }

  #add(block: BlockBuilder, { record, encoded }: Entry): void {
    block.callbacks.push(record.durable);
    if (record.kind === "again") {
      if (isNeeded(record.held)) block.again(record.held, record.frame);
      return;
    }
    if (record.kind === "moved") {
      block.left(record.owner, record.life, record.above);
      return;
    }
    const { op, owner } = record;
    if (this.#marks.get(owner)?.record === record) this.#marks.delete(owner);
    // Of a group that was dropped nothing is said any more.
    if (owner.dropped) return;
    block.op(op, owner, encoded);
    if (op.kind === "drop") owner.dropped = true;
  }

  /**
   * How many of the records at the head have to be written until nothing keeps `life` any more; undefined when all of them are not enough.
   * Only a block with the last of these lets the file go.
   */
  release(life: Life): number | undefined {
    let keepers = life.pins;
    const kept = new Map<FrameOwner, { last: number; synced: number }>();
    for (const [i, { record }] of this.#entries.entries()) {
      if (record.kind === "again") continue;
      const { owner } = record;
      const range = owner.pins.range(life);
      if (range === undefined) continue;
      const keeps = kept.get(owner) ?? { last: range.last, synced: owner.pins.syncedIndex };
      if (keeps.last <= keeps.synced) continue;
      kept.set(owner, keeps);
      if (record.kind === "moved") {
        if (record.life === life) keeps.last = Math.min(keeps.last, record.above);
      } else if (record.op.kind === "synced") keeps.synced = Math.max(keeps.synced, record.op.mark.index);
      else if (record.op.kind !== "trim") keeps.last = 0;
      if (keeps.last > keeps.synced) continue;
      keepers -= 1;
      if (keepers === 0) return i + 1;
    }
    return undefined;
  }

  /** Bytes of the blocks that the first `count` records take. */
  packed(count: number, blockMax: number): number {
    let blocks = 0;
    let block = BLOCK_HEADER_BYTES;
    for (const { bytes } of this.#entries.slice(0, count)) {
      if (block + bytes > blockMax) {
        blocks += padded(block);
        block = BLOCK_HEADER_BYTES;
      }
      block += bytes;
    }
    return blocks + padded(block);
  }
}

/** The newer one stands for both. */
function both({ record: older }: Entry, newer: OpRecord): OpRecord {
  return {
    ...newer,
    durable: () => {
      older.durable();
      newer.durable();
    },
  };
}

function ownerOf(record: SystemRecord): FrameOwner {
  return record.kind === "again" ? record.held.owner : record.owner;
}

/** Also a mark of frames that came past the log: nothing is appended to their group until it is durable. */
function isUrgent({ record }: Entry): boolean {
  return record.kind === "op" && (record.op.kind !== "synced" || record.op.terms.length > 0);
}

function bytesOf(record: Exclude<SystemRecord, OpRecord>): number {
  return record.kind === "again" ? BlockBuilder.recordBytes(record.frame) : 0;
}
