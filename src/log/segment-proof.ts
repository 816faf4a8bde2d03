import type { LogIndex, Offset, Term } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import { verifyPayload } from "../records/frame.ts";
import { type Frame, FrameType, nextOffsetOf } from "../records/frame-types.ts";
import { trimOf } from "../records/trim.ts";
import { FileWindow } from "./file-window.ts";
import { copyOf } from "./model/bytes.ts";
import type { GroupImage } from "./model/image.ts";
import type { SyncedMark } from "./model/records.ts";
import { FOOTER_BYTES, type StartPoint } from "./model/segment-files.ts";
import { groupFolder, parseSegment, type SegmentName, segmentStem } from "./model/segment-name.ts";
import type { TermStart } from "./model/terms.ts";
import { Segment } from "./segment.ts";
import { readFooter, withFile } from "./segment-loader.ts";
import { readStartPoint } from "./segment-survey.ts";

/** What segments hold above the last `synced` record that a damaged write-ahead log still has. */
export interface Proof {
  /** As a `synced` record would have said it. */
  readonly mark: SyncedMark;
  /** Where terms begin above the former mark. */
  readonly terms: readonly TermStart[];
  /** The newest configuration in these frames. */
  readonly config: Uint8Array | undefined;
  /** The furthest that a trim among them asks for. */
  readonly trim: Offset | undefined;
  /** Frames that say something else than the entry the write-ahead log has under their index. */
  readonly contradicts: boolean;
}

/**
 * Segments hold committed frames only, and are never truncated (design §4). So whatever stands in them proves itself, whether or not the
 * record that said it was synced is still there: frames that follow one another by index, offset and term, each with its CRC. Where
 * some are missing in between, a later segment that stands alone by its start point is kept too, and what is missing is a hole.
 *
 * What it finds is synced when this resolves. @returns undefined when there is nothing above the mark
 */
export async function proveAbove(disk: Disk, image: GroupImage): Promise<Proof | undefined> {
  const { groupId, replicaId, synced } = image;
  const folder = groupFolder(groupId, replicaId);
  const files = await segmentNames(disk, folder);
  const chain = new Chain(image);
  if (synced !== undefined && !synced.sealed && files.some((name) => name.baseIndex === synced.baseIndex))
    await chain.walk(disk, synced, synced.position);
  for (const name of files) {
    if (name.baseIndex <= chain.index || name.baseOffset < chain.offset) continue;
    const point = await pointOf(disk, image, name);
    if (point === undefined || !chain.joins(point.point)) continue;
    await chain.walk(disk, name, point.bytes);
  }
  if (chain.proof === undefined) return undefined;
  await disk.syncDirectory(folder);
  return chain.proof;
}

async function segmentNames(disk: Disk, folder: string): Promise<SegmentName[]> {
  const entries = await disk.list(folder).catch((error: unknown) => {
    if (error instanceof DiskError && error.code === "ENOENT") return [];
    throw error;
  });
  const names = entries.map(({ name }) => parseSegment(name)).filter((name) => name !== undefined);
  return names.sort((a, b) => a.baseIndex - b.baseIndex);
}

async function pointOf(
  disk: Disk,
  { groupId, replicaId }: GroupImage,
  name: SegmentName,
): Promise<{ readonly point: StartPoint; readonly bytes: number } | undefined> {
  const path = `${groupFolder(groupId, replicaId)}/${segmentStem(name)}.log`;
  const found = await withFile(disk, path, "read", async (file) =>
    readStartPoint(new FileWindow(file, await file.size()), { groupId, replicaId, name }),
  );
  return "point" in found ? found : undefined;
}

/** How far the frames that were looked at lead. */
class Chain {
  readonly #image: GroupImage;
  readonly #terms: TermStart[] = [];
  index: LogIndex;
  offset: Offset;
  #term: Term;
  #appendTime: number;
  #config: Uint8Array | undefined;
  #trim: Offset | undefined;
  #contradicts = false;
  #mark: SyncedMark | undefined;
  /** What was proved before the first gap. */
  #beforeGap: { readonly proof: Proof | undefined } | undefined;

  constructor(image: GroupImage) {
    const from = image.synced ?? { ...image.start, appendTime: 0 };
    this.#image = image;
    this.index = from.index;
    this.offset = from.offset;
    this.#term = from.term;
    this.#appendTime = from.appendTime;
  }

