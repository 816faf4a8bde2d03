import type { GroupId, Incarnation, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import type { Frame, FrameDraft, FramePlace } from "../records/frame-types.ts";
import type { SpaceView } from "./disk-space.ts";
import type { PacedRead } from "./file-window.ts";
import type { Hole, PullFrames } from "./holes.ts";
import type { InstallOutcome, InstallPoint } from "./model/install.ts";
import type { ScrubResult } from "./segment-doctor.ts";
import type { Snapshots } from "./snapshots.ts";

/**
 * The face of the log shell (design §4): one write-ahead log per broker, segments of committed frames per group.
 * Everything a partition loop needs is synchronous, except cold reads and opening.
 */

export interface StartPoint {
  /** Of the last entry before the log: the first frame present has `index + 1`. */
  readonly index: LogIndex;
  readonly term: Term;
  /** Offset of the first record at or after the start. */
  readonly offset: Offset;
}

/** What recovery knows of one group, enough to build its Raft core. */
export interface RecoveredGroup {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly term: Term;
  readonly votedFor: ReplicaId | undefined;
  readonly start: StartPoint;
  readonly terms: readonly { readonly term: Term; readonly firstIndex: LogIndex }[];
  readonly lastIndex: LogIndex;
  /** Everything at or below is committed (it is in a synced segment). */
  readonly syncedIndex: LogIndex;
  /** It may have forgotten votes or entries: it is opened quarantined (design §4). */
  readonly doubted: boolean;
  /** Who votes, topic, … as of `syncedIndex`: what `create` was given, or the payload of the newest configuration frame up to there. Opaque here. */
  readonly config: Uint8Array;
  /** Payloads of the configuration frames above it, ascending. */
  readonly configs: readonly { readonly index: LogIndex; readonly config: Uint8Array }[];
}

/** One write of a group, in order: state, truncation, frames. */
export interface GroupWrite {
  readonly state: { readonly term: Term; readonly votedFor: ReplicaId | undefined } | undefined;
  readonly truncateFrom: LogIndex | undefined;
  /** Drafts (leader: header is filled from `place`, payload copied once into the block buffer) or whole frames (follower: bytes copied). */
  readonly frames: readonly (Frame | { readonly draft: FrameDraft; readonly place: FramePlace })[];
}

/** A piece of the log read for a consumer or follower. Whole frames, ascending, contiguous. */
export type ReadResult =
  | { readonly kind: "frames"; readonly frames: readonly Frame[] }
  /** Asked below the start point. */
  | { readonly kind: "below-start"; readonly start: StartPoint };

export interface GroupLog {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  /** What is here begins after it. Moves when segments are trimmed away. */
  readonly start: StartPoint;
  /** Log start offset: what lies below was trimmed and is not readable. At least `start.offset`; moves when a trim is committed. */
  readonly startOffset: Offset;
  readonly lastIndex: LogIndex;
  /** Offset the next record gets. */
  readonly endOffset: Offset;
  /** Append time of the last frame, ms; the next one is never below it. */
  readonly lastAppendTime: number;

  /**
   * Puts the write into the current block; returns at once with the frames as they now lie in memory (so followers can be sent
   * the same bytes). `durable` is called once, in call order per group, when all of it is durable. A failed WAL write or sync
   * ends the broker through `LogStoreOptions.failed`; `durable` is then never called.
   */
  write(write: GroupWrite, durable: () => void): readonly Frame[];

  /** Frames up to here are committed: they reach the segments in time, once they are durable in the WAL too. Never falls. */
  commit(index: LogIndex): void;

  /** Every frame from here to the end is in memory (`lastIndex + 1` when none is). Raft catches up followers below it in bulk. */
  readonly hotFrom: LogIndex;
  /** In memory (hot tail or not yet in a segment), else undefined: then use `read`. */
  frame(index: LogIndex): Frame | undefined;
  /** Offset after the frame at `index` (start.offset for start.index). For HW = commit index mapped to an offset. Index must be ≥ start.index, and in memory or the last committed. */
  offsetAfter(index: LogIndex): Offset;

  /**
   * Frames from `index` on up to `maxBytes` (at least one), none above `upTo`. Synchronous when hot. Frames in a hole are repaired first,
   * unless `heals` is false.
   *
   * @throws {MillraceError} DATA_LOSS: they could not be repaired now
   */
  read(index: LogIndex, maxBytes: number, upTo: LogIndex, heals?: boolean): ReadResult | Promise<ReadResult>;
  /**
   * The same, starting with the frame that holds `offset`.
   *
   * @param stopped asked now and then while the disk is read; once it says yes, the read ends soon, with nothing
   */
  readFrom(offset: Offset, maxBytes: number, upTo: LogIndex, stopped?: () => boolean): ReadResult | Promise<ReadResult>;
  /**
   * First frame at or below `upTo` whose max timestamp is ≥ `timestampMs` and that has records at or above `from` (default: the log start
   * offset).
   *
   * @param stopped as of `readFrom`
   */
  findTime(timestampMs: number, upTo: LogIndex, from?: Offset, stopped?: () => boolean): Promise<Frame | undefined>;

  /** Producer sequences (idempotence), kept with the log: base as of the segments plus overlay, dropped on truncation (design §6). */
  readonly producers: ProducerTable;

  /** Bulk catch-up on a follower: committed frames straight into segments, past the WAL. Resolves when synced and the `synced` record is durable. */
  extend(frames: readonly Frame[]): Promise<void>;

  /**
   * The log begins at `point` from now on, empty; everything it held is forgotten, term and vote stay (design §5 *reset*). Nothing may
   * be appended meanwhile. Resolves when the new beginning is durable; a crash before leaves the log as it was.
   *
   * @returns "older": committed here already, nothing changed · "kept": the log leads through the start, which is committed now ·
   * "no-room": the disk is full, nothing changed
   * @throws {InvariantViolated} the point contradicts what is committed here
   */
  install(point: InstallPoint): Promise<InstallOutcome | "no-room">;
  /** What a start would find of this group, as of the last block that was issued. */
  readonly asRecovered: RecoveredGroup;
  /** Where this log begins, as `install` of another replica takes it. @throws {MillraceError} DATA_LOSS */
  startState(): Promise<InstallPoint>;

  /** Bytes at or below the synced index that are bad or missing, as far as it is known. While there are any, this replica is not in sync. */
  readonly holes: readonly Hole[];
  /** It may have forgotten what it promised; durable, until `vouched`. */
  readonly doubted: boolean;
  /** It was found to have forgotten something: as if recovery had. */
  doubt(): void;
  /** The cluster told what this replica may have forgotten: its quarantine is over. */
  vouched(): void;
  /** Closes what holes it can with frames from elsewhere. Resolves with whether none is left. @throws {DiskError} */
  repair(pull: PullFrames): Promise<boolean>;
  /**
   * A damaged segment that holds `cut`, the last entry that others may have dropped, and reaches above it, ends there from now on if a hole
   * begins in that head and a trim to `trimmed` passes over all of it: the tail stands in a segment of its own, whole. The head may go then
   * (`obeyTrim`). @returns whether it was parted. @throws {DiskError}
   */
  part(cut: LogIndex, trimmed: Offset, pull: PullFrames): Promise<boolean>;
  /** Reads every byte of every segment, no faster than `paced` lets it; what is found is told as a hole. */
  scrub(paced: PacedRead): Promise<ScrubResult>;

  /** Bytes of frames not yet committed, or not yet in a segment. */
  readonly pendingBytes: number;
  /** Bytes in segments. */
  readonly segmentBytes: number;

  // Trim (design §4): a trim frame moves the log start offset when it is committed; whole segments below it go by themselves.
  /** Oldest first; the last one may be growing. */
  readonly segments: readonly SegmentSpan[];
  /** Append time of the oldest frame that is in no segment yet. */
  readonly unwrittenSince: number | undefined;
  /** Size and age of segments from the next frame on. */
  configure(options: { readonly segmentBytes: number; readonly segmentMs: number }): void;
  /** Segments with frames at or above `needed()` stay, whatever is trimmed: somebody reads them by index. */
  keepFor(needed: () => LogIndex): void;
  /**
   * A trim to `offset` is committed, as another replica says that obeyed it; or a machine's snapshot makes what is below needless.
   *
   * @returns false: nothing changed, because what is committed here ends before
   */
  obeyTrim(offset: Offset): boolean;
  /** Drops what was kept and is not needed any more. */
  dropTrimmed(): void;
  /** Writes what is committed to segments without waiting for enough of it. */
  push(): void;
}

/** What retention needs to know of a segment. */
export interface SegmentSpan {
  readonly lastIndex: LogIndex;
  /** Offset after its last record. */
  readonly endOffset: Offset;
  readonly firstAppendTime: number;
  readonly lastAppendTime: number;
  /** Bytes of its frames. */
  readonly position: number;
  /** Some of it is not what was written: its times and bytes are those of the rest, or 0. */
  readonly damaged: boolean;
}

export interface ProducerEntry {
  readonly epoch: number;
  /** Newest last; at most five. */
  readonly batches: readonly ProducerBatch[];
}

export interface ProducerBatch {
  readonly baseSequence: number;
  readonly recordCount: number;
  readonly baseOffset: Offset;
  readonly index: LogIndex;
  readonly term: Term;
  readonly appendTime: number;
}

export interface ProducerTable {
  /** As of the end of the log, uncommitted frames included. */
  get(producerId: number): ProducerEntry | undefined;
  readonly size: number;
  /** False: damage keeps it from being known what was written before. A batch that looks new may be a retry, until the repair ends. */
  readonly known: boolean;
}

/** Who repairs holes: the broker, which knows where the other replicas are. */
export interface LogRepairer {
  /** Holes were found, or closed. */
  holesChanged(groupId: GroupId, holes: readonly Hole[]): void;
  /** Somebody waits for frames in a hole. @returns whether to look again */
  heal(groupId: GroupId): Promise<boolean>;
}

/**
 * Records of earlier leaders, of a leader that has not committed its own first entry: that stands behind them, and nothing it has is committed
 * before. There are no more of them than when it was elected.
 */
export interface Inherited {
  readonly groupId: GroupId;
  /** Of the leader that sends them. */
  readonly term: Term;
  /** Of the first of them that this log has not. */
  readonly index: LogIndex;
}

export interface LogStore {
  /** Set once, when there are peers to repair from. */
  repairer: LogRepairer | undefined;
  /** Set once: told of each block with records of clients, how long after the first of them was handed over all of it was durable. */
  waited: ((ms: number) => void) | undefined;
  readonly incarnation: Incarnation;
  /** Block sequence up to which this disk is durable (carried by handshakes, design §4). */
  readonly durableBlockSequence: number;
  /** Bytes of frames that are not known to be committed, over all groups: only they can keep a ring file for as long as they like. */
  readonly uncommittedBytes: number;
  /**
   * A leader appends nothing more while `uncommittedBytes` is above this, a quarter of the ring: votes, terms and truncations take
   * their room from the same ring, and frames that cannot be committed give theirs back only by them.
   */
  readonly uncommittedBytesMax: number;
  /** Files of the ring that may not be used again yet. */
  readonly walFilesUsed: number;
  /** Files that the ring has or will have: `wal.files.max`, more when it grew, fewer while the disk has no room for them. */
  readonly walFilesMax: number;
  /**
   * Whether frames of records of so many bytes find room in the ring as it is. Who appends (a leader, or a follower that is sent them)
   * asks before, because what was handed over stands in line, and votes stand behind it. Without `inherited`, in files that the ring was to
   * have; files that it grew by are for what was inherited and refused for long.
   */
  takes(bytes: number, inherited?: Inherited): boolean;
  /** Of what a leader inherited and sent nothing found room. When it finds none again and again the ring grows, to twice its files at most. */
  refusedAppend(inherited: Inherited): void;
  /** The free space of this disk. */
  readonly space: SpaceView;
  /** Groups found by recovery, not yet opened. */
  readonly recovered: readonly RecoveredGroup[];
  /** Opens a recovered group. What was trimmed goes at once, but for what is `needed` (as `GroupLog.keepFor`). */
  open(groupId: GroupId, needed?: () => LogIndex): GroupLog;
  /**
   * Makes a new replica: WAL record `open{group, replica id, folder}` and its folder. Resolves when durable. `alone`: nobody else votes.
   * @throws {InvariantViolated} the group is open, or the replica id was dropped once (it may never come back)
   * @throws {DiskError} ENOSPC: no room on the disk, or in files of the write-ahead log for what is said of so many groups
   */
  create(groupId: GroupId, replicaId: ReplicaId, start: StartPoint, config: Uint8Array, alone?: boolean): Promise<GroupLog>;
  /**
   * Groups were open here that the damaged write-ahead log does not name any more: whoever is created may have been here before, and is
   * doubted, until `remembered`; but for ids that were given out since (`registered`), or, where one votes alone, since a former start registered.
   */
  readonly forgot: boolean;
  /** This replica may be one of those. */
  maybeForgotten(replicaId: ReplicaId): boolean;
  /**
   * This broker has registered, and the metadata gives out replica ids from `next` on: nobody who gets one was here before this process.
   * Resolves when that is durable, where it matters. @throws {DiskError} ENOSPC: they are doubted as well
   */
  registered(next: ReplicaId): Promise<void>;
  /** The metadata has named every replica of this disk: who comes from now on is new. Resolves when that is durable; `forgot` says whether it took effect. */
  remembered(): Promise<void>;
  /** What peers remember of this disk up to here is lost, and whatever was here then is doubted for it. 0: nothing. */
  readonly admittedBlockSequence: number;
  /**
   * A peer heard of so many blocks of this disk, which has fewer: every group is doubted, and whoever is created, until `remembered`, but for
   * those that are new since this process registered.
   * Resolves when that is durable. @throws {DiskError} ENOSPC: doubted, but `meta.json` does not say so
   */
  admit(blockSequence: number): Promise<void>;
  /** Whether this disk dropped the replica: whoever still names it knows something old. */
  wasDropped(replicaId: ReplicaId): boolean;
  /** Snapshots of a machine group of which this disk has a replica. */
  snapshots(groupId: GroupId): Snapshots;
  /**
   * WAL record `drop`, then the folder goes; or it is renamed, before that, to `<name>.replaced` when it is set aside, or with all the log
   * holds, committed or not, to `<name>.fenced`. The replica id never comes back.
   */
  drop(groupId: GroupId, folder?: "removed" | "set aside" | "fenced"): Promise<void>;
  /** Syncs what is open and stops, also when the ring or the disk is full: then within what is durable. Nothing may be written after it was called. */
  close(): Promise<void>;
}

export interface LogStoreOptions {
  /** Bytes of one WAL file (default 64 MiB) and most files (default 16). */
  readonly walFileBytes: number;
  readonly walFilesMax: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Memory for hot tails over all groups. */
  readonly hotTailBytes: number;
  /** Bytes that reads from the disk for callers may hold together; no bound when left out. */
  readonly readPendingMaxBytes?: number;
  /** Below so many free bytes records are refused (`LogStore.space`); 0 when left out. */
  readonly diskReserveBytes?: number;
  /** A write or sync failed: the broker must exit ≠ 0 (design §4, D3). Called at most once. */
  readonly failed: (error: Error) => void;
  /** Asked while the log is opened and waits for room on a full disk: nobody wants it any more. Default: everybody does. */
  readonly unwanted?: () => boolean;
}

/** The bytes of the write-ahead log are not what was promised: damage, not a torn tail. */
export class DamagedLog extends Error {
  override readonly name = "DamagedLog";
  readonly path: string;
  readonly position: number;
  readonly what: string;
  constructor(path: string, position: number, what: string) {
    super(`${path} is damaged at byte ${position}: ${what}`);
    this.path = path;
    this.position = position;
    this.what = what;
  }
}
