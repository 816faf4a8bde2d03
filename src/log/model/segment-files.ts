import { crc32c } from "../../base/crc32c.ts";
import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../../base/ids.ts";
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts";
import { Producers } from "./producers.ts";
import { type LogStart, readStart, writeStart } from "./records.ts";
import { readTerms, type TermStart, writeTerms } from "./terms.ts";

/** What stands at the head of a segment, so that each stands alone (design §4). Drawn in FORMAT.md. */
export interface StartPoint {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  /** Of the entry before the first frame. */
  readonly start: LogStart;
  /** Terms of entries at or below `start.index`. */
  readonly terms: readonly TermStart[];
  readonly config: Uint8Array;
  readonly producers: Producers;
}

const START_MAGIC = 0x3153_524d; // "MRS1"
/** Magic, length, CRC. */
export const START_HEADER_BYTES = 12;
const START_BYTES_MAX = 64 * 1024 * 1024;

export function encodeStartPoint(point: StartPoint): Uint8Array {
  const out = new ByteWriter(512);
  out.u32(START_MAGIC).u32(0).u32(0);
  out.i53(point.groupId).i53(point.replicaId);
  writeStart(out, point.start);
  writeTerms(out, point.terms);
  out.bytes(point.config);
  point.producers.write(out);
  out.setU32(4, out.length);
  out.setU32(8, crc32c(out.done().subarray(START_HEADER_BYTES)));
  return out.done();
}

/** Bytes of the whole start point, from its first 12. @throws {Malformed} */
export function startPointBytes(head: Uint8Array): number {
  const from = new ByteReader(head);
  if (from.u32() !== START_MAGIC) throw new Malformed("this is no start point of a segment");
  const bytes = from.u32();
  if (bytes < START_HEADER_BYTES || bytes > START_BYTES_MAX) throw new Malformed(`a start point of ${bytes} bytes`);
  return bytes;
}

/** @throws {Malformed} */
export function decodeStartPoint(bytes: Uint8Array): StartPoint {
  if (startPointBytes(bytes) !== bytes.length) throw new Malformed("the start point has another length");
  const from = new ByteReader(bytes, 8);
  if (from.u32() !== crc32c(bytes.subarray(START_HEADER_BYTES))) throw new Malformed("the CRC of the start point does not match");
  const point = {
    groupId: from.i53() as GroupId,
    replicaId: from.i53() as ReplicaId,
    start: readStart(from),
    terms: readTerms(from),
    config: from.bytes(),
    producers: Producers.read(from),
  };
  from.end();
  return point;
}

/** What a segment holds. Stands in the footer of a sealed one, and in the derived index of any. */
export interface SegmentFacts {
  readonly baseIndex: LogIndex;
  readonly baseOffset: Offset;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly endOffset: Offset;
  readonly frames: number;
  /** Where the frames end: the length of the segment without its footer. */
  readonly position: number;
  readonly maxTimestamp: number;
  readonly firstAppendTime: number;
  readonly lastAppendTime: number;
}

export function writeFacts(out: ByteWriter, facts: SegmentFacts): void {
  out.i53(facts.baseIndex).i53(facts.baseOffset).i53(facts.lastIndex).i53(facts.lastTerm).i53(facts.endOffset);
  out.i53(facts.frames).i53(facts.position).i53(facts.maxTimestamp).i53(facts.firstAppendTime).i53(facts.lastAppendTime);
}

export function readFacts(from: ByteReader): SegmentFacts {
  return {
    baseIndex: from.i53() as LogIndex,
    baseOffset: from.i53() as Offset,
    lastIndex: from.i53() as LogIndex,
    lastTerm: from.i53() as Term,
    endOffset: from.i53() as Offset,
    frames: from.i53(),
    position: from.i53(),
    maxTimestamp: from.i53(),
    firstAppendTime: from.i53(),
    lastAppendTime: from.i53(),
  };
}

const FOOTER_MAGIC = 0x3146_524d; // "MRF1"
export const FOOTER_BYTES = 88;

export function encodeFooter(facts: SegmentFacts): Uint8Array {
  const out = new ByteWriter(FOOTER_BYTES);
  writeFacts(out, facts);
  out.u32(crc32c(out.done())).u32(FOOTER_MAGIC);
  return out.done();
}

/** @param bytes the last 88 of the file. @throws {Malformed} */
export function decodeFooter(bytes: Uint8Array): SegmentFacts {
  const from = new ByteReader(bytes);
  const facts = bytes.length === FOOTER_BYTES ? readFacts(from) : undefined;
  if (facts === undefined || from.u32() !== crc32c(bytes.subarray(0, FOOTER_BYTES - 8)) || from.u32() !== FOOTER_MAGIC)
    throw new Malformed("the footer does not match its CRC");
  return facts;
}
