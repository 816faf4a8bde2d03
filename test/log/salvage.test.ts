import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlockFlag, type BlockHeader } from "../../src/log/model/block.ts";
import type { BlockRecord } from "../../src/log/model/block-reader.ts";
import { Life } from "../../src/log/model/ring.ts";
import { Salvage } from "../../src/log/model/salvage.ts";
import { WalImage } from "../../src/log/model/wal-image.ts";
import { makeFrame } from "../../src/records/frame.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";

const GROUP = group(7);
const CHECKPOINT = BlockFlag.checkpoint | BlockFlag.checkpointFirst | BlockFlag.checkpointLast;

/** Frame at an index: of one record, in term 1. */
function frame(at: number): Frame {
  const place = { groupId: GROUP, index: index(at), term: term(1), baseOffset: offset(at - 1), appendTime: at };
  return makeFrame(draft(at, 100, { recordCount: 1 }), place);
}

const records = (...frames: readonly Frame[]): BlockRecord[] => frames.map((one) => ({ kind: "frame", frame: one, at: 64 }));

/** The group with so many frames, none of them in a segment. */
function checkpoint(frames: number): BlockRecord[] {
  const image = new WalImage();
  image.apply({ kind: "open", groupId: GROUP, replicaId: replica(3), start: EMPTY, config: text("who votes") });
  for (let at = 1; at <= frames; at += 1) image.frame(GROUP, frame(at));
  const [only] = image.groups.values();
  assert.ok(only !== undefined);
  return [{ kind: "op", op: { kind: "checkpoint", image: only.encode() } }];
}

/** Frames up to here are in a segment. */
function synced(at: number): BlockRecord[] {
  const segment = { baseIndex: index(1), baseOffset: offset(0), position: 4096, sealed: false };
  const mark = { index: index(at), term: term(1), offset: offset(at), appendTime: at, ...segment };
  return [{ kind: "op", op: { kind: "synced", groupId: GROUP, replicaId: replica(3), mark, terms: [] } }];
}

/** Salvages blocks by their sequence. @returns the last index and the indexes of the frames that are left */
function salvaged(blocks: Readonly<Record<number, readonly BlockRecord[]>>): { lastIndex: number; frames: number[]; doubted: boolean } {
  const salvage = new Salvage();
  for (const [sequence, held] of Object.entries(blocks)) {
    const flags = held.some((one) => one.kind === "op" && one.op.kind === "checkpoint") ? CHECKPOINT : 0;
    const header: BlockHeader = { sequence: Number(sequence), lowMark: 1, bytes: 4096, frames: held.length, flags, digest: 0 };
    const life = new Life(Number(sequence), header.sequence);
    salvage.add(header, { sequence: header.sequence, position: 0, life }, held, life);
  }
  const { image, groups } = salvage.finish(false);
  const left = image.groups.get(GROUP);
  const frames = groups.get(GROUP)?.frames;
  assert.ok(left !== undefined && frames !== undefined);
  const found: number[] = [];
  for (let at = left.syncedIndex + 1; at <= left.lastIndex; at += 1) found.push(frames.get(at)?.index ?? 0);
  return { lastIndex: left.lastIndex, frames: found, doubted: left.doubted };
}

describe("What a damaged write-ahead log still proves", () => {
  it("are the frames of the newest checkpoint, wherever they stand before it", () => {
    const blocks = { 4: records(frame(1), frame(2)), 6: records(frame(3)), 7: checkpoint(3), 8: records(frame(4)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 4, frames: [1, 2, 3, 4], doubted: false });
  });

  it("are those too that were appended again behind it, when the blocks they stood in first were given up", () => {
    const blocks = { 4: records(frame(3)), 6: checkpoint(3), 7: records(frame(1), frame(2)), 8: records(frame(4)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 4, frames: [1, 2, 3, 4], doubted: false });
  });

  it("ends before a frame that stands nowhere, and the group is doubted", () => {
    const blocks = { 4: records(frame(1)), 6: checkpoint(3), 7: records(frame(3)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 1, frames: [1], doubted: true });
  });

  it("needs no frame that was synced behind the checkpoint, together with later ones", () => {
    const blocks = { 6: checkpoint(3), 7: records(frame(4), frame(5)), 8: synced(5), 9: records(frame(6)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 6, frames: [6], doubted: false });
  });

  it("is that also where blocks behind it are missing, and the group is doubted", () => {
    const blocks = { 6: checkpoint(3), 7: records(frame(4), frame(5)), 8: synced(5), 9: records(frame(6)), 11: records(frame(7)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 7, frames: [6, 7], doubted: true });
  });

  it("ends where blocks that follow one another contradict, and the group is doubted", () => {
    const blocks = { 6: checkpoint(3), 7: records(frame(3), frame(5)), 8: records(frame(4)), 5: records(frame(1), frame(2)) };
    assert.deepEqual(salvaged(blocks), { lastIndex: 4, frames: [1, 2, 3, 4], doubted: true });
  });
});
