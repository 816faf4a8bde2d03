import type { LogIndex, Offset } from "../base/ids.ts";
import { type Disk, DiskError, type DiskFile } from "../base/ports/disk.ts";
import { FileWindow, type PacedRead, unpaced } from "./file-window.ts";
import { Malformed } from "./model/bytes.ts";
import type { GroupImage } from "./model/image.ts";
import { Producers } from "./model/producers.ts";
import type { SyncedMark } from "./model/records.ts";
import { decodeFooter, encodeFooter, FOOTER_BYTES, type SegmentFacts, type StartPoint } from "./model/segment-files.ts";
import { GROUPS_FOLDER, groupFolder, parseSegment, type SegmentName, segmentStem } from "./model/segment-name.ts";
import { type IndexFile, SparseIndex } from "./model/sparse-index.ts";
import { Segment } from "./segment.ts";
import { BadSegment, SegmentCursor } from "./segment-scan.ts";
import { readStartPoint, type SegmentBounds, type Survey, surveySegment } from "./segment-survey.ts";
import { DamagedLog } from "./types.ts";

/** Ending of the file that a damaged segment is written anew under. */
export const REPAIR_SUFFIX = ".repair";
/** Of a segment that a damaged write-ahead log names no more. */
const ASIDE_SUFFIX = ".forgotten";

/** A start point alone is short, most often. */
const START_READ_BYTES = 4096;

export interface LoadedSegments {
  /** Ascending, without gaps: where a file is missing, one without a file stands. */
  readonly segments: Segment[];
  /** As of the end of the last one; undefined: damaged files keep it from being known. */
  readonly producers: Producers | undefined;
  /** The last one may be written on. */
  readonly grows: boolean;
  /** Footers that were missing or bad, and were made again: where each begins. */
  readonly rebuilt: readonly Rebuilt[];
}

export interface Rebuilt {
  readonly path: string;
  readonly position: number;
}

/**
 * What one group has in segments after a start. They end where the last `synced` record says: what is behind it was never promised,
 * and comes from the write-ahead log again. Something that was synced and is missing or different is a hole: the rest is used.
 * They begin where the log does: what a trim dropped and a crash left is removed here.
 */
export async function loadSegments(disk: Disk, image: GroupImage): Promise<LoadedSegments> {
  const mark = image.synced;
  const names = await listSegments(disk, image, mark);
  if (mark === undefined) return { segments: [], producers: new Producers(), grows: false, rebuilt: [] };
  const segments: Segment[] = [];
  const rebuilt: Rebuilt[] = [];
  let next: SegmentName = { baseIndex: (image.start.index + 1) as LogIndex, baseOffset: image.start.offset };
  const missingBefore = (name: SegmentName): void => {
    if (name.baseIndex <= next.baseIndex) return;
    segments.push(missing(image, next, (name.baseIndex - 1) as LogIndex, name.baseOffset, "a segment is missing"));
    next = name;
  };
  const older = names.filter((name) => name.baseIndex < mark.baseIndex);
  for (const [i, name] of older.entries()) {
    // A name that does not follow is none of ours: what should be there is missing.
    if (name.baseIndex < next.baseIndex || name.baseOffset < next.baseOffset) continue;
    if (name.baseIndex === next.baseIndex && name.baseOffset !== next.baseOffset) continue;
    missingBefore(name);
    const segment = await loadSealed(disk, image, name, older[i + 1] ?? mark, rebuilt);
    segments.push(segment);
    next = { baseIndex: (segment.lastIndex + 1) as LogIndex, baseOffset: segment.endOffset };
  }
  missingBefore(mark);
  const last = await loadLast(disk, image, mark);
  return { segments: [...segments, last.segment], producers: last.producers, grows: !mark.sealed && !last.segment.damaged, rebuilt };
}

/** What the log says a segment holds. */
export function boundsOf(image: GroupImage, name: SegmentName, lastIndex: LogIndex, endOffset: Offset): SegmentBounds {
  const { groupId, replicaId } = image;
  return { groupId, replicaId, name, lastIndex, endOffset, termAt: (index) => image.termAt(index) };
}

