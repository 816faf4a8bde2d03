import type { FileWindow } from "../file-window.ts";
import { ByteReader, Malformed } from "../model/bytes.ts";
import {
  decodeSnapshotHeader,
  parseSnapshot,
  readSnapshotFooter,
  requireChunkLength,
  SNAPSHOT_HEAD_BYTES,
  type SnapshotHeader,
  snapshotChunkCrc,
  snapshotHeaderBytes,
} from "../model/snapshot-file.ts";
import type { DumpSink } from "./dump-file.ts";

/** Length and CRC of a chunk. */
const CHUNK_HEAD_BYTES = 8;

/** A place where the bytes are not what the format says. */
class Bad extends Error {
  readonly position: number;
  constructor(position: number, what: string) {
    super(what);
    this.position = position;
  }
}

/**
 * Prints a snapshot of a machine group: what it is of, its chunks, and whether all of it is there. Chunks of equal snapshots of two replicas
 * have equal CRCs. No length in the file is believed beyond what the file holds.
 */
export async function dumpSnapshot(path: string, window: FileWindow, sink: DumpSink): Promise<void> {
  try {
    const head = await bytesAt(window, 0, SNAPSHOT_HEAD_BYTES);
    const headBytes = checked(0, () => snapshotHeaderBytes(head));
    const headerBytes = await bytesAt(window, 0, headBytes);
    const header = checked(0, () => decodeSnapshotHeader(headerBytes));
    await sink({ kind: "note", path, position: 0, text: textOf(header) });
    const named = parseSnapshot(path.slice(path.lastIndexOf("/") + 1));
    if (named !== undefined && named !== header.start.index)
      await sink({ kind: "bad", path, position: 0, what: `the snapshot of index ${header.start.index} bears the name of ${named}` });
    await dumpChunks(path, window, header, headBytes, sink);
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    await sink({ kind: "bad", path, position: error.position, what: error.message });
  }
}

async function dumpChunks(path: string, window: FileWindow, header: SnapshotHeader, from: number, sink: DumpSink): Promise<void> {
  let total = 0;
  let at = from;
  for (let chunks = 0; ; chunks += 1) {
    const head = new ByteReader(await bytesAt(window, at, CHUNK_HEAD_BYTES));
    const length = head.u32();
    if (length === 0) {
      const footer = await bytesAt(window, at, Math.min(window.size - at, 64));
      checked(at, () => readSnapshotFooter(footer, at, header, chunks, total));
      return sink({ kind: "note", path, position: at, text: `footer: ${chunks} chunks, ${total} bytes` });
    }
    checked(at, () => requireChunkLength(length, at));
    const crc = head.u32();
    const bytes = await bytesAt(window, at + CHUNK_HEAD_BYTES, length);
    if (snapshotChunkCrc(header, chunks, bytes) !== crc)
      await sink({ kind: "bad", path, position: at, what: `the CRC of chunk ${chunks} does not match` });
    else
      await sink({
        kind: "note",
        path,
        position: at,
        text: `chunk ${chunks}: ${length} bytes, CRC ${crc.toString(16).padStart(8, "0")}`,
      });
    total += length;
    at += CHUNK_HEAD_BYTES + length;
  }
}

async function bytesAt(window: FileWindow, position: number, length: number): Promise<Uint8Array> {
  const bytes = await window.at(position, length);
  if (typeof bytes === "string") throw new Bad(position, bytes);
  return bytes;
}

function checked<T>(position: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Malformed) throw new Bad(position, error.message);
    throw error;
  }
}

function textOf({ groupId, replicaId, start, recoveryEpoch, config }: SnapshotHeader): string {
  const place = `index ${start.index} of term ${start.term}, offset ${start.offset}`;
  return `snapshot: group ${groupId}, replica ${replicaId}, as of ${place}, recovery epoch ${recoveryEpoch}, ${config.length} bytes of configuration`;
}
