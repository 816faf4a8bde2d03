import { crc32c } from "../../base/crc32c.ts";
import type { GroupId, LogIndex, ReplicaId } from "../../base/ids.ts";
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts";
import { type LogStart, readStart, writeStart } from "./records.ts";

/** What stands at the head of a snapshot: a machine group's state as of one committed entry. Drawn in FORMAT.md. */
export interface SnapshotHeader {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  /** The newest entry whose facts are in the state: a log that goes on from here begins behind it. */
  readonly start: LogStart;
  /** Of that entry, ms since 1970. */
  readonly appendTime: number;
  readonly recoveryEpoch: number;
  /** Who votes, as committed at or below that entry. */
  readonly config: Uint8Array;
}

export interface Snapshot {
  readonly header: SnapshotHeader;
  readonly state: Uint8Array;
}

const HEADER_MAGIC = 0x3153_534d; // "MSS1"
const FOOTER_MAGIC = 0x3145_534d; // "MSE1"
const CHUNK_BYTES_MAX = 1024 * 1024;
/** Length of a chunk that is none: the footer follows. */
const END = 0;

/** `<index>.snapshot`, 20 digits. */
export function snapshotName(index: LogIndex): string {
  return `${String(index).padStart(20, "0")}.snapshot`;
}

/** @returns undefined when this is no snapshot's name */
export function parseSnapshot(fileName: string): LogIndex | undefined {
  const match = /^(\d{20})\.snapshot$/.exec(fileName);
  const index = Number(match?.[1] ?? Number.NaN);
  return Number.isSafeInteger(index) ? (index as LogIndex) : undefined;
}

/** The whole file in pieces of at most 1 MiB and a little: header, chunks, footer. */
export function* encodeSnapshot(header: SnapshotHeader, state: readonly Uint8Array[]): Generator<Uint8Array> {
  const head = new ByteWriter(128 + header.config.length);
  head.u32(HEADER_MAGIC).u32(0).u32(0);
  head.i53(header.groupId).i53(header.replicaId);
  writeStart(head, header.start);
  head.i53(header.appendTime).i53(header.recoveryEpoch).bytes(header.config);
  head.setU32(4, head.length);
  head.setU32(8, crc32c(head.done().subarray(12)));
  yield head.done();
  let chunks = 0;
  let total = 0;
  for (const part of state) {
    for (let at = 0; at < part.length; at += CHUNK_BYTES_MAX) {
      const bytes = part.subarray(at, at + CHUNK_BYTES_MAX);
      const out = new ByteWriter(8 + bytes.length);
      out
        .u32(bytes.length)
        .u32(snapshotChunkCrc(header, chunks, bytes))
        .raw(bytes);
      yield out.done();
      chunks += 1;
      total += bytes.length;
    }
  }
  const foot = new ByteWriter(32);
  foot.u32(END).i53(header.start.index).u32(chunks).i53(total);
  foot.u32(crc32c(foot.done())).u32(FOOTER_MAGIC);
  yield foot.done();
}

/** Magic, length, CRC. */
export const SNAPSHOT_HEAD_BYTES = 12;
/** Length 0, index, chunks, bytes, CRC, magic. */
export const SNAPSHOT_FOOTER_BYTES = 32;
const HEADER_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes of the whole header, from its first 12. @throws {Malformed} */
export function snapshotHeaderBytes(head: Uint8Array): number {
  const from = new ByteReader(head);
  if (from.u32() !== HEADER_MAGIC) throw new Malformed("this is no snapshot");
  const bytes = from.u32();
  if (bytes < SNAPSHOT_HEAD_BYTES || bytes > HEADER_BYTES_MAX) throw new Malformed(`a header of ${bytes} bytes`);
  return bytes;
}

/** @param bytes all of the header. @throws {Malformed} */
export function decodeSnapshotHeader(bytes: Uint8Array): SnapshotHeader {
  if (snapshotHeaderBytes(bytes) !== bytes.length) throw new Malformed("the header has another length");
  const from = new ByteReader(bytes, 8);
  if (from.u32() !== crc32c(bytes.subarray(SNAPSHOT_HEAD_BYTES))) throw new Malformed("the CRC of the header does not match");
  const header: SnapshotHeader = {
    groupId: from.i53() as GroupId,
    replicaId: from.i53() as ReplicaId,
    start: readStart(from),
    appendTime: from.i53(),
    recoveryEpoch: from.i53(),
    config: from.bytes(),
  };
  from.end();
  return header;
}

/** @param bytes the whole file. @throws {Malformed} with the place */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const headBytes = snapshotHeaderBytes(bytes);
  if (headBytes > bytes.length) throw new Malformed(`a header of ${headBytes} bytes`);
  const header = decodeSnapshotHeader(bytes.subarray(0, headBytes));
  const from = new ByteReader(bytes, headBytes);
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const at = from.at;
    const length = from.u32();
    if (length === END) {
      readSnapshotFooter(bytes.subarray(at), at, header, chunks.length, total);
      break;
    }
    requireChunkLength(length, at);
    const crc = from.u32();
    const chunk = from.raw(length);
    if (snapshotChunkCrc(header, chunks.length, chunk) !== crc) throw new Malformed(`the CRC of the chunk at byte ${at} does not match`);
    chunks.push(chunk);
    total += length;
  }
  return { header, state: joined(chunks, total) };
}

/** @throws {Malformed} */
export function requireChunkLength(length: number, at: number): void {
  if (length > CHUNK_BYTES_MAX) throw new Malformed(`a chunk of ${length} bytes at byte ${at}`);
}

/** @param bytes from the footer on, at byte `at`, to the end of the file. @throws {Malformed} */
export function readSnapshotFooter(bytes: Uint8Array, at: number, header: SnapshotHeader, chunks: number, total: number): void {
  const from = new ByteReader(bytes);
  const same = from.u32() === END && from.i53() === header.start.index && from.u32() === chunks && from.i53() === total;
  const crc = crc32c(bytes.subarray(0, SNAPSHOT_FOOTER_BYTES - 8));
  if (from.u32() !== crc || from.u32() !== FOOTER_MAGIC) throw new Malformed(`the footer at byte ${at} does not match its CRC`);
  if (!same) throw new Malformed(`the footer at byte ${at} is that of another snapshot`);
  from.end();
}

/** Over its place too: a chunk of another snapshot, or another chunk of this one, is not taken for it. */
export function snapshotChunkCrc(header: SnapshotHeader, number: number, bytes: Uint8Array): number {
  const place = new ByteWriter(32);
  place.i53(header.groupId).i53(header.start.index).u32(number);
  return crc32c(bytes, crc32c(place.done()));
}

export function joined(chunks: readonly Uint8Array[], total: number): Uint8Array {
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