/** Reads the whole file. A file that is not there is one hole. */
export async function surveyFile(
  disk: Disk,
  path: string,
  bounds: SegmentBounds,
  trusted: SparseIndex | undefined,
  paced?: PacedRead,
  before?: Producers,
): Promise<Survey> {
  try {
    return await withFile(disk, path, "read", async (file) =>
      surveySegment(new FileWindow(file, await file.size(), paced), bounds, trusted, before),
    );
  } catch (error) {
    if (!(error instanceof DiskError && (error.code === "ENOENT" || error.code === "EIO"))) throw error;
    return surveySegment(undefined, bounds, undefined, before);
  }
}

function missing(image: GroupImage, name: SegmentName, lastIndex: LogIndex, endOffset: Offset, what: string): Segment {
  const { groupId, replicaId } = image;
  const segment = new Segment(groupId, replicaId, name, image.termAt((name.baseIndex - 1) as LogIndex) ?? image.start.term, 0);
  segment.missing = true;
  segment.restore(factsOfGap(image, name, lastIndex, endOffset));
  segment.index = new SparseIndex();
  const hole = { first: name.baseIndex, last: lastIndex, firstOffset: name.baseOffset, endOffset, position: 0, end: undefined, what };
  segment.holes = [hole];
  segment.sealed = true;
  return segment;
}

function factsOfGap(image: GroupImage, name: SegmentName, lastIndex: LogIndex, endOffset: Offset): SegmentFacts {
  return {
    ...name,
    lastIndex,
    lastTerm: image.termAt(lastIndex) ?? image.start.term,
    endOffset,
    frames: lastIndex - name.baseIndex + 1,
    position: 0,
    maxTimestamp: Number.MAX_SAFE_INTEGER,
    firstAppendTime: 0,
    lastAppendTime: 0,
  };
}

/** A sealed segment says at its end what it holds; where it does not, it is walked up to where the next one begins. */
async function loadSealed(disk: Disk, image: GroupImage, name: SegmentName, following: SegmentName, rebuilt: Rebuilt[]): Promise<Segment> {
  const segment = new Segment(image.groupId, image.replicaId, name, image.start.term, 0);
  segment.sealed = true;
  const facts = await readFooter(disk, segment);
  if (facts !== undefined && (reaches(facts, following) || (await holds(disk, image, segment, facts, following)))) {
    segment.restore(facts);
    return segment;
  }
  const bounds = boundsOf(image, name, (following.baseIndex - 1) as LogIndex, following.baseOffset);
  const known = await loadIndex(disk, segment);
  const survey = await surveyFile(disk, segment.path, bounds, known?.index);
  segment.restore(survey.facts);
  segment.surveyed(survey);
  if (segment.damaged) return segment;
  rebuilt.push({ path: segment.path, position: segment.position });
  await writeFooter(disk, segment);
  return segment;
}

/** It ends where the next one begins. */
function reaches(facts: SegmentFacts, following: SegmentName): boolean {
  return facts.lastIndex + 1 === following.baseIndex && facts.endOffset === following.baseOffset;
}

/**
 * A footer that ends below the next segment says that one in between is missing: true only when these are the file's own frames, all of
 * them. Partitions that are written alike have segments of the same name, and a footer does not say whose it is: what it says of another
 * one's frames would make a gap that no frame fits.
 */
async function holds(disk: Disk, image: GroupImage, segment: Segment, facts: SegmentFacts, following: SegmentName): Promise<boolean> {
  if (facts.lastIndex >= following.baseIndex || facts.endOffset > following.baseOffset) return false;
  const bounds = boundsOf(image, segment.name, facts.lastIndex, facts.endOffset);
  const survey = await surveyFile(disk, segment.path, bounds, undefined);
  const whole = survey.pointWrong === undefined && survey.holes.length === 0;
  // A footer that ends too early leaves frames between what it counts and itself.
  return whole && survey.facts.position === facts.position && survey.reached === facts.endOffset;
}

/** @returns undefined when the file does not end with a footer of its own */
export async function readFooter(disk: Disk, segment: Segment): Promise<SegmentFacts | undefined> {
  const bytes = new Uint8Array(FOOTER_BYTES);
  try {
    return await withFile(disk, segment.path, "read", async (file) => {
      const at = Math.max(0, (await file.size()) - FOOTER_BYTES);
      const facts = decodeFooter(bytes.subarray(0, await file.read(at, bytes)));
      const own = facts.position === at && facts.baseIndex === segment.name.baseIndex && facts.baseOffset === segment.name.baseOffset;
      return own ? facts : undefined;
    });
  } catch (error) {
    if (error instanceof Malformed || error instanceof DiskError) return undefined;
    throw error;
  }
}

