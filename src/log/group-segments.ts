import { MillraceError } from "../base/errors.ts";
import type { GroupId, LogIndex, Offset, ReplicaId } from "../base/ids.ts";
import { InvariantViolated } from "../base/invariant.ts";
import type { Frame } from "../records/frame-types.ts";
import { trimOf } from "../records/trim.ts";
import type { Patient } from "./doctor-host.ts";
import type { GroupFrames } from "./group-frames.ts";
import type { GroupHost, HostedGroup } from "./group-host.ts";
import type { FrameOwner, HeldFrame } from "./model/held.ts";
import type { InstallPoint } from "./model/install.ts";
import { Producers } from "./model/producers.ts";
import type { LogStart, SyncedMark } from "./model/records.ts";
import type { StartPoint as SegmentStart } from "./model/segment-files.ts";
import type { TermTable } from "./model/terms.ts";
import { PastWal } from "./past-wal.ts";
import type { Segment } from "./segment.ts";
import { SegmentDoctor } from "./segment-doctor.ts";
import { PRODUCERS_NOT_KNOWN } from "./segment-survey.ts";
import { PIECE_BYTES_MIN, type SegmentWriter, type SegmentWriterOptions } from "./segment-writer.ts";
import { Trimmer } from "./trimmer.ts";
import type { ProducerTable } from "./types.ts";

/** The log that has these segments. */
export interface SegmentsOwner extends HostedGroup {
  readonly owner: FrameOwner;
  readonly frames: GroupFrames;
  /** First index that somebody still needs, whatever is trimmed. */
  readonly needed: LogIndex;
}

export interface SegmentsState {
  readonly start: LogStart;
  readonly startOffset: Offset;
  /** Configuration as of the start, or of the synced index. */
  readonly config: Uint8Array;
  readonly segments: readonly Segment[];
  /** Undefined: damaged segments keep it from being known, until they are repaired. */
  readonly producers: Producers | undefined;
  /** The newest `synced` or `install` record. */
  readonly mark: SyncedMark | undefined;
}

/**
 * The segments of one group from one beginning of its log to the next (`install`), with those who work on them: the writer at their
 * end, the trimmer at their start, the doctor wherever they are damaged; and the producers, which segments carry.
 */
export class GroupSegments implements Patient {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly producers: Producers & ProducerTable;
  readonly config: Uint8Array;
  /** Oldest first. */
  readonly list: Segment[];
  readonly writer: SegmentWriter;
  readonly trimmer: Trimmer;
  readonly doctor: SegmentDoctor;
  readonly #log: SegmentsOwner;
  readonly #host: GroupHost;
  readonly #pastWal = new PastWal();
  /** A committed trim that would let segments go once this index is in them. */
  #flushAt = Number.POSITIVE_INFINITY;
  #mark: SyncedMark | undefined;

  constructor(log: SegmentsOwner, host: GroupHost, state: SegmentsState, options: SegmentWriterOptions | undefined) {
    this.groupId = log.groupId;
    this.replicaId = log.replicaId;
    this.producers = state.producers ?? Producers.lost();
    this.config = state.config;
    this.list = [...state.segments];
    this.#mark = state.mark;
    this.#log = log;
    this.#host = host;
    const newest = this.list.at(-1);
    this.writer = host.makeWriter(this, newest?.sealed === false ? newest : undefined);
    if (options !== undefined) this.writer.configure(options);
    const { start, startOffset } = state;
    const { groupId, replicaId, owner } = log;
    this.trimmer = new Trimmer(
      { groupId, replicaId, owner, start, startOffset, segments: this.list },
      {
        wal: host.wal,
        needed: () => log.needed,
        removeSegments: (segments) => host.removeSegments(log, segments),
        moved: (to) => log.frames.coldThrough(to.index),
      },
    );
    this.doctor = new SegmentDoctor(this, this.writer, host.doctor);
  }

  get start(): LogStart {
    return this.trimmer.start;
  }
  get mark(): SyncedMark | undefined {
    return this.#mark;
  }
  get bytes(): number {
    return this.list.reduce((sum, segment) => sum + segment.position, 0);
  }

