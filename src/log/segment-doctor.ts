import { MillraceError } from "../base/errors.ts";
import type { LogIndex, Offset } from "../base/ids.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { SegmentDamaged } from "./cold-reader.ts";
import { type DoctorHost, type Patient, surveyIn, writeIndex } from "./doctor-host.ts";
import type { PacedRead } from "./file-window.ts";
import { type Hole, HoleMet, type PullFrames } from "./holes.ts";
import { Producers } from "./model/producers.ts";
import { groupFolder } from "./model/segment-name.ts";
import type { IndexFile } from "./model/sparse-index.ts";
import type { Segment } from "./segment.ts";
import { footerStands, indexFits, loadIndex, withFile, writeFooter } from "./segment-loader.ts";
import { ignoreDisk, ignoreNoSpace, SegmentRepair } from "./segment-repair.ts";
import type { Survey } from "./segment-survey.ts";
import type { SegmentWriter } from "./segment-writer.ts";

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
  readonly #writer: SegmentWriter;
  readonly #host: DoctorHost;
  readonly #repair: SegmentRepair;
  readonly #looking = new Map<Segment, Promise<void>>();
  #repairing: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(patient: Patient, writer: SegmentWriter, host: DoctorHost) {
    this.#patient = patient;
    this.#writer = writer;
    this.#host = host;
    this.#repair = new SegmentRepair(patient, writer, host, () => this.#stopped);
  }

  get holes(): readonly Hole[] {
    return this.#patient.list.flatMap((segment) => segment.wrongs);
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

  /** Closes what holes it can with frames from elsewhere. Resolves with whether none is left. */
  repair(pull: PullFrames): Promise<boolean> {
    return this.#alone(async () => {
      await this.#repair.run(pull);
      return this.holes.length === 0;
    });
  }

  /** As of `GroupLog.part`. */
  part(cut: LogIndex, trimmed: Offset, pull: PullFrames): Promise<boolean> {
    return this.#alone(() => this.#repair.part(cut, trimmed, pull));
  }

  #alone(work: () => Promise<boolean>): Promise<boolean> {
    const run = this.#repairing.then(work);
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
    for (const segment of [...this.#patient.list]) {
      if (segment.damaged || this.#isGone(segment)) continue;
      const { revision } = segment;
      const index = await loadIndex(this.#host.disk, segment);
      const survey = await surveyIn(this.#host, this.#patient, segment, index?.index, { paced: idle });
      // What was repaired meanwhile is another file than the one that was read.
      if (this.#isGone(segment) || segment.revision !== revision) continue;
      segments += 1;
      bytes += survey.facts.position;
      if (!segment.sealed) {
        const hole = survey.holes[0];
        const what = survey.pointWrong ?? hole?.what;
        if (what !== undefined) await this.#look(segment, new SegmentDamaged(segment, hole?.position ?? 0, what));
        continue;
      }
      if (!stands(index, segment, survey)) rebuilt.push(segment.indexPath);
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
    if (segment.damaged || this.#isGone(segment)) return;
    this.#host.telemetry.log("warn", "log.segment_examined", { path: segment.path, position: cause.position, what: cause.message });
    // Nothing may be written behind a hole: the next frames go into a segment of their own.
    if (!segment.sealed) await this.#writer.sealOff(segment);
    const { revision } = segment;
    const index = await loadIndex(this.#host.disk, segment);
    const survey = await surveyIn(this.#host, this.#patient, segment, index?.index);
    // A segment that was trimmed away has no file any more, which is no hole; nor is one that was repaired what was read of it.
    if (!this.#isGone(segment) && segment.revision === revision) await this.#settle(segment, survey);
  }

  #isGone(segment: Segment): boolean {
    return this.#stopped || segment.dropped || !this.#patient.list.includes(segment);
  }

  /** Takes what a survey found: holes are told, derived files that are bad are made again. */
  async #settle(segment: Segment, survey: Survey): Promise<void> {
    const { cold, disk, telemetry } = this.#host;
    segment.surveyed(survey);
    await cold.forget(segment);
    if (!segment.damaged) {
      segment.index = undefined;
      cold.remember(segment, survey.index);
      if (!stands(await loadIndex(disk, segment), segment, survey)) {
        telemetry.log("warn", "log.index_rebuilt", { path: segment.indexPath, position: 0 });
        await writeIndex(disk, segment, survey.index, survey.producers ?? Producers.lost()).catch(ignoreNoSpace);
      }
      if (!(await footerStands(disk, segment))) {
        telemetry.log("warn", "log.footer_rebuilt", { path: segment.path, position: segment.position });
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

/** Whether an index file says what the segment says. */
function stands(index: IndexFile | undefined, segment: Segment, survey: Survey): boolean {
  return index?.facts.lastIndex === segment.lastIndex && indexFits(index.index, survey.index.entry(0)?.position);
}
