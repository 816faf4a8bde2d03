import { type Disk, DiskError } from "../../base/ports/disk.ts";
import { verifyPayload } from "../../records/frame.ts";
import type { Frame } from "../../records/frame-types.ts";
import { FileWindow } from "../file-window.ts";
import { Malformed } from "../model/bytes.ts";
import type { Producers } from "../model/producers.ts";
import { decodeFooter, decodeStartPoint, FOOTER_BYTES, START_HEADER_BYTES, startPointBytes } from "../model/segment-files.ts";
import { SparseIndex } from "../model/sparse-index.ts";
import { withFile } from "../segment-loader.ts";
import { dumpSnapshot } from "./dump-snapshot.ts";
import { dumpWal } from "./dump-wal.ts";

/** One thing that was found in a file. */
export type DumpItem =
  | { readonly kind: "frame"; readonly path: string; readonly position: number; readonly frame: Frame }
  | { readonly kind: "note"; readonly path: string; readonly position: number; readonly text: string }
  /** Bytes that are not what the format says. */
  | { readonly kind: "bad"; readonly path: string; readonly position: number; readonly what: string };

export type DumpSink = (item: DumpItem) => void | Promise<void>;

/** An index larger than this is none of ours. */
const INDEX_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Prints any file of a data directory as far as it can be read: whatever its bytes are, the answer is what they say and where they stop
 * saying it. Changes nothing.
 *
 * @throws {DiskError} it cannot be opened
 */
export async function dumpFile(disk: Disk, path: string, sink: DumpSink): Promise<void> {
  await withFile(disk, path, "read", async (file) => {
    const window = new FileWindow(file, await file.size());
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (/\.log(?:\.repair)?$/.test(name)) return dumpSegment(disk, path, window, sink);
    if (name.endsWith(".index")) return dumpIndex(path, window, sink);
    if (name.endsWith(".snapshot") || name === "snapshot.tmp") return dumpSnapshot(path, window, sink);
    if (/^\d{2,}$/.test(name)) return dumpWal(path, window, sink);
    await sink({
      kind: "bad",
      path,
      position: 0,
      what: "no segment (.log), index (.index), snapshot (.snapshot) or file of the write-ahead log (wal/NN) by its name",
    });
  });
}

async function dumpSegment(disk: Disk, path: string, window: FileWindow, sink: DumpSink): Promise<void> {
  const bad = (position: number, what: string): void | Promise<void> => sink({ kind: "bad", path, position, what });
  const index = await indexBeside(disk, path);
  const head = await startOf(window);
  let position: number | undefined;
  if (typeof head === "string") {
    await bad(0, head);
    position = index?.entry(0)?.position;
  } else {
    await sink({ kind: "note", path, position: 0, text: head.text });
    position = head.bytes;
  }
  const end = await framesEnd(path, window, sink);
  let expected: number | undefined;
  while (position !== undefined && position < end) {
    const frame: Frame | string = await window.frame(position);
    if (typeof frame !== "string") {
      if (expected !== undefined && frame.index !== expected) await bad(position, `frame ${frame.index} stands where ${expected} should`);
      if (typeof head !== "string" && frame.groupId !== head.groupId)
        await bad(position, `a frame of group ${frame.groupId} in a segment of ${head.groupId}`);
      if (verifyPayload(frame)) await sink({ kind: "frame", path, position, frame });
      else await bad(position, `the payload of frame ${frame.index} does not match its CRC`);
      expected = frame.index + 1;
      position += frame.bytes.length;
      continue;
    }
    await bad(position, frame);
    position = nextOf(index, position);
    expected = undefined;
    if (position === undefined)
      await sink({ kind: "note", path, position: end, text: "where the next frame begins is not known: the rest is not read" });
  }
}

function nextOf(index: SparseIndex | undefined, after: number): number | undefined {
  for (let i = 0; i < (index?.count ?? 0); i += 1) {
    const entry = index?.entry(i);
    if (entry !== undefined && entry.position > after) return entry.position;
  }
  return undefined;
}

async function startOf(window: FileWindow): Promise<{ readonly bytes: number; readonly groupId: number; readonly text: string } | string> {
  const head = await window.at(0, START_HEADER_BYTES);
  if (typeof head === "string") return head;
  try {
    const length = startPointBytes(head);
    const bytes = await window.at(0, length);
    if (typeof bytes === "string") return bytes;
    const { groupId, replicaId, start, terms, producers } = decodeStartPoint(bytes);
    const text = `start point: group ${groupId}, replica ${replicaId}, after index ${start.index} of term ${start.term}, offset ${start.offset}, ${terms.length} terms, ${sizeOf(producers)} producers`;
    return { bytes: length, groupId, text };
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

/** Where the frames end: before the footer, when there is one. */
async function framesEnd(path: string, window: FileWindow, sink: DumpSink): Promise<number> {
  const at = window.size - FOOTER_BYTES;
  const bytes = at > 0 ? await window.at(at, FOOTER_BYTES) : "";
  if (typeof bytes === "string") return window.size;
  try {
    const { baseIndex, lastIndex, baseOffset, endOffset, frames, position } = decodeFooter(bytes);
    if (position !== at) return window.size;
    const text = `footer: frames ${baseIndex} to ${lastIndex} (${frames}), offsets ${baseOffset} to ${endOffset}`;
    await sink({ kind: "note", path, position: at, text });
    return at;
  } catch (error) {
    if (error instanceof Malformed) return window.size;
    throw error;
  }
}

async function indexBeside(disk: Disk, path: string): Promise<SparseIndex | undefined> {
  try {
    return await withFile(disk, path.replace(/\.log(?:\.repair)?$/, ".index"), "read", async (file) => {
      const bytes = await wholeOf(new FileWindow(file, await file.size()));
      return typeof bytes === "string" ? undefined : SparseIndex.decode(bytes).index;
    });
  } catch (error) {
    if (error instanceof Malformed || error instanceof DiskError) return undefined;
    throw error;
  }
}

async function dumpIndex(path: string, window: FileWindow, sink: DumpSink): Promise<void> {
  const bytes = await wholeOf(window);
  if (typeof bytes === "string") return sink({ kind: "bad", path, position: 0, what: bytes });
  try {
    const { owner, facts, index, producers } = SparseIndex.decode(bytes);
    const text = `index of group ${owner.groupId}, replica ${owner.replicaId}: frames ${facts.baseIndex} to ${facts.lastIndex}, ${index.count} entries, ${sizeOf(producers)} producers`;
    await sink({ kind: "note", path, position: 0, text });
    for (let i = 0; i < index.count; i += 1) {
      const entry = index.entry(i);
      if (entry !== undefined)
        await sink({
          kind: "note",
          path,
          position: entry.position,
          text: `entry: index ${entry.index}, offset ${entry.offset}, max timestamp ${entry.maxTimestamp}`,
        });
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    await sink({ kind: "bad", path, position: 0, what: error.message });
  }
}

function sizeOf({ known, size }: Producers): string {
  return known ? String(size) : "unknown";
}

async function wholeOf(window: FileWindow): Promise<Uint8Array | string> {
  return window.size > INDEX_BYTES_MAX ? `a file of ${window.size} bytes` : window.at(0, window.size);
}
