import type { GroupId, LogIndex, Offset, ReplicaId } from "../base/ids.ts";
import type { Frame } from "../records/frame-types.ts";
import type { ColdReader } from "./cold-reader.ts";
import type { DoctorHost } from "./doctor-host.ts";
import type { FrameOwner, FrameQueue, HeldFrame } from "./model/held.ts";
import type { InstallPoint } from "./model/install.ts";
import type { Producers } from "./model/producers.ts";
import type { LogStart, SyncedMark } from "./model/records.ts";
import type { StartPoint as SegmentStart } from "./model/segment-files.ts";
import type { TermStart } from "./model/terms.ts";
import type { Segment } from "./segment.ts";
import type { SegmentSource, SegmentWriter } from "./segment-writer.ts";
import type { RecoveredGroup } from "./types.ts";
import type { Wal } from "./wal.ts";
import type { WalReader } from "./wal-reader.ts";

/** What the store needs to know of a group it serves. */
export interface HostedGroup {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  /** It went away: a failure of what was under way for it is nobody's. */
  readonly closed: boolean;
  /** Frames became durable, and the block they came with is done. */
  advance(): void;
}

/** What one group's log needs of the store. */
export interface GroupHost {
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly cold: ColdReader;
  readonly doctor: DoctorHost;
  /** Frames out of the write-ahead log for a reader. @throws {MillraceError} DATA_LOSS */
  readWal(frames: readonly HeldFrame[]): Promise<readonly Frame[]>;
  /** Terms that are in the write-ahead log as issued, for start points. */
  terms(groupId: GroupId): readonly TermStart[];
  /** The configuration in force at an index at or above the synced one, as far as the write-ahead log knows. */
  configAt(groupId: GroupId, index: number): Uint8Array | undefined;
  makeWriter(source: SegmentSource, segment: Segment | undefined): SegmentWriter;
  /** Frames of this group became durable: `advance` wants to be called at the end of the block. */
  touched(log: HostedGroup): void;
  /** The write-ahead log waits for files: what is committed should go to segments at once. */
  readonly pressed: boolean;
  relieve(): void;
  /** So many more bytes are not committed, or fewer. */
  uncommitted(bytes: number): void;
  /** So many more bytes are cut by truncations that are not durable yet, or fewer. */
  cut(bytes: number): void;
  recoveredOf(groupId: GroupId): RecoveredGroup;
  /** The producers as of a segment's first frame, and the rest of its start point. @throws {MillraceError} DATA_LOSS */
  readStart(segment: Segment): Promise<SegmentStart>;
  /** Writes the first segment of a log that begins anew. Undefined: there is no room. A failure is that of the disk, unless the group went away meanwhile. */
  firstSegment(log: HostedGroup, point: InstallPoint): Promise<Segment | undefined>;
  /** Removes files that nothing points to any more. */
  removeSegments(log: HostedGroup, segments: readonly Segment[]): Promise<void>;
  /** Rejects when the store has failed, so that nobody waits for ever. */
  guard<T>(work: Promise<T>): Promise<T>;
}

/** What a group's log is made from. */
export interface GroupState {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly start: LogStart;
  readonly startOffset: Offset;
  readonly doubted: boolean;
  readonly config: Uint8Array;
  readonly lastAppendTime: number;
  readonly owner: FrameOwner;
  /** Frames that are not known to be in a segment. */
  readonly frames: FrameQueue;
  readonly segments: readonly Segment[];
  /** Undefined: damaged segments keep it from being known, until they are repaired. */
  readonly producers: Producers | undefined;
  readonly syncedIndex: LogIndex;
  /** The newest `synced` record. */
  readonly mark: SyncedMark | undefined;
}
