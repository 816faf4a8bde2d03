import { MillraceError } from "../base/errors.ts";
import type { GroupId, LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { Frame } from "../records/frame-types.ts";
import type { ColdReader } from "./cold-reader.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import { type DiskSpace, isNoSpace } from "./disk-space.ts";
import type { DoctorHost } from "./doctor-host.ts";
import type { Failure } from "./failure.ts";
import { writeFirstSegment } from "./first-segment.ts";
import type { GroupHost, HostedGroup } from "./group-host.ts";
import type { HeldFrame } from "./model/held.ts";
import type { GroupImage } from "./model/image.ts";
import type { InstallPoint } from "./model/install.ts";
import type { StartPoint as SegmentStart } from "./model/segment-files.ts";
import { groupFolder, segmentStem } from "./model/segment-name.ts";
import type { TermStart } from "./model/terms.ts";
import type { WalImage } from "./model/wal-image.ts";
import type { RingRelief } from "./ring-relief.ts";
import type { Segment } from "./segment.ts";
import { readStart, removeFile, removeSegments } from "./segment-loader.ts";
import { type SegmentSource, SegmentWriter, type SegmentWriterOptions } from "./segment-writer.ts";
import { DamagedLog, type LogRepairer, type RecoveredGroup } from "./types.ts";
import type { Wal } from "./wal.ts";
import type { WalReader } from "./wal-reader.ts";

/** What all groups of one store share. */
export interface SharedParts {
  readonly disk: Disk;
  readonly telemetry: Telemetry;
  readonly scheduler: DiskScheduler;
  readonly space: DiskSpace;
  readonly failure: Failure;
  readonly relief: RingRelief;
  readonly image: WalImage;
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly cold: ColdReader;
  /** Of a segment, until the group is configured. */
  readonly options: SegmentWriterOptions;
}

/** What the store does for each of its groups: the disk, the shared write-ahead log, and what both say of failures. */
export class GroupServices implements GroupHost {
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly cold: ColdReader;
  readonly doctor: DoctorHost;
  /** Set once, when there are peers to repair from. */
  repairer: LogRepairer | undefined;
  readonly #parts: SharedParts;
  #touched: HostedGroup[] = [];
  #uncommittedBytes = 0;
  #cutBytes = 0;

  constructor(parts: SharedParts) {
    const { disk, scheduler, cold, telemetry } = parts;
    this.#parts = parts;
    this.wal = parts.wal;
    this.walReader = parts.walReader;
    this.cold = cold;
    this.doctor = {
      disk,
      scheduler,
      cold,
      telemetry,
      segmentBytes: parts.options.segmentBytes,
      holesChanged: (groupId, holes) => this.repairer?.holesChanged(groupId, holes),
      heal: (groupId) => this.repairer?.heal(groupId) ?? Promise.resolve(false),
    };
  }

  /** Bytes of frames that are not known to be committed, over all groups. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }
  /** Bytes of frames that segments cannot take out of the ring: those, and those that are cut while the record that says so stands in line. */
  get stuckBytes(): number {
    return this.#uncommittedBytes + this.#cutBytes;
  }
  get pressed(): boolean {
    return this.#parts.relief.pressed;
  }

  relieve(): void {
    this.#parts.relief.relieve();
  }

  uncommitted(bytes: number): void {
    this.#uncommittedBytes += bytes;
    invariant(this.#uncommittedBytes >= 0, "what was appended is committed or truncated once");
  }

  cut(bytes: number): void {
    this.#cutBytes += bytes;
  }

  touched(log: HostedGroup): void {
    this.#touched.push(log);
  }

  /** A block is done: groups with frames in it may go on. */
  advanceTouched(): void {
    const touched = this.#touched;
    this.#touched = [];
    for (const log of touched) log.advance();
  }

  guard<T>(work: Promise<T>): Promise<T> {
    return this.#parts.failure.guard(work);
  }

  terms(groupId: GroupId): readonly TermStart[] {
    return this.#parts.image.groups.get(groupId)?.terms.starts ?? [];
  }

  configAt(groupId: GroupId, index: number): Uint8Array | undefined {
    return this.#parts.image.groups.get(groupId)?.configs.at(index);
  }

  recoveredOf(groupId: GroupId): RecoveredGroup {
    const image = this.#parts.image.groups.get(groupId);
    invariant(image !== undefined, () => `group ${groupId} is not here`);
    return recoveredOf(image);
  }

  async readWal(frames: readonly HeldFrame[]): Promise<readonly Frame[]> {
    try {
      return await this.walReader.readMany(frames);
    } catch (error) {
      if (!(error instanceof DamagedLog || error instanceof DiskError)) throw error;
      this.#parts.telemetry.log("error", "log.wal_damaged", { path: error.path, what: error.message });
      throw new MillraceError("DATA_LOSS", `Cannot read the write-ahead log: ${error.message}`, { path: error.path });
    }
  }

  makeWriter(source: SegmentSource, segment: Segment | undefined): SegmentWriter {
    const { disk, scheduler, space, options, failure } = this.#parts;
    return new SegmentWriter(disk, scheduler, space, source, options, segment, (error) => failure.broken(error));
  }

  async readStart(segment: Segment): Promise<SegmentStart> {
    try {
      return await readStart(this.#parts.disk, segment);
    } catch (error) {
      if (!(error instanceof DamagedLog || error instanceof DiskError)) throw error;
      throw new MillraceError("DATA_LOSS", `Cannot read the start of ${segment.path}: ${error.message}`, { path: segment.path });
    }
  }

  firstSegment(log: HostedGroup, point: InstallPoint): Promise<Segment | undefined> {
    const { disk, scheduler, space } = this.#parts;
    const { groupId, replicaId } = log;
    const name = { baseIndex: (point.start.index + 1) as LogIndex, baseOffset: point.start.offset };
    const path = `${groupFolder(groupId, replicaId)}/${segmentStem(name)}.log`;
    return this.#ofGroup(log, async () => {
      try {
        return await writeFirstSegment(disk, scheduler, groupId, replicaId, point);
      } catch (error) {
        if (!isNoSpace(error)) throw error;
        // Not waited for: until it is there nobody hears from this replica.
        await removeFile(disk, path);
        space.foundNone(path);
        return undefined;
      }
    });
  }

  async removeSegments(log: HostedGroup, segments: readonly Segment[]): Promise<void> {
    const { disk } = this.#parts;
    const folder = groupFolder(log.groupId, log.replicaId);
    for (const segment of segments) segment.dropped = true;
    await this.#ofGroup(log, async () => {
      const names = segments.map(({ name }) => name);
      await removeSegments(disk, folder, names);
      // Only now: a reader that came in between would have opened it anew.
      for (const segment of segments) await this.cold.forget(segment);
      await disk.syncDirectory(folder);
    });
  }

  /** A disk that fails under a group that is still here ends the broker. */
  async #ofGroup<T>(log: HostedGroup, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!log.closed) this.#parts.failure.broken(error);
      throw error;
    }
  }
}

/** As the write-ahead log says it. */
export function recoveredOf(image: GroupImage): RecoveredGroup {
  const { groupId, replicaId, term, votedFor, start, lastIndex, syncedIndex, doubted, configs } = image;
  const terms = [...image.terms.starts];
  return {
    groupId,
    replicaId,
    term,
    votedFor,
    start,
    terms,
    lastIndex,
    syncedIndex,
    doubted,
    config: configs.base,
    configs: [...configs.later],
  };
}