  /** Where the write-ahead log has all of it, what is missing in between included, segments behind a gap prove nothing that is needed. */
  get proof(): Proof | undefined {
    const covered = !this.#contradicts && (this.#mark?.index ?? 0) <= this.#image.lastIndex;
    return covered && this.#beforeGap !== undefined ? this.#beforeGap.proof : this.#proved();
  }

  #proved(): Proof | undefined {
    const mark = this.#mark;
    if (mark === undefined) return undefined;
    // A segment without a frame proves nothing, not even its terms: an install that was cut off leaves one.
    const terms = this.#terms.filter(({ firstIndex }) => firstIndex <= mark.index);
    return { mark, terms, config: this.#config, trim: this.#trim, contradicts: this.#contradicts };
  }

  /** Whether a segment that begins so may follow: at once, or behind a gap. */
  joins({ start, terms }: StartPoint): boolean {
    if (start.index === this.index) return start.offset === this.offset && start.term === this.#term;
    if (start.term < this.#term) return false;
    this.#beforeGap ??= { proof: this.#proved() };
    for (const { term, firstIndex } of terms) if (firstIndex > this.index) this.#begin(term, firstIndex);
    // A table that says nothing of the gap (a machine's log that was reset): its last entry is known all the same, and a snapshot taken
    // there is believed by its term.
    this.#begin(start.term, start.index);
    this.index = start.index;
    this.offset = start.offset;
    return true;
  }

  /** Follows the frames of one file from `position` on, as far as they follow one another. */
  async walk(disk: Disk, name: SegmentName, position: number): Promise<void> {
    const { groupId, replicaId } = this.#image;
    const segment = new Segment(groupId, replicaId, name, this.#term, position);
    await withFile(disk, segment.path, "write", async (file) => {
      const window = new FileWindow(file, await file.size());
      let end = position;
      for (;;) {
        const frame = await window.frame(end);
        if (typeof frame === "string" || !this.#follows(frame)) break;
        this.#take(frame);
        end += frame.bytes.length;
      }
      if (end === position) return;
      // Recovered is not durable: nobody may be told of it before.
      await file.sync();
      const { baseIndex, baseOffset } = name;
      const { index, offset } = this;
      const mark = { index, term: this.#term, offset, appendTime: this.#appendTime, baseIndex, baseOffset, position: end, sealed: false };
      const footer = await readFooter(disk, segment);
      const sealed = footer?.position === end && footer.lastIndex === index;
      this.#mark = sealed ? { ...mark, position: end + FOOTER_BYTES, sealed } : mark;
    });
  }

  #follows(frame: Frame): boolean {
    return (
      frame.groupId === this.#image.groupId &&
      frame.index === this.index + 1 &&
      frame.baseOffset === this.offset &&
      frame.term >= this.#term &&
      verifyPayload(frame)
    );
  }

  #take(frame: Frame): void {
    const { lastIndex } = this.#image;
    if (frame.index <= lastIndex && this.#image.termAt(frame.index) !== frame.term) this.#contradicts = true;
    if (frame.term !== this.#term || this.#terms.length === 0) this.#begin(frame.term, frame.index);
    if (frame.type === FrameType.config) this.#config = copyOf(frame.payload);
    this.#trim = trimOf(frame) ?? this.#trim;
    this.index = frame.index;
    this.offset = nextOffsetOf(frame);
    this.#appendTime = frame.appendTime;
  }

  /**
   * The first entry above the start always begins a term in a table. Where it is missing, and nothing tells its term (what moved the start is
   * gone too), it is given that of the first entry that is known: terms do not fall. Between two that are known it is left with that of the
   * one before. Neither is proved, and either may be wrong; all of it lies in holes, of whose terms nobody is told (`RaftCore.holes`).
   */
  #begin(term: Term, firstIndex: LogIndex): void {
    const { start, syncedIndex } = this.#image;
    if (this.#terms.length === 0 && syncedIndex === start.index) this.#terms.push({ term, firstIndex: (start.index + 1) as LogIndex });
    else if (term > this.#term) this.#terms.push({ term, firstIndex });
    this.#term = term;
  }
}
