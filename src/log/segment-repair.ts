import type { LogIndex, Offset } from "../base/ids.ts";
import { DiskError } from "../base/ports/disk.ts";
import { isNoSpace } from "./disk-space.ts";
import { boundsIn, type DoctorHost, type Patient, surveyIn, writeIndex } from "./doctor-host.ts";
import { FileWindow } from "./file-window.ts";
import type { PullFrames } from "./holes.ts";
import { Producers } from "./model/producers.ts";
import type { StartPoint } from "./model/segment-files.ts";
import { groupFolder } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";
import { Segment } from "./segment.ts";
import { loadIndex, REPAIR_SUFFIX, removeFile, surveyFile, withFile } from "./segment-loader.ts";
import { partSegment } from "./segment-parting.ts";
import { type Rewritten, rewriteSegment } from "./segment-rewrite.ts";
import { BadSegment } from "./segment-scan.ts";
import { readStartPoint, type SegmentBounds, type Survey } from "./segment-survey.ts";
import type { SegmentWriter } from "./segment-writer.ts";

/**
 * Makes damaged segments whole with frames from elsewhere, oldest first: the damaged one is written anew under a temporary name, synced,
 * read back, renamed, and the directory synced.
 *
 * What producers wrote is known at the head of each segment. Where that is lost with a segment, those begun before the repair say that
 * they do not know it, and count as damaged: their turn comes when everything before them is whole.
 */
export class SegmentRepair {
  readonly #patient: Patient;
  readonly #writer: SegmentWriter;
  readonly #host: DoctorHost;
  readonly #stopped: () => boolean;

  constructor(patient: Patient, writer: SegmentWriter, host: DoctorHost, stopped: () => boolean) {
    this.#patient = patient;
    this.#writer = writer;
    this.#host = host;
    this.#stopped = stopped;
  }