/** Whether the file of a sealed segment ends with what its frames say. */
export async function footerStands(disk: Disk, segment: Segment): Promise<boolean> {
  const facts = await readFooter(disk, segment);
  return facts !== undefined && facts.lastIndex === segment.lastIndex && facts.endOffset === segment.endOffset;
}

/** What is derived is written again when the frames are whole. */
export async function writeFooter(disk: Disk, segment: Segment): Promise<void> {
  await withFile(disk, segment.path, "write", async (file) => {
    await file.write(segment.position, [encodeFooter(segment.facts())]);
    await file.truncate(segment.position + FOOTER_BYTES);
    await file.sync();
  });
}

/** The newest segment: cut to what was synced, and walked as far as its index file does not cover it. */
async function loadLast(
  disk: Disk,
  image: GroupImage,
  mark: SyncedMark,
): Promise<{ readonly segment: Segment; readonly producers: Producers | undefined }> {
  const segment = new Segment(image.groupId, image.replicaId, mark, image.start.term, 0);
  const known = await loadIndex(disk, segment);
  const producers = await walkLast(disk, image, segment, mark, known);
  if (producers !== undefined) {
    await cutTo(disk, segment, mark.position);
    segment.sealed = mark.sealed;
    return { segment, producers };
  }
  // Not what it was, or written anew by a repair just before a crash: by its frames, not by its length.
  const survey = await surveyFile(disk, segment.path, boundsOf(image, mark, mark.index, mark.offset), known?.index);
  segment.restore(survey.facts);
  segment.surveyed(survey);
  segment.sealed = segment.damaged || mark.sealed;
  if (!segment.damaged) {
    segment.index = survey.index;
    await cutTo(disk, segment, segment.position);
    if (mark.sealed) await writeFooter(disk, segment);
  }
  const same = known?.facts.lastIndex === mark.index && known.producers.known ? known.producers : undefined;
  return { segment, producers: survey.producers ?? same };
}

/** @returns undefined when the file is not, byte for byte, what the mark says */
async function walkLast(
  disk: Disk,
  image: GroupImage,
  segment: Segment,
  mark: SyncedMark,
  known: IndexFile | undefined,
): Promise<Producers | undefined> {
  try {
    return await withFile(disk, segment.path, "read", async (file) => {
      const size = await file.size();
      if (size < mark.position) return undefined;
      const end = mark.sealed ? mark.position - FOOTER_BYTES : mark.position;
      if (mark.sealed) {
        const footer = new Uint8Array(FOOTER_BYTES);
        const facts = decodeFooter(footer.subarray(0, await file.read(end, footer)));
        if (facts.position !== end || facts.baseIndex !== mark.baseIndex || facts.baseOffset !== mark.baseOffset) return undefined;
      }
      const head = await readStartPoint(
        new FileWindow(file, size, unpaced, START_READ_BYTES),
        boundsOf(image, mark, mark.index, mark.offset),
      );
      if ("wrong" in head) return undefined;
      const { point } = head;
      if (!point.producers.known) return undefined;
      // An index that does not know the producers is of a file with holes: it covers none of it.
      const fits = known?.producers.known === true && known.facts.position <= end && indexFits(known.index, head.bytes);
      const covered = fits ? known : undefined;
      const producers = covered?.producers ?? point.producers;
      const walked = new Segment(image.groupId, image.replicaId, mark, point.start.term, head.bytes);
      walked.index = covered?.index ?? new SparseIndex();
      if (covered !== undefined) walked.restore(covered.facts);
      const cursor = new SegmentCursor(image.groupId, walked.lastIndex + 1, walked.position);
      while (cursor.position < end) {
        if (cursor.length() === undefined) await cursor.load(file, end);
        const frame = cursor.next(() => true);
        walked.add(frame, frame.bytes.length);
        producers.append(frame);
        producers.advance(frame.index);
      }
      if (walked.lastIndex !== mark.index || walked.lastTerm !== mark.term || walked.endOffset !== mark.offset) return undefined;
      segment.restore(walked.facts());
      segment.index = walked.index;
      return producers;
    });
  } catch (error) {
    if (error instanceof BadSegment || error instanceof Malformed || error instanceof DiskError) return undefined;
    throw error;
  }
}