  /** Frames became writable: they go when there are enough of them, or when somebody waits for it. */
  advance(): void {
    const { writableIndex, writableBytes } = this.#log.frames;
    if (writableIndex >= this.#flushAt) this.#flushForTrim();
    else if (writableBytes >= PIECE_BYTES_MIN) this.writer.kick(PIECE_BYTES_MIN);
    else if (writableBytes > 0 && this.#host.pressed) this.#host.relieve();
  }

  /** A trim to `offset` that stands at `at` is committed. */
  trimTo(offset: Offset, at: LogIndex): void {
    this.trimmer.committed(offset);
    if (this.trimmer.hasDoomed) this.#flushAt = at;
  }

  /** Committed frames that come past the write-ahead log, behind everything that is written. Resolves when that is durable. */
  async extend(frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) this.producers.append(frame);
    // Before the records that say these frames are synced: after a crash only what lies above is committed anew.
    for (const frame of frames) {
      const trim = trimOf(frame);
      if (trim !== undefined) this.trimmer.committed(trim);
    }
    this.#pastWal.begin(frames);
    await this.#host.guard(this.writer.extend(frames));
    this.#pastWal.end();
  }

  /** Where this log begins, as `install` of another replica takes it. @throws {MillraceError} DATA_LOSS */
  async startState(lastAppendTime: number): Promise<InstallPoint> {
    const { start, config } = this;
    const first = this.list[0];
    if (first === undefined || first.name.baseIndex !== start.index + 1)
      return { start, terms: [], config, producers: new Producers(), appendTime: start.index === 0 ? 0 : lastAppendTime };
    const point = await this.#host.readStart(first);
    const { terms, producers } = point;
    // Begun while damage before it was not repaired: the repair of this log comes first, else the other one would never know them either.
    if (!producers.known) throw new MillraceError("DATA_LOSS", `${first.path}: ${PRODUCERS_NOT_KNOWN}`, { path: first.path });
    return { start, terms, config: point.config, producers, appendTime: first.frames > 0 ? first.firstAppendTime : lastAppendTime };
  }

  async close(): Promise<void> {
    this.doctor.stop();
    await this.writer.stop();
    await this.trimmer.close();
    for (const segment of this.list) await this.#host.cold.forget(segment);
  }

  // Asked by the segment writer.

  writable(least: number, most: number): readonly HeldFrame[] {
    return this.#log.frames.writable(least, most);
  }

  bytesOf(frames: readonly HeldFrame[]): Promise<readonly Frame[]> {
    return this.#host.walReader.readMany(frames);
  }

  written(segment: Segment): void {
    this.#log.frames.wrote(segment.lastIndex);
  }

  terms(): TermTable {
    return this.#pastWal.table(this.#host.terms(this.groupId));
  }

  startPoint(name: Segment["name"]): Omit<SegmentStart, "producers"> {
    const { groupId, replicaId } = this;
    const index = (name.baseIndex - 1) as LogIndex;
    const terms = this.terms().starts.filter((start) => start.firstIndex <= index);
    const start = { index, term: terms.at(-1)?.term ?? this.start.term, offset: name.baseOffset };
    const config = this.#pastWal.configAt(index) ?? this.#host.configAt(groupId, index) ?? this.config;
    return { groupId, replicaId, start, terms, config };
  }

  began(segment: Segment): void {
    this.list.push(segment);
  }

  synced(mark: SyncedMark): Promise<void> {
    const { groupId, replicaId } = this;
    const { owner } = this.#log;
    this.#mark = mark;
    const terms = this.#pastWal.termsUpTo(mark.index);
    const op = { kind: "synced", groupId, replicaId, mark, terms, config: this.#pastWal.configAt(mark.index) } as const;
    return new Promise((resolve) => {
      const durable = (): void => {
        this.trimmer.synced(mark.baseIndex);
        resolve();
      };
      this.#host.wal.system({ kind: "op", op, owner, durable });
    });
  }

  /** Segments may go once the trim is behind them: what is committed is written now, not when there is enough of it. */
  #flushForTrim(): void {
    this.#flushAt = Number.POSITIVE_INFINITY;
    this.writer.flush().catch((error: unknown) => {
      // A failed disk was told of by the writer.
      if (error instanceof InvariantViolated) throw error;
    });
  }
}
