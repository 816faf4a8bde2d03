import type { LogIndex, Offset } from "../base/ids.ts";
import { isNoSpace } from "./disk-space.ts";
import { boundsIn, type DoctorHost, type Patient, writeIndex } from "./doctor-host.ts";
import { FileWindow } from "./file-window.ts";
import type { PullFrames, SegmentHole } from "./holes.ts";
import { Producers } from "./model/producers.ts";
import { groupFolder, type SegmentName } from "./model/segment-name.ts";
import { Segment } from "./segment.ts";
import { REPAIR_SUFFIX, removeFile, surveyFile, withFile } from "./segment-loader.ts";
import { type RewriteRequest, type Rewritten, rewriteSegment } from "./segment-rewrite.ts";
import { BadSegment } from "./segment-scan.ts";
import type { Survey } from "./segment-survey.ts";
import type { SegmentWriter } from "./segment-writer.ts";

export interface Parting {
  readonly patient: Patient;
  readonly writer: Pick<SegmentWriter, "alone">;
  readonly host: DoctorHost;
  readonly isGone: (segment: Segment) => boolean;
  /** As of this index, where a segment that holds it is damaged before it. */
  readonly producersAt: (segment: Segment, index: LogIndex) => Promise<Producers>;
}

/** Where the second part begins in the file of the first. */
interface Border {
  readonly name: SegmentName;
  readonly position: number;
}

/**
 * A damaged segment of which a committed trim passes over the head, hole included, while its tail must stay: the tail becomes a segment
 * of its own, so that the head can go like any other that is trimmed. The new file stands beside the damaged one: a start that finds
 * both takes the first to end where the second begins. Until it is there nothing has changed.
 *
 * @param cut the last entry of the head: others do not have it any more
 * @param trimmed the trim they obeyed: the head must end at or below it
 * @returns whether it was parted. @throws {DiskError} @throws {WriterStopped}
 */
export async function partSegment(parting: Parting, cut: LogIndex, trimmed: Offset, pull: PullFrames): Promise<boolean> {
  const { patient, isGone, producersAt } = parting;
  const segment = patient.list.find((one) => one.name.baseIndex <= cut && cut < one.lastIndex);
  if (segment === undefined || !segment.sealed || isGone(segment) || !segment.holes.some(({ first }) => first <= cut)) return false;
  try {
    const border = await borderOf(parting, segment, cut, pull);
    if (border === undefined || border.name.baseOffset > trimmed) return false;
    const producers = await producersAt(segment, cut);
    const point = { ...patient.startPoint(border.name), producers };
    const tail = await writeTail(parting, segment, border, point, pull);
    return tail !== undefined && (await parting.writer.alone(() => swap(parting, segment, border, tail)));
  } catch (error) {
    // More of it is bad than was known: the next repair looks at it again.
    if (!(error instanceof BadSegment)) throw error;
    return false;
  }
}

/** Behind the cut a whole frame says where it begins; one in a hole has to come from elsewhere first. */
async function borderOf({ host }: Parting, segment: Segment, cut: LogIndex, pull: PullFrames): Promise<Border | undefined> {
  const baseIndex = (cut + 1) as LogIndex;
  const hole = segment.holes.find(({ first, last }) => first <= cut && last >= cut);
  if (hole?.last === cut) {
    const { endOffset: baseOffset, end } = hole;
    return end === undefined ? undefined : { name: { baseIndex, baseOffset }, position: end };
  }
  if (hole !== undefined) {
    const [frame] = (await pull(baseIndex, hole.last)) ?? [];
    return frame?.index === baseIndex ? { name: { baseIndex, baseOffset: frame.baseOffset }, position: hole.position } : undefined;
  }
  const entry = segment.index?.atIndex(baseIndex);
  if (entry === undefined) return undefined;
  return withFile(host.disk, segment.path, "read", async (file) => {
    const window = new FileWindow(file, await file.size(), (_bytes, read) => host.scheduler.idle(read));
    for (let { position } = entry; ; ) {
      const frame = await window.frame(position);
      if (typeof frame === "string") throw new BadSegment(position, frame);
      if (frame.index === baseIndex) return { name: { baseIndex, baseOffset: frame.baseOffset }, position };
      if (frame.index > baseIndex) throw new BadSegment(position, `frame ${frame.index} lies where ${baseIndex} should`);
      position += frame.bytes.length;
    }
  });
}