async function cutTo(disk: Disk, segment: Segment, bytes: number): Promise<void> {
  await withFile(disk, segment.path, "write", async (file) => {
    if ((await file.size()) > bytes) await file.truncate(bytes);
  });
}

/**
 * Whether an index is of this very file: a repair may give a segment another start point, and with it other places, and a crash may come
 * before the index follows.
 *
 * @param firstPosition where the first frame lies
 */
export function indexFits(index: SparseIndex, firstPosition: number | undefined): boolean {
  return (index.entry(0)?.position ?? firstPosition) === firstPosition;
}

/** @returns undefined when the file is missing, bad or another segment's: it is derived, the segment says it all */
export async function loadIndex(disk: Disk, segment: Segment): Promise<IndexFile | undefined> {
  try {
    const found = await withFile(disk, segment.indexPath, "read", async (file) => {
      const bytes = new Uint8Array(await file.size());
      const read = await file.read(0, bytes);
      return SparseIndex.decode(bytes.subarray(0, read));
    });
    const { owner, facts } = found;
    if (owner.groupId !== segment.groupId || owner.replicaId !== segment.replicaId) return undefined;
    return facts.baseIndex === segment.name.baseIndex && facts.baseOffset === segment.name.baseOffset ? found : undefined;
  } catch (error) {
    if (error instanceof Malformed || error instanceof DiskError) return undefined;
    throw error;
  }
}

/**
 * Names of the segments up to the mark, ascending; files behind it, and those of a repair that was cut off, go away. Of a group that is
 * doubted they are kept under another name: what was above the mark may be what the damaged log said of it.
 */
async function listSegments(disk: Disk, image: GroupImage, mark: SyncedMark | undefined): Promise<SegmentName[]> {
  const folder = groupFolder(image.groupId, image.replicaId);
  const entries = await disk.list(folder).catch(async (error: unknown) => {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
    await disk.makeDirectory(folder);
    await disk.syncDirectory(GROUPS_FOLDER);
    return [];
  });
  for (const { name } of entries) if (name.endsWith(REPAIR_SUFFIX)) await removeFile(disk, `${folder}/${name}`);
  const names: SegmentName[] = [];
  const left: SegmentName[] = [];
  // An index may have outlived its segment, when a crash came between the two.
  for (const stem of new Set(entries.map((entry) => entry.name.replace(/\.index$/, ".log")))) {
    const name = parseSegment(stem);
    if (name === undefined) continue;
    // Above the mark nothing was promised; below the start everything was given up (`install`), and a crash kept it from being removed.
    if (mark === undefined || name.baseIndex <= image.start.index || name.baseIndex > mark.baseIndex) left.push(name);
    else if (name.baseIndex !== mark.baseIndex || name.baseOffset === mark.baseOffset) names.push(name);
  }
  if (image.doubted) await setSegmentsAside(disk, folder, left);
  else await removeSegments(disk, folder, left);
  return names.sort((a, b) => a.baseIndex - b.baseIndex);
}

/** The derived index first: without its segment it would be believed to be that of a later one with the same name. */
export async function removeSegments(disk: Disk, folder: string, names: readonly SegmentName[]): Promise<void> {
  for (const name of names) {
    const stem = `${folder}/${segmentStem(name)}`;
    for (const path of [`${stem}.index`, `${stem}.log`]) await removeFile(disk, path);
  }
}

async function setSegmentsAside(disk: Disk, folder: string, names: readonly SegmentName[]): Promise<void> {
  for (const name of names) {
    const stem = `${folder}/${segmentStem(name)}`;
    await removeFile(disk, `${stem}.index`);
    await disk.rename(`${stem}.log`, `${stem}.log${ASIDE_SUFFIX}`).catch((error: unknown) => {
      if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
    });
  }
  if (names.length > 0) await disk.syncDirectory(folder);
}

/** The start point of a segment. @throws {DamagedLog} @throws {DiskError} */
export async function readStart(disk: Disk, segment: Segment): Promise<StartPoint> {
  const head = await withFile(disk, segment.path, "read", async (file) =>
    readStartPoint(new FileWindow(file, await file.size(), unpaced, START_READ_BYTES), segment),
  );
  if ("wrong" in head) throw new DamagedLog(segment.path, 0, head.wrong);
  return head.point;
}

export async function removeFile(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
  }
}

export async function withFile<T>(disk: Disk, path: string, mode: "read" | "write", work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(path, { mode });
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
