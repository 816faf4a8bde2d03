import { MillraceError } from "../base/errors.ts";
import type { GroupId, LogIndex, ReplicaId } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { type ColdReader, SegmentDamaged } from "./cold-reader.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import { isNoSpace } from "./disk-space.ts";
import { FileWindow, type PacedRead } from "./file-window.ts";
import { type Hole, HoleMet, type PullFrames } from "./holes.ts";
import { Producers } from "./model/producers.ts";
import type { LogStart, SyncedMark } from "./model/records.ts";
import type { StartPoint } from "./model/segment-files.ts";
import { groupFolder } from "./model/segment-name.ts";
import { SparseIndex } from "./model/sparse-index.ts";
import { TermTable } from "./model/terms.ts";
import { Segment } from "./segment.ts";
import { footerStands, loadIndex, REPAIR_SUFFIX, removeFile, surveyFile, withFile, writeFooter } from "./segment-loader.ts";
import { type Rewritten, rewriteSegment } from "./segment-rewrite.ts";
import { BadSegment } from "./segment-scan.ts";
import { readStartPoint, type SegmentBounds, type Survey } from "./segment-survey.ts";
import type { SegmentSource, SegmentWriter } from "./segment-writer.ts";

/** What looks after segments needs of the store. */
export interface DoctorHost {
  readonly disk: Disk;
  readonly scheduler: DiskScheduler;
  readonly cold: ColdReader;
  readonly telemetry: Telemetry;
  readonly segmentBytes: number;
  /** The newest `synced` record of the group, as issued. */
  syncedMark(groupId: GroupId): SyncedMark | undefined;
  terms(groupId: GroupId): ConstructorParameters<typeof TermTable>[0];
  /** A hole was found, or the last one was closed. */
  holesChanged(groupId: GroupId, holes: readonly Hole[]): void;
  /** Asks for a repair now, because somebody waits; false: there is nobody who repairs, or it did not succeed. */
  heal(groupId: GroupId): Promise<boolean>;
}

/** The group whose segments these are. */
export interface Patient extends SegmentSource {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly start: LogStart;
}

/** What a scrub of one group read and found. */
export interface ScrubResult {
  readonly bytes: number;
  readonly segments: number;
  readonly holes: readonly Hole[];
  /** Derived files that were made again. */
  readonly rebuilt: readonly string[];
}

/** A read tries again after damage was looked at or repaired, at most so many times. */
const TRIES_MAX = 6;

/**
 * Finds out how much of a damaged segment is whole, and makes it whole (design §4, *Damage*). One per group. What a survey finds stays
 * in the segment: reads then stop before a hole instead of falling into it. Repairs run one at a time.
 */
export class SegmentDoctor {
  readonly #patient: Patient;
  readonly #segments: Segment[];
  readonly #writer: SegmentWriter;
  readonly #host: DoctorHost;
  readonly #looking = new Map<Segment, Promise<void>>();
  #repairing: Promise<unknown> = Promise.resolve();
  /** What the producers were before the oldest damage could not be read: they are built again once all is whole. */
  #producersLost: boolean;
  #stopped = false;

  /** @param segments the group's own list: what is repaired changes in it */
  constructor(patient: Patient, segments: Segment[], writer: SegmentWriter, host: DoctorHost, producersLost: boolean) {
    this.#patient = patient;
    this.#segments = segments;
    this.#writer = writer;
    this.#host = host;
    this.#producersLost = producersLost;
  }