  /** Repairs what it can. One at a time. @throws {DiskError} @throws {WriterStopped} */
  async run(pull: PullFrames): Promise<void> {
    const { list } = this.#patient;
    const tried = new Set<Segment>();
    for (;;) {
      const segment = list.find((one) => one.damaged && one.sealed && !tried.has(one));
      if (this.#stopped()) return;
      if (segment !== undefined) {
        tried.add(segment);
        await this.#repairSegment(segment, pull);
        continue;
      }
      if (list.some((one) => one.damaged && one.sealed)) return;
      // From here on every new segment says what producers wrote.
      if (!this.#patient.producers.known && !(await this.#regainProducers())) return;
      const growing = list.find((one) => one.damaged && !tried.has(one));
      if (growing === undefined) return;
      await this.#writer.sealOff(growing);
    }
  }

  /** As of `partSegment`. */
  part(cut: LogIndex, trimmed: Offset, pull: PullFrames): Promise<boolean> {
    const producersAt = async (segment: Segment, index: LogIndex): Promise<Producers> => {
      const later = await this.#producersSince(segment);
      if (later === undefined) this.#host.telemetry.log("warn", "log.producers_lost", { group: this.#patient.groupId, path: segment.path });
      return later?.asOf(index) ?? new Producers();
    };
    const isGone = (segment: Segment): boolean => this.#isGone(segment);
    return partSegment({ patient: this.#patient, writer: this.#writer, host: this.#host, isGone, producersAt }, cut, trimmed, pull);
  }

  async #repairSegment(segment: Segment, pull: PullFrames): Promise<void> {
    const { list } = this.#patient;
    if (this.#isGone(segment)) return;
    const point = await this.#pointOf(segment);
    // An older segment must be whole first: what producers wrote up to here is known only then.
    if (point === undefined) return;
    const bounds = boundsIn(this.#patient, segment);
    const temporary = `${segment.path}${REPAIR_SUFFIX}`;
    const rewritten = await this.#rewrite(segment, temporary, bounds, point, pull);
    if (rewritten === undefined) return;
    const { lastIndex, endOffset } = rewritten.facts;
    const survey = await this.#verify(temporary, { ...bounds, lastIndex, endOffset }, rewritten);
    if (survey === undefined) return;
    await this.#writer.alone(() => this.#swap(segment, temporary, rewritten, survey));
    const cut = rewritten.lastIndex < bounds.lastIndex;
    if (list.includes(segment) && segment.missing === false && cut && rewritten.holes.length === 0) this.#restOfGap(segment, bounds);
    this.#host.telemetry.log("info", "log.hole_repaired", {
      group: this.#patient.groupId,
      path: segment.path,
      frames: rewritten.healed,
      left: segment.holes.length,
    });
    this.#host.telemetry.count("log_frames_repaired_total", rewritten.healed);
    this.#host.holesChanged(
      this.#patient.groupId,
      list.flatMap((one) => one.wrongs),
    );
    const rest = list[list.indexOf(segment) + 1];
    if (cut && rest?.missing === true) await this.#repairSegment(rest, pull);
  }

  #isGone(segment: Segment): boolean {
    return this.#stopped() || segment.dropped || !this.#patient.list.includes(segment);
  }

  async #rewrite(
    segment: Segment,
    temporary: string,
    bounds: SegmentBounds,
    point: StartPoint,
    pull: PullFrames,
  ): Promise<Rewritten | undefined> {
    const bytesMax = segment.missing ? this.#host.segmentBytes : Number.POSITIVE_INFINITY;
    const { holes } = segment;
    const firstPosition = segment.index?.entry(0)?.position ?? 0;
    const request = { bounds, point, holes, firstPosition, pull, bytesMax };
    const { disk, scheduler } = this.#host;
    try {
      if (segment.missing) return await rewriteSegment(disk, temporary, { ...request, source: undefined });
      return await withFile(disk, segment.path, "read", async (file) => {
        const source = new FileWindow(file, await file.size(), (_bytes, read) => scheduler.idle(read));
        return rewriteSegment(disk, temporary, { ...request, source });
      });
    } catch (error) {
      if (error instanceof DiskError && error.code === "ENOENT") return rewriteSegment(disk, temporary, { ...request, source: undefined });
      // More of it is bad than was known: looked at again, and repaired at the next try.
      if (!(error instanceof BadSegment)) throw error;
      segment.surveyed(await surveyIn(this.#host, this.#patient, segment, segment.index));
      return undefined;
    }
  }

  /** Reads back what was written, before it takes the place of anything. */
  async #verify(temporary: string, bounds: SegmentBounds, rewritten: Rewritten): Promise<Survey | undefined> {
    const survey = await surveyFile(this.#host.disk, temporary, bounds, rewritten.index, (_bytes, read) => this.#host.scheduler.idle(read));
    const good = survey.pointWrong === undefined && survey.holes.length <= rewritten.holes.length;
    if (good) return survey;
    await removeFile(this.#host.disk, temporary);
    this.#host.telemetry.log("error", "log.repair_unreadable", { path: temporary });
    return undefined;
  }

  /** The new file takes the place of the damaged one; nothing else of the group is written meanwhile. */
  async #swap(segment: Segment, temporary: string, rewritten: Rewritten, survey: Survey): Promise<void> {
    const { disk, cold } = this.#host;
    const { groupId, replicaId } = this.#patient;
    if (this.#isGone(segment)) return removeFile(disk, temporary);
    await disk.rename(temporary, segment.path);
    await disk.syncDirectory(groupFolder(groupId, replicaId));
    await cold.forget(segment);
    segment.missing = false;
    segment.restore(rewritten.facts);
    segment.index = undefined;
    segment.surveyed(survey);
    segment.sealed = true;
    if (!segment.damaged) cold.remember(segment, survey.index);
    // After a crash in between the old one is not believed of a file with other places (`indexFits`). While there are holes it is what
    // finds the frames behind them, and says nothing of producers.
    await writeIndex(disk, segment, survey.index, survey.producers ?? Producers.lost()).catch(ignoreNoSpace);
    const { mark } = this.#patient;
    if (mark?.baseIndex !== segment.name.baseIndex || mark.index !== segment.lastIndex) return;
    // Not waited for: a start in between goes by the frames, not by the length. What is damaged is said to be sealed like the rest: it has
    // no footer, so the next start walks it and finds the holes that are left.
    void this.#patient.synced({ ...mark, position: rewritten.size, sealed: true });
  }

  /** A gap was larger than a segment: what is left of it stands behind the first piece. */
  #restOfGap(segment: Segment, bounds: SegmentBounds): void {
    const { groupId, replicaId, list } = this.#patient;
    const name = { baseIndex: (segment.lastIndex + 1) as LogIndex, baseOffset: segment.endOffset };
    const rest = new Segment(groupId, replicaId, name, segment.lastTerm, 0);
    const { lastIndex, endOffset } = bounds;
    rest.restore({
      ...segment.facts(),
      ...name,
      lastIndex,
      endOffset,
      frames: lastIndex - name.baseIndex + 1,
      position: 0,
      maxTimestamp: Number.MAX_SAFE_INTEGER,
    });
    rest.missing = true;
    rest.sealed = true;
    rest.index = new SparseIndex();
    const what = "a segment is missing";
    rest.holes = [{ first: name.baseIndex, last: lastIndex, firstOffset: name.baseOffset, endOffset, position: 0, end: undefined, what }];
    list.splice(list.indexOf(segment) + 1, 0, rest);
  }

  /** What stands at the head of the repaired file: as it is now, when it can be read. Undefined while the producers cannot be known. */
  async #pointOf(segment: Segment): Promise<StartPoint | undefined> {
    const own = await this.#ownPoint(segment);
    if (own?.producers.known === true) return own;
    const producers = await this.#producersBefore(segment);
    if (producers === undefined) return undefined;
    return { ...(own ?? this.#patient.startPoint(segment.name)), producers };
  }

  async #ownPoint(segment: Segment): Promise<StartPoint | undefined> {
    const read = await withFile(this.#host.disk, segment.path, "read", async (file) =>
      readStartPoint(new FileWindow(file, await file.size()), segment),
    ).catch(ignoreDisk);
    return read !== undefined && "point" in read ? read.point : undefined;
  }

  /** As of the first frame of a segment whose own start point does not say it. */
  async #producersBefore(segment: Segment): Promise<Producers | undefined> {
    const { list, start, groupId } = this.#patient;
    const before = list[list.indexOf(segment) - 1];
    if (before === undefined) {
      const later = start.index === 0 ? new Producers() : await this.#producersSince(segment);
      if (later !== undefined) return later.asOf(start.index);
      this.#host.telemetry.log("warn", "log.producers_lost", { group: groupId, path: segment.path });
      return new Producers();
    }
    if (before.damaged) return undefined;
    const index = await loadIndex(this.#host.disk, before);
    if (index?.facts.lastIndex === before.lastIndex && index.producers.known) return index.producers;
    return (await surveyIn(this.#host, this.#patient, before, index?.index)).producers;
  }

  /** Of a segment before which nobody can look, or need look: what stands later of those who wrote before it. */
  async #producersSince(segment: Segment): Promise<Producers | undefined> {
    const { list, producers } = this.#patient;
    for (const later of list.slice(list.indexOf(segment) + 1)) {
      const point = await this.#ownPoint(later);
      if (point?.producers.known === true) return point.producers;
    }
    if (producers.known) return producers.copy();
    const index = await loadIndex(this.#host.disk, segment);
    return index?.producers.known === true ? index.producers : undefined;
  }

  /** Every sealed segment is whole: what they and the newest one say is what is known of the producers from now on. */
  #regainProducers(): Promise<boolean> {
    return this.#writer.alone(async () => {
      const { list, producers } = this.#patient;
      const last = list.at(-1);
      if (last === undefined) return false;
      const before = (await this.#ownPoint(last))?.producers;
      const base = before?.known === true ? before : await this.#producersBefore(last);
      const survey = base === undefined ? undefined : await surveyIn(this.#host, this.#patient, last, undefined, { before: base });
      if (survey?.producers === undefined) return false;
      producers.adopt(survey.producers);
      return true;
    });
  }
}

/** On a full disk what is derived is left out: a later start makes it again (ADR 0010). */
export function ignoreNoSpace(error: unknown): void {
  if (!isNoSpace(error)) throw error;
}

export function ignoreDisk(error: unknown): undefined {
  if (!(error instanceof DiskError)) throw error;
  return undefined;
}
