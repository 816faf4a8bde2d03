import type { GroupId } from "../base/ids.ts";
import { type Disk, DiskError, type DiskFile } from "../base/ports/disk.ts";
import { Malformed } from "./model/bytes.ts";
import type { GroupImage } from "./model/image.ts";
import { Producers } from "./model/producers.ts";
import type { SyncedMark } from "./model/records.ts";
import {
  decodeFooter,
  decodeStartPoint,
  FOOTER_BYTES,
  START_HEADER_BYTES,
  type StartPoint,
  startPointBytes,
} from "./model/segment-files.ts";
import { groupFolder, parseSegment, type SegmentName, segmentStem } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";
import { Segment } from "./segment.ts";
import { BadSegment, SegmentCursor } from "./segment-scan.ts";
import { DamagedLog } from "./types.ts";

export interface LoadedSegments {
  /** Ascending, without gaps; the last one may still grow. */
  readonly segments: readonly Segment[];
  /** As of the end of the last one. */
  readonly producers: Producers;
}

/**
 * What one group has in segments after a start. They end where the last `synced` record says: what is behind it was never promised,
 * and comes from the write-ahead log again. They begin where the log does: what a trim dropped and a crash left is removed here.
 *
 * @throws {DamagedLog} something that was synced is missing or different
 */
export async function loadSegments(disk: Disk, image: GroupImage): Promise<LoadedSegments> {
  const folder = groupFolder(image.groupId, image.replicaId);
  const found = await listSegments(disk, folder);
  const mark = image.synced;
  // Above the mark nothing was promised; below the start everything was given up (`install`), and a crash kept it from being removed.
  const belongs = (name: SegmentName): boolean =>
    mark !== undefined && name.baseIndex > image.start.index && name.baseIndex <= mark.baseIndex;
  await removeSegments(
    disk,
    folder,
    found.filter((name) => !belongs(name)),
  );
  const names = found.filter(belongs);
  if (mark === undefined) return { segments: [], producers: new Producers() };

  const segments: Segment[] = [];
  let next: SegmentName = { baseIndex: (image.start.index + 1) as SegmentName["baseIndex"], baseOffset: image.start.offset };
  let term = image.start.term;
  for (const name of names) {
    if (name.baseIndex >= mark.baseIndex) break;
    const segment = new Segment(image.groupId, image.replicaId, name, term, 0);
    await loadSealed(disk, segment, await sizeOf(disk, segment.path));
    requireNext(segment, next);
    segments.push(segment);
    next = { baseIndex: (segment.lastIndex + 1) as SegmentName["baseIndex"], baseOffset: segment.endOffset };
    term = segment.lastTerm;
  }
  const last = new Segment(image.groupId, image.replicaId, mark, term, 0);
  requireNext(last, next);
  const producers = await loadLast(disk, image, last, mark);
  return { segments: [...segments, last], producers };
}

function requireNext(segment: Segment, next: SegmentName): void {
  if (segment.name.baseIndex !== next.baseIndex || segment.name.baseOffset !== next.baseOffset)
    throw new DamagedLog(
      segment.path,
      0,
      `a segment that begins with frame ${next.baseIndex} at offset ${next.baseOffset} is missing before it`,
    );
}

/** A sealed segment says at its end what it holds. */
async function loadSealed(disk: Disk, segment: Segment, size: number): Promise<void> {
  const footer = new Uint8Array(FOOTER_BYTES);
  const at = Math.max(0, size - FOOTER_BYTES);
  const read = await withFile(disk, segment.path, "read", (file) => file.read(at, footer));
  try {
    const facts = decodeFooter(footer.subarray(0, read));
    if (facts.position !== at || facts.baseIndex !== segment.name.baseIndex || facts.baseOffset !== segment.name.baseOffset)
      throw new Malformed("the footer is that of another segment");
    segment.restore(facts);
    segment.sealed = true;
  } catch (error) {
    if (error instanceof Malformed) throw new DamagedLog(segment.path, at, error.message);
    throw error;
  }
}

/** The newest segment: cut to what was synced, and walked as far as its index file does not cover it. */
async function loadLast(disk: Disk, image: GroupImage, segment: Segment, mark: SyncedMark): Promise<Producers> {
  const size = await sizeOf(disk, segment.path);
  if (size < mark.position) throw new DamagedLog(segment.path, size, `the file ends here, ${mark.position} bytes were synced`);
  if (size > mark.position) await withFile(disk, segment.path, "write", (file) => file.truncate(mark.position));
  if (mark.sealed) await loadSealed(disk, segment, mark.position);
  const end = mark.sealed ? segment.position : mark.position;

  const known = await readIndex(disk, segment, end);
  const point = await readStartPoint(disk, segment);
  if (point.groupId !== image.groupId || point.replicaId !== image.replicaId || point.start.index !== mark.baseIndex - 1)
    throw new DamagedLog(
      segment.path,
      0,
      `the start point is that of group ${point.groupId}, replica ${point.replicaId}, index ${point.start.index}`,
    );
  const producers = known?.producers ?? point.producers;
  const walked = new Segment(image.groupId, image.replicaId, segment.name, point.start.term, point.bytes);
  walked.index = known?.index ?? new SparseIndex();
  if (known !== undefined) walked.restore(known.facts);
  await walk(disk, image, walked, producers, end);
  if (walked.lastIndex !== mark.index || walked.lastTerm !== mark.term || walked.endOffset !== mark.offset)
    throw new DamagedLog(segment.path, walked.position, `the segment ends with frame ${walked.lastIndex}, ${mark.index} was synced`);
  segment.restore(walked.facts());
  segment.index = walked.index;
  return producers;
}

