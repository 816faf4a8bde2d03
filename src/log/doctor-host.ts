import type { GroupId, ReplicaId } from "../base/ids.ts";
import type { Disk } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { ColdReader } from "./cold-reader.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { PacedRead } from "./file-window.ts";
import type { Hole } from "./holes.ts";
import type { Producers } from "./model/producers.ts";
import type { LogStart, SyncedMark } from "./model/records.ts";
import type { SparseIndex } from "./model/sparse-index.ts";
import type { TermTable } from "./model/terms.ts";
import type { Segment } from "./segment.ts";
import { removeFile, surveyFile } from "./segment-loader.ts";
import type { SegmentBounds, Survey } from "./segment-survey.ts";
import type { SegmentSource } from "./segment-writer.ts";

/** What looks after segments needs of the store. */
export interface DoctorHost {
  readonly disk: Disk;
  readonly scheduler: DiskScheduler;
  readonly cold: ColdReader;
  readonly telemetry: Telemetry;
  readonly segmentBytes: number;
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
  /** Oldest first: what is repaired changes in it. */
  readonly list: Segment[];
  /** What was last said in a `synced` record, durable or on its way. */
  readonly mark: SyncedMark | undefined;
  /** Of every frame that is in segments. */
  terms(): TermTable;
}

/** What the log says a segment of this group holds. */
export function boundsIn(patient: Patient, segment: Segment): SegmentBounds {
  const { groupId, replicaId } = patient;
  const terms = patient.terms();
  const { name, lastIndex, endOffset } = segment;
  return { groupId, replicaId, name, lastIndex, endOffset, termAt: (index) => terms.termAt(index) };
}

/** Reads all of a segment, behind whoever else wants the disk. */
export function surveyIn(
  { disk, scheduler }: Pick<DoctorHost, "disk" | "scheduler">,
  patient: Patient,
  segment: Segment,
  trusted: SparseIndex | undefined,
  more: { readonly paced?: PacedRead; readonly before?: Producers } = {},
): Promise<Survey> {
  const read: PacedRead = more.paced ?? ((_bytes, one) => scheduler.run("read", one));
  return surveyFile(disk, segment.path, boundsIn(patient, segment), trusted, read, more.before);
}

/** Writes the derived index of a sealed segment anew. @throws {DiskError} */
export async function writeIndex(disk: Disk, segment: Segment, index: SparseIndex, producers: Producers): Promise<void> {
  const bytes = index.encode(segment, segment.facts(), producers);
  await removeFile(disk, segment.indexPath);
  const file = await disk.open(segment.indexPath, { mode: "create" });
  try {
    await file.write(0, [bytes]);
  } finally {
    await file.close();
  }
}
