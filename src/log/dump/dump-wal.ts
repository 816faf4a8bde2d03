import type { FileWindow } from "../file-window.ts";
import { BLOCK_ALIGN, BLOCK_HEADER_BYTES, BlockFlag, type BlockHeader, padded, readBlockHeader } from "../model/block.ts";
import { type BlockRecord, readBlock } from "../model/block-reader.ts";
import { Malformed } from "../model/bytes.ts";
import { GroupImage } from "../model/image.ts";
import type { WalOp } from "../model/records.ts";
import type { DumpSink } from "./dump-file.ts";

/** One whole block of a file of the write-ahead log. */
export interface DumpedBlock {
  readonly position: number;
  readonly header: BlockHeader;
  readonly records: readonly BlockRecord[];
}

/**
 * Every whole block of the file, ascending; `bad` is told of places where one must have been. What stands behind the newest block is
 * what an earlier use of the file left, and is not read.
 *
 * The blocks vouch for themselves: which disk they belong to is taken from the first one.
 */
export async function* blocksOf(
  window: FileWindow,
  bad: (position: number, what: string) => void | Promise<void>,
): AsyncGenerator<DumpedBlock> {
  let incarnation: Uint8Array | undefined;
  let last: number | undefined;
  let suspect: { readonly position: number; readonly what: string } | undefined;
  for (let at = 0; at + BLOCK_HEADER_BYTES <= window.size; ) {
    const head = await window.at(at, BLOCK_HEADER_BYTES);
    if (typeof head === "string") {
      suspect ??= { position: at, what: head };
      at += BLOCK_ALIGN;
      continue;
    }
    const header = readBlockHeader(head, 0, incarnation ?? head.slice(8, 24));
    if (header === undefined) {
      suspect ??= { position: at, what: "no block begins here" };
      at += BLOCK_ALIGN;
      continue;
    }
    // An earlier use of the file: it was written over from its head on.
    if (last !== undefined && header.sequence <= last) return;
    const read = await recordsOf(window, at, header);
    if (typeof read === "string") {
      suspect ??= { position: at, what: `block ${header.sequence}: ${read}` };
      at += BLOCK_ALIGN;
      continue;
    }
    // What is bad is damage only when a later block is whole (design §4); else it is a write that never returned.
    if (suspect !== undefined) await bad(suspect.position, suspect.what);
    else if (last !== undefined && header.sequence !== last + 1) await bad(at, `block ${header.sequence} follows ${last}`);
    suspect = undefined;
    incarnation ??= head.slice(8, 24);
    last = header.sequence;
    yield { position: at, header, records: read };
    at += padded(header.bytes);
  }
}

async function recordsOf(window: FileWindow, at: number, header: BlockHeader): Promise<readonly BlockRecord[] | string> {
  const bytes = await window.at(at, header.bytes);
  if (typeof bytes === "string") return bytes;
  try {
    return readBlock(bytes, header);
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

export async function dumpWal(path: string, window: FileWindow, sink: DumpSink): Promise<void> {
  const bad = (position: number, what: string): void | Promise<void> => sink({ kind: "bad", path, position, what });
  let blocks = 0;
  for await (const { position, header, records } of blocksOf(window, bad)) {
    blocks += 1;
    const checkpoint = (header.flags & BlockFlag.checkpoint) !== 0 ? ", checkpoint" : "";
    await sink({
      kind: "note",
      path,
      position,
      text: `block ${header.sequence}: ${header.bytes} bytes, ${header.frames} frames, low mark ${header.lowMark}${checkpoint}`,
    });
    for (const record of records) {
      if (record.kind === "frame") await sink({ kind: "frame", path, position: position + record.at, frame: record.frame });
      else await sink({ kind: "note", path, position, text: textOf(record.op) });
    }
  }
  if (blocks === 0) await sink({ kind: "note", path, position: 0, text: "no block: not used yet" });
}

function textOf(op: WalOp): string {
  switch (op.kind) {
    case "checkpoint": {
      const image = imageOf(op.image);
      if (typeof image === "string") return `checkpoint: ${image}`;
      const { groupId, replicaId, term, votedFor, lastIndex, syncedIndex } = image;
      return `checkpoint: group ${groupId}, replica ${replicaId}, term ${term}, voted for ${votedFor ?? "nobody"}, last index ${lastIndex}, synced ${syncedIndex}`;
    }
    case "dropped":
      return `dropped: ${op.replicaIds.length} replicas`;
    default: {
      const fields = Object.entries(op).filter(([, value]) => typeof value === "number");
      return `${op.kind}: ${fields.map(([name, value]) => `${name} ${value}`).join(", ")}`;
    }
  }
}

function imageOf(bytes: Uint8Array): GroupImage | string {
  try {
    return GroupImage.decode(bytes);
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}