async function walk(disk: Disk, image: GroupImage, segment: Segment, producers: Producers, end: number): Promise<void> {
  if (segment.position >= end) return;
  const cursor = new SegmentCursor(image.groupId, segment.lastIndex + 1, segment.position);
  await withFile(disk, segment.path, "read", async (file) => {
    while (cursor.position < end) {
      if (cursor.length() === undefined) await cursor.load(file, end);
      const frame = cursor.next(() => true);
      segment.add({ ...frame, length: frame.bytes.length });
      producers.append(frame);
      producers.advance(frame.index);
    }
  }).catch((error: unknown) => {
    throw error instanceof BadSegment ? new DamagedLog(segment.path, error.position, error.message) : error;
  });
}

/**
 * Walks a sealed segment for the index that its file does not give.
 *
 * @throws {BadSegment}
 */
export async function rebuildIndex(
  groupId: GroupId,
  segment: Segment,
  withSegment: (work: (file: DiskFile) => Promise<void>) => Promise<void>,
): Promise<SparseIndex> {
  const index = new SparseIndex();
  const head = new Uint8Array(START_HEADER_BYTES);
  let begin = 0;
  await withSegment(async (file) => {
    begin = await startPointLength(file, head);
  });
  const cursor = new SegmentCursor(groupId, segment.name.baseIndex, begin);
  while (cursor.index <= segment.lastIndex) {
    if (cursor.length() === undefined) await withSegment((file) => cursor.load(file, segment.position));
    const { position } = cursor;
    index.add(
      cursor.next(() => false),
      position,
    );
  }
  return index;
}

async function startPointLength(file: DiskFile, head: Uint8Array): Promise<number> {
  try {
    return startPointBytes(head.subarray(0, await file.read(0, head)));
  } catch (error) {
    if (error instanceof Malformed) throw new BadSegment(0, error.message);
    throw error;
  }
}

/** The derived index, when it is there, whole, and covers no more than what was synced. */
async function readIndex(disk: Disk, segment: Segment, end: number): Promise<ReturnType<typeof SparseIndex.decode> | undefined> {
  const found = await loadIndex(disk, segment.indexPath);
  if (found === undefined || found.facts.position > end) return undefined;
  return found.facts.baseIndex === segment.name.baseIndex && found.facts.baseOffset === segment.name.baseOffset ? found : undefined;
}

/** @returns undefined when the file is missing or bad: it is derived, the segment says it all */
export async function loadIndex(disk: Disk, path: string): Promise<ReturnType<typeof SparseIndex.decode> | undefined> {
  try {
    return await withFile(disk, path, "read", async (file) => {
      const bytes = new Uint8Array(await file.size());
      const read = await file.read(0, bytes);
      return SparseIndex.decode(bytes.subarray(0, read));
    });
  } catch (error) {
    if (error instanceof Malformed || (error instanceof DiskError && error.code === "ENOENT")) return undefined;
    throw error;
  }
}

export async function readStartPoint(disk: Disk, segment: Segment): Promise<StartPoint & { readonly bytes: number }> {
  return withFile(disk, segment.path, "read", async (file) => {
    try {
      const head = new Uint8Array(START_HEADER_BYTES);
      const length = startPointBytes(head.subarray(0, await file.read(0, head)));
      const bytes = new Uint8Array(length);
      return { ...decodeStartPoint(bytes.subarray(0, await file.read(0, bytes))), bytes: length };
    } catch (error) {
      if (error instanceof Malformed) throw new DamagedLog(segment.path, 0, error.message);
      throw error;
    }
  });
}

async function listSegments(disk: Disk, folder: string): Promise<SegmentName[]> {
  try {
    // An index may have outlived its segment, when a crash came between the two.
    const stems = new Set((await disk.list(folder)).map((entry) => entry.name.replace(/\.index$/, ".log")));
    const names = [...stems].map((stem) => parseSegment(stem)).filter((name) => name !== undefined);
    return names.sort((a, b) => a.baseIndex - b.baseIndex);
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") throw new DamagedLog(folder, 0, "the folder of a group is missing");
    throw error;
  }
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  try {
    return await withFile(disk, path, "read", (file) => file.size());
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") throw new DamagedLog(path, 0, "the segment is missing");
    throw error;
  }
}

/** The derived index first: without its segment it would be believed to be that of a later one with the same name. */
export async function removeSegments(disk: Disk, folder: string, names: readonly SegmentName[]): Promise<void> {
  for (const name of names) {
    const stem = `${folder}/${segmentStem(name)}`;
    for (const path of [`${stem}.index`, `${stem}.log`]) await removeFile(disk, path);
  }
}

export async function removeFile(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
  }
}

async function withFile<T>(disk: Disk, path: string, mode: "read" | "write", work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(path, { mode });
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