interface Tail {
  readonly segment: Segment;
  readonly rewritten: Rewritten;
  readonly survey: Survey;
}

/** @returns undefined when not all of it can be had now; then there is no file */
async function writeTail(
  { patient, host }: Parting,
  segment: Segment,
  { name, position }: Border,
  point: RewriteRequest["point"],
  pull: PullFrames,
): Promise<Tail | undefined> {
  const tail = new Segment(patient.groupId, patient.replicaId, name, point.start.term, 0);
  const temporary = `${tail.path}${REPAIR_SUFFIX}`;
  const bounds = { ...boundsIn(patient, segment), name };
  const holes = segment.holes.filter(({ last }) => last >= name.baseIndex).map((hole) => behind(hole, name));
  const request = { bounds, point, holes, firstPosition: position, pull, bytesMax: Number.POSITIVE_INFINITY };
  const rewritten = segment.missing
    ? await rewriteSegment(host.disk, temporary, { ...request, source: undefined })
    : await withFile(host.disk, segment.path, "read", async (file) => {
        const source = new FileWindow(file, await file.size(), (_bytes, read) => host.scheduler.idle(read));
        return rewriteSegment(host.disk, temporary, { ...request, source });
      });
  if (rewritten === undefined) return undefined;
  const survey = await surveyFile(host.disk, temporary, bounds, rewritten.index, (_bytes, read) => host.scheduler.idle(read));
  if (rewritten.holes.length > 0 || survey.pointWrong !== undefined || survey.holes.length > 0) {
    await removeFile(host.disk, temporary);
    return undefined;
  }
  tail.restore(rewritten.facts);
  tail.sealed = true;
  return { segment: tail, rewritten, survey };
}

function behind(hole: SegmentHole, { baseIndex, baseOffset }: SegmentName): SegmentHole {
  return hole.first >= baseIndex ? hole : { ...hole, first: baseIndex, firstOffset: baseOffset };
}

/** The tail is there from now on, and the damaged segment ends before it. Nothing else of the group is written meanwhile. */
async function swap(
  { patient, host, isGone }: Parting,
  head: Segment,
  { name, position }: Border,
  { segment, rewritten, survey }: Tail,
): Promise<boolean> {
  const { disk, cold } = host;
  const temporary = `${segment.path}${REPAIR_SUFFIX}`;
  if (isGone(head) || head.lastIndex !== segment.lastIndex) {
    await removeFile(disk, temporary);
    return false;
  }
  await disk.rename(temporary, segment.path);
  await disk.syncDirectory(groupFolder(patient.groupId, patient.replicaId));
  await cold.forget(head);
  const lastIndex = (name.baseIndex - 1) as LogIndex;
  const endOffset = name.baseOffset;
  const holes = head.holes
    .filter(({ first }) => first <= lastIndex)
    .map((hole) => (hole.last <= lastIndex ? hole : { ...hole, last: lastIndex, endOffset, end: undefined }));
  const frames = name.baseIndex - head.name.baseIndex;
  head.restore({ ...head.facts(), lastIndex, lastTerm: patient.terms().termAt(lastIndex) ?? head.lastTerm, endOffset, frames, position });
  head.surveyed({ holes, pointWrong: head.pointWrong, index: head.index ?? rewritten.index });
  patient.list.splice(patient.list.indexOf(head) + 1, 0, segment);
  cold.remember(segment, survey.index);
  const { mark } = patient;
  // Not waited for: until it is durable a start finds the damaged one as it was, and takes the new file for one that was never promised.
  if (mark?.baseIndex === head.name.baseIndex) void patient.synced({ ...mark, ...segment.name, position: rewritten.size, sealed: true });
  await writeIndex(disk, segment, survey.index, survey.producers ?? Producers.lost()).catch((error: unknown) => {
    if (!isNoSpace(error)) throw error;
  });
  return true;
}