  get holes(): readonly Hole[] {
    return this.#segments.flatMap((segment) => segment.wrongs);
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs a read of segments. Damage it falls into is looked at, and the read tried again; a hole is repaired first when `heals`.
   *
   * @throws {MillraceError} DATA_LOSS: the frames are in a hole that could not be repaired now
   */
  async read<T>(work: () => Promise<T>, heals: boolean): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof SegmentDamaged) {
          if (tries >= TRIES_MAX || this.#stopped) throw lossOf(error.segment.path, error.position, error.message);
          await this.#look(error.segment, error);
        } else if (error instanceof HoleMet) {
          const found = heals && tries < TRIES_MAX && !this.#stopped && (await this.#host.heal(this.#patient.groupId));
          if (!found) throw this.#lossOf(error);
        } else throw error;
      }
    }
  }

  /**
   * Closes what holes it can with frames from elsewhere, oldest first: the damaged segment is written anew under a temporary name,
   * synced, read back, renamed, and the directory synced. Resolves with whether none is left.
   */
  repair(pull: PullFrames): Promise<boolean> {
    const run = this.#repairing.then(async () => {
      for (const segment of this.#segments.filter((one) => one.damaged)) await this.#repairSegment(segment, pull);
      if (this.holes.length === 0 && this.#producersLost) await this.#regainProducers();
      return this.holes.length === 0;
    });
    this.#repairing = run.catch(() => {});
    return run;
  }

  /**
   * Reads every byte of every segment, up to where the growing one is written, no faster than `paced` lets it. What is derived and bad is
   * made again.
   */
  async scrub(paced: PacedRead): Promise<ScrubResult> {
    let bytes = 0;
    let segments = 0;
    const rebuilt: string[] = [];
    const idle: PacedRead = (length, read) => paced(length, () => this.#host.scheduler.idle(read));
    for (const segment of [...this.#segments]) {
      if (segment.damaged || this.#stopped || !this.#segments.includes(segment)) continue;
      const index = await loadIndex(this.#host.disk, segment);
      const survey = await this.#survey(segment, index?.index, idle);
      if (this.#stopped || segment.dropped || !this.#segments.includes(segment)) continue;
      segments += 1;
      bytes += survey.facts.position;
      if (!segment.sealed) {
        const hole = survey.holes[0];
        const what = survey.pointWrong ?? hole?.what;
        if (what !== undefined) await this.#look(segment, new SegmentDamaged(segment, hole?.position ?? 0, what));
        continue;
      }
      if (index === undefined || index.facts.lastIndex !== segment.lastIndex) rebuilt.push(segment.indexPath);
      if (!(await footerStands(this.#host.disk, segment))) rebuilt.push(segment.path);
      await this.#settle(segment, survey);
    }
    return { bytes, segments, holes: this.holes, rebuilt };
  }

  #look(segment: Segment, cause: SegmentDamaged): Promise<void> {
    const known = this.#looking.get(segment);
    if (known !== undefined) return known;
    const look = this.#lookOnce(segment, cause).finally(() => this.#looking.delete(segment));
    this.#looking.set(segment, look);
    return look;
  }

  async #lookOnce(segment: Segment, cause: SegmentDamaged): Promise<void> {
    // A later reader of the same damage: it was looked at meanwhile.
    if (segment.damaged || segment.dropped || !this.#segments.includes(segment)) return;
    this.#host.telemetry.log("warn", "log.segment_examined", { path: segment.path, position: cause.position, what: cause.message });
    // Nothing may be written behind a hole: the next frames go into a segment of their own.
    if (!segment.sealed) await this.#writer.sealOff(segment);
    const index = await loadIndex(this.#host.disk, segment);
    await this.#settle(segment, await this.#survey(segment, index?.index));
  }

  /** Takes what a survey found: holes are told, derived files that are bad are made again. */
  async #settle(segment: Segment, survey: Survey): Promise<void> {
    const { cold, disk, telemetry } = this.#host;
    segment.surveyed(survey);
    await cold.forget(segment);
    if (!segment.damaged) {
      cold.remember(segment, survey.index);
      const index = await loadIndex(disk, segment);
      if (index === undefined || index.facts.lastIndex !== segment.lastIndex) {
        telemetry.log("warn", "log.index_rebuilt", { path: segment.indexPath });
        if (survey.producers !== undefined) await this.#writeIndex(segment, survey.index, survey.producers).catch(ignoreNoSpace);
      }
      if (!(await footerStands(disk, segment))) {
        telemetry.log("warn", "log.footer_rebuilt", { path: segment.path });
        await writeFooter(disk, segment).catch(ignoreNoSpace);
      }
      return;
    }
    // Without its footer the next start walks the file and knows of the hole from the beginning.
    await withFile(disk, segment.path, "write", (file) => file.truncate(Math.max(segment.position, survey.facts.position))).catch(
      ignoreDisk,
    );
    tellHoles(telemetry, segment.wrongs);
    this.#host.holesChanged(this.#patient.groupId, this.holes);
  }

  #bounds(segment: Segment): SegmentBounds {
    const { groupId, replicaId } = this.#patient;
    const terms = new TermTable(this.#host.terms(groupId));
    const { name, lastIndex, endOffset } = segment;
    return { groupId, replicaId, name, lastIndex, endOffset, termAt: (index) => terms.termAt(index) };
  }

  #survey(segment: Segment, trusted: SparseIndex | undefined, paced?: PacedRead): Promise<Survey> {
    const read: PacedRead = paced ?? ((_bytes, one) => this.#host.scheduler.run("read", one));
    return surveyFile(this.#host.disk, segment.path, this.#bounds(segment), trusted, read);
  }

  async #repairSegment(segment: Segment, pull: PullFrames): Promise<void> {
    if (this.#stopped || segment.dropped || !this.#segments.includes(segment)) return;
    const producers = await this.#producersBefore(segment);
    // An older segment must be whole first: what producers wrote up to here is known only then.
    if (producers === undefined) return;
    const bounds = this.#bounds(segment);
    const start = this.#patient.startPoint(segment.name);
    const point: StartPoint = { ...start, producers };
    const temporary = `${segment.path}${REPAIR_SUFFIX}`;
    const rewritten = await this.#rewrite(segment, temporary, bounds, point, pull);
    if (rewritten === undefined) return;
    const survey = await this.#verify(
      temporary,
      { ...bounds, lastIndex: rewritten.facts.lastIndex, endOffset: rewritten.facts.endOffset },
      rewritten,
    );
    if (survey === undefined) return;
    await this.#writer.alone(() => this.#swap(segment, temporary, rewritten, survey));
    if (
      this.#segments.includes(segment) &&
      segment.missing === false &&
      rewritten.lastIndex < bounds.lastIndex &&
      rewritten.holes.length === 0
    )
      this.#restOfGap(segment, bounds);
    this.#host.telemetry.log("info", "log.hole_repaired", {
      group: this.#patient.groupId,
      path: segment.path,
      frames: rewritten.healed,
      left: segment.holes.length,
    });
    this.#host.telemetry.count("log_frames_repaired_total", rewritten.healed);
    this.#host.holesChanged(this.#patient.groupId, this.holes);
    const rest = this.#segments[this.#segments.indexOf(segment) + 1];
    if (rewritten.lastIndex < bounds.lastIndex && rest?.missing === true) await this.#repairSegment(rest, pull);
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
      segment.surveyed(await this.#survey(segment, segment.index));
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
    if (segment.dropped || !this.#segments.includes(segment)) return removeFile(disk, temporary);
    // It is of the old file, and must not be believed of the new one by a start after a crash in between.
    await removeFile(disk, segment.indexPath);
    await disk.syncDirectory(groupFolder(groupId, replicaId));
    await disk.rename(temporary, segment.path);
    await disk.syncDirectory(groupFolder(groupId, replicaId));
    await cold.forget(segment);
    segment.missing = false;
    segment.restore(rewritten.facts);
    segment.index = undefined;
    segment.surveyed(survey);
    segment.sealed = true;
    if (!segment.damaged) {
      cold.remember(segment, survey.index);
      if (survey.producers !== undefined) await this.#writeIndex(segment, survey.index, survey.producers).catch(ignoreNoSpace);
    }
    const mark = this.#host.syncedMark(groupId);
    if (mark?.baseIndex !== segment.name.baseIndex || mark.index !== segment.lastIndex) return;
    // Not waited for: a start in between goes by the frames, not by the length.
    void this.#patient.synced({ ...mark, position: rewritten.size, sealed: !segment.damaged });
  }

  /** A gap was larger than a segment: what is left of it stands behind the first piece. */
  #restOfGap(segment: Segment, bounds: SegmentBounds): void {
    const { groupId, replicaId } = this.#patient;
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
    this.#segments.splice(this.#segments.indexOf(segment) + 1, 0, rest);
  }

  /** Producers as of the first frame of a segment; undefined while they cannot be known. */
  async #producersBefore(segment: Segment): Promise<Producers | undefined> {
    const { disk } = this.#host;
    const own = await withFile(disk, segment.path, "read", async (file) =>
      readStartPoint(new FileWindow(file, await file.size()), this.#bounds(segment)),
    ).catch(ignoreDisk);
    if (own !== undefined && "point" in own) return own.point.producers;
    const before = this.#segments[this.#segments.indexOf(segment) - 1];
    if (before === undefined) {
      if (this.#patient.start.index > 0)
        this.#host.telemetry.log("warn", "log.producers_lost", { group: this.#patient.groupId, path: segment.path });
      return new Producers();
    }
    if (before.damaged) return undefined;
    const index = await loadIndex(disk, before);
    if (index?.facts.lastIndex === before.lastIndex) return index.producers;
    return (await this.#survey(before, index?.index)).producers;
  }

  async #regainProducers(): Promise<void> {
    await this.#writer.alone(async () => {
      const last = this.#segments.at(-1);
      const survey = last === undefined ? undefined : await this.#survey(last, undefined);
      if (survey?.producers === undefined) return;
      this.#patient.producers.adopt(survey.producers);
      this.#producersLost = false;
    });
  }

  async #writeIndex(segment: Segment, index: SparseIndex, producers: Producers): Promise<void> {
    const { disk } = this.#host;
    const bytes = index.encode(segment, segment.facts(), producers);
    await removeFile(disk, segment.indexPath);
    const file = await disk.open(segment.indexPath, { mode: "create" });
    try {
      await file.write(0, [bytes]);
    } finally {
      await file.close();
    }
  }

  #lossOf(met: HoleMet): MillraceError {
    const { path, position, what } = this.holes.find((hole) => hole.first <= met.hole.first && met.hole.last <= hole.last) ?? {
      path: groupFolder(this.#patient.groupId, this.#patient.replicaId),
      ...met.hole,
    };
    return lossOf(path, position, `frames ${met.hole.first} to ${met.hole.last}: ${what}`);
  }
}

/** Says what was found, by file and byte. */
export function tellHoles(telemetry: Telemetry, holes: readonly Hole[]): void {
  for (const { groupId, path, position, first, last, what } of holes)
    telemetry.log("error", "log.hole_found", { group: groupId, path, position, first, last, what });
  telemetry.count("log_holes_found_total", holes.length);
}

function lossOf(path: string, position: number, what: string): MillraceError {
  return new MillraceError("DATA_LOSS", `Cannot read ${path} at byte ${position}: ${what}`, { path, position: String(position) });
}

/** On a full disk what is derived is left out: a later start makes it again (ADR 0010). */
function ignoreNoSpace(error: unknown): void {
  if (!isNoSpace(error)) throw error;
}

function ignoreDisk(error: unknown): undefined {
  if (!(error instanceof DiskError)) throw error;
  return undefined;
}
