import { MillraceError } from "../base/errors.ts";
import type { GroupId, Incarnation, LogIndex, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Background } from "../base/ports/background.ts";
import type { Clock } from "../base/ports/clock.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Random } from "../base/ports/random.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { Frame } from "../records/frame-types.ts";
import { ColdReader } from "./cold-reader.ts";
import { DiskScheduler } from "./disk-scheduler.ts";
import { DiskSpace, isNoSpace } from "./disk-space.ts";
import { FileCache } from "./file-cache.ts";
import { writeFirstSegment } from "./first-segment.ts";
import { type GroupHost, GroupLogImpl, type GroupState } from "./group-log.ts";
import type { Hole } from "./holes.ts";
import { BadDataDirectory, type Meta, readMeta, writeMeta } from "./meta.ts";
import { incarnationBytes } from "./model/block.ts";
import { FrameOwner, FrameQueue, type HeldFrame } from "./model/held.ts";
import type { GroupImage } from "./model/image.ts";
import type { InstallPoint } from "./model/install.ts";
import { Producers } from "./model/producers.ts";
import type { ReplayedGroup } from "./model/replay.ts";
import { FILES_KEPT, type Life, type Ring } from "./model/ring.ts";
import type { StartPoint as SegmentStart } from "./model/segment-files.ts";
import { GROUPS_FOLDER, groupFolder, parseGroupFolder, segmentStem } from "./model/segment-name.ts";
import type { TermStart } from "./model/terms.ts";
import type { WalImage } from "./model/wal-image.ts";
import type { Segment } from "./segment.ts";
import { type DoctorHost, tellHoles } from "./segment-doctor.ts";
import { loadSegments, readStart, removeFile, removeSegments } from "./segment-loader.ts";
import { type SegmentSource, SegmentWriter, WriterStopped } from "./segment-writer.ts";
import { Slabs } from "./slabs.ts";
import { Snapshots } from "./snapshots.ts";
import {
  DamagedLog,
  type GroupLog,
  type LogRepairer,
  type LogStore,
  type LogStoreOptions,
  type RecoveredGroup,
  type StartPoint,
} from "./types.ts";
import { Wal, type WalEvents } from "./wal.ts";
import type { WalFiles } from "./wal-files.ts";
import { WalReader } from "./wal-reader.ts";
import { type RecoveredWal, WalRecovery } from "./wal-recovery.ts";

export interface LogPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly background: Background;
}

/** Descriptors of segments open for reading. */
const READ_FILES_MAX = 256;
/** Recovered frames brought back to memory, in hot tails: those that are not committed yet must be there for followers. */
const WARM_TAILS = 4;
/** Two for frames, so that one can be written while the other is emptied, and those that are kept free. */
const WAL_FILES_MIN = 2 + FILES_KEPT.data;
/** A log that is being closed and has moved nothing for so long waits for what cannot come any more. */
const CLOSE_STILL_MS = 500;

/**
 * Opens the log of one data directory (design §4): recovers what is there, or begins. `meta.json` must exist (`drawMeta`).
 *
 * @throws {DamagedLog} @throws {BadDataDirectory} @throws {DiskError}
 */
export async function openLogStore(ports: LogPorts, options: LogStoreOptions): Promise<LogStore> {
  invariant(options.walFilesMax >= WAL_FILES_MIN, () => `the write-ahead log needs at least ${WAL_FILES_MIN} files`);
  const meta = await readMeta(ports.disk);
  if (meta === undefined) throw new BadDataDirectory(`${ports.disk.root} has no meta.json yet`);
  const damaged = async ({ path, position, what }: DamagedLog): Promise<void> => {
    ports.telemetry.log("error", "log.wal_found_damaged", { path, position, what });
    // Before a file is made again: a start that is cut off must not pass for one that found nothing.
    await writeMeta(ports.disk, { ...meta, walDamaged: true });
  };
  const { walFileBytes, walFilesMax } = options;
  const recovery = new WalRecovery(ports.disk, meta.incarnation);
  const recovered = await recovery.run(walFileBytes, walFilesMax, meta.logMade, meta.walDamaged === true, damaged);
  const store = new LogStoreImpl(ports, options, meta, recovered);
  await store.start();
  return store;
}

class LogStoreImpl implements LogStore, GroupHost, WalEvents {
  readonly incarnation: Incarnation;
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly cold: ColdReader;
  readonly doctor: DoctorHost;
  repairer: LogRepairer | undefined;
  readonly #ports: LogPorts;
  readonly #options: LogStoreOptions;
  readonly #meta: Meta;
  readonly #salvaged: boolean;
  #forgot: boolean;
  readonly #files: WalFiles;
  readonly #ring: Ring;
  readonly #image: WalImage;
  readonly #slabs: Slabs;
  readonly #scheduler = new DiskScheduler();
  readonly space: DiskSpace;
  readonly #readFiles: FileCache;
  /** Replayed and not yet opened. */
  readonly #replayed: Map<GroupId, ReplayedGroup>;
  /** Built at the start, handed out by `open`. */
  readonly #waiting = new Map<GroupId, GroupLogImpl>();
  readonly #open = new Map<GroupId, GroupLogImpl>();
  /** Asked for by `create`, not durable yet. */
  readonly #creating = new Set<ReplicaId>();
  #recovered: readonly RecoveredGroup[] = [];
  #touched: GroupLogImpl[] = [];
  #relieving = false;
  #relieveAgain = false;
  /** Half of the ring is needed: what is committed goes to segments at once. */
  #pressed = false;
  #uncommittedBytes = 0;
  #making: Promise<void> = Promise.resolve();
  /** The life of which it was said that it is pinned. */
  #pinned: Life | undefined;
  /** Nothing new is accepted; what was accepted is being settled. */
  #closing = false;
  #closed = false;
  #failure: Error | undefined;
  #fail: (error: Error) => void = () => {};
  readonly #failed: Promise<never>;

  constructor(ports: LogPorts, options: LogStoreOptions, meta: Meta, recovered: RecoveredWal) {
    this.#ports = ports;
    this.#options = options;
    this.#meta = meta;
    this.#salvaged = recovered.salvaged;
    this.#forgot = recovered.forgot || meta.forgot === true;
    this.incarnation = meta.incarnation;
    this.#files = recovered.files;
    this.#ring = recovered.ring;
    this.#image = recovered.image;
    this.#replayed = new Map(recovered.groups);
    this.#slabs = new Slabs(options.hotTailBytes);
    this.space = new DiskSpace(ports.disk, ports.clock, ports.telemetry, options.diskReserveBytes ?? 0);
    this.#readFiles = new FileCache(ports.disk, READ_FILES_MAX);
    this.wal = new Wal(
      ports.clock,
      this.#slabs,
      {
        incarnation: incarnationBytes(meta.incarnation),
        files: recovered.files,
        ring: recovered.ring,
        image: recovered.image,
        sequence: recovered.sequence,
        position: recovered.position,
      },
      this,
    );
    this.walReader = new WalReader(recovered.files, recovered.ring, this.#scheduler, () => this.wal.kick());
    this.cold = new ColdReader(ports.disk, this.#scheduler, this.#readFiles);
    this.doctor = {
      disk: ports.disk,
      scheduler: this.#scheduler,
      cold: this.cold,
      telemetry: ports.telemetry,
      segmentBytes: options.segmentBytes,
      syncedMark: (groupId) => this.#image.groups.get(groupId)?.synced,
      terms: (groupId) => this.terms(groupId),
      holesChanged: (groupId, holes: readonly Hole[]) => this.repairer?.holesChanged(groupId, holes),
      heal: (groupId) => this.repairer?.heal(groupId) ?? Promise.resolve(false),
    };
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }
  get uncommittedBytesMax(): number {
    return (this.#options.walFileBytes * this.#options.walFilesMax) / 4;
  }
  uncommitted(bytes: number): void {
    this.#uncommittedBytes += bytes;
    invariant(this.#uncommittedBytes >= 0, "what was appended is committed or truncated once");
  }
  takes(bytes: number): boolean {
    if (bytes <= this.wal.roomBytes) return true;
    // What is committed makes room by itself, through the segments: then waiting in line is better than being sent again.
    if (!this.space.full && this.#uncommittedBytes + bytes <= this.uncommittedBytesMax) return true;
    // Nothing may be in line that would say so when it stalls.
    this.#makeAhead();
    this.relieve();
    return false;
  }
  get durableBlockSequence(): number {
    return this.wal.durableSequence;
  }
  get walFilesUsed(): number {
    return this.#ring.dirty;
  }
  get pressed(): boolean {
    return this.#pressed;
  }
  get recovered(): readonly RecoveredGroup[] {
    return this.#recovered;
  }

  async start(): Promise<void> {
    const { disk } = this.#ports;
    await disk.makeDirectory(GROUPS_FOLDER);
    await disk.syncDirectory("");
    if (this.#ring.current === undefined && this.#ring.ready === 0) await this.#makeFirst();
    await this.space.start();
    this.space.onChange(() => this.#makeAhead());
    await this.guard(this.#salvaged ? this.#sayWhatIsLeft() : this.wal.firstCheckpoint());
    await this.#keepMeta();
    await this.#removeLeftFolders();
    // A start that was cut off between making a replica and doubting it: the record follows now.
    for (const { groupId, replicaId, doubted } of this.#image.groups.values())
      if (this.#forgot && !doubted) this.wal.op({ kind: "doubt", groupId, replicaId, doubted: true }, undefined);
    await this.guard(this.wal.barrier());
    this.#recovered = [...this.#image.groups.values()].map(recoveredOf);
    const logs: GroupLogImpl[] = [];
    for (const image of this.#image.groups.values()) logs.push(await this.#load(image));
    await this.#warm(logs);
    this.#makeAhead();
  }

  /** A checkpoint of what a damaged log still proves, in a file of its own where there is one, so that the damage need not be read again. */
  async #sayWhatIsLeft(): Promise<void> {
    const doubted = [...this.#image.groups.values()].filter((group) => group.doubted).map(({ groupId }) => groupId);
    this.#ports.telemetry.log("warn", "log.wal_salvaged", {
      groups: this.#image.groups.size,
      doubted: doubted.join(" "),
      forgot: this.#forgot,
    });
    if (this.#ring.current !== undefined) this.#ring.current.checkpointed = false;
    await this.wal.checkpoint();
    await this.wal.firstCheckpoint();
  }

  /** `meta.json` says what this start found, once the write-ahead log says it too. */
  async #keepMeta(): Promise<void> {
    const { walDamaged, forgot, ...meta } = (await readMeta(this.#ports.disk)) ?? this.#meta;
    if (meta.logMade && walDamaged !== true && (forgot === true) === this.#forgot) return;
    await writeMeta(this.#ports.disk, { ...meta, logMade: true, ...(this.#forgot ? { forgot: true } : {}) });
  }

  get forgot(): boolean {
    return this.#forgot;
  }

  async remembered(): Promise<void> {
    if (!this.#forgot) return;
    // The replicas made meanwhile are doubted by records of their own.
    await this.guard(this.wal.barrier());
    this.#forgot = false;
    await this.#keepMeta();
  }

  open(groupId: GroupId, needed?: () => LogIndex): GroupLog {
    const log = this.#waiting.get(groupId);
    invariant(log !== undefined, () => `group ${groupId} was not recovered, or is open`);
    this.#waiting.delete(groupId);
    this.#open.set(groupId, log);
    if (needed !== undefined) log.keepFor(needed);
    log.dropTrimmed();
    return log;
  }

  wasDropped(replicaId: ReplicaId): boolean {
    return this.#image.dropped.has(replicaId);
  }

  async create(groupId: GroupId, replicaId: ReplicaId, start: StartPoint, config: Uint8Array): Promise<GroupLog> {
    this.#requireRunning();
    invariant(!this.#open.has(groupId) && !this.#waiting.has(groupId), () => `group ${groupId} is open`);
    invariant(!this.#image.dropped.has(replicaId), () => `replica ${replicaId} was dropped and may never come back`);
    invariant(!this.#creating.has(replicaId), () => `replica ${replicaId} is being made`);
    this.#creating.add(replicaId);
    try {
      await this.#ports.disk.makeDirectory(groupFolder(groupId, replicaId));
      await this.#ports.disk.syncDirectory(GROUPS_FOLDER);
      const owner = new FrameOwner(groupId);
      this.wal.op({ kind: "open", groupId, replicaId, start, config }, owner);
      // A crash between the two finds `forgot` in meta.json.
      if (this.#forgot) this.wal.op({ kind: "doubt", groupId, replicaId, doubted: true }, owner);
      await this.guard(this.wal.barrier());
      const log = new GroupLogImpl(
        {
          groupId,
          replicaId,
          start,
          startOffset: start.offset,
          doubted: this.#forgot,
          config,
          owner,
          lastAppendTime: 0,
          frames: new FrameQueue(start.index, start.offset),
          segments: [],
          producers: new Producers(),
          syncedIndex: start.index,
        },
        this,
      );
      this.#open.set(groupId, log);
      return log;
    } finally {
      this.#creating.delete(replicaId);
    }
  }

  snapshots(groupId: GroupId): Snapshots {
    return new Snapshots(this.#ports.disk, this.#scheduler, groupId, this.recoveredOf(groupId).replicaId);
  }

  async drop(groupId: GroupId): Promise<void> {
    this.#requireRunning();
    const log = this.#open.get(groupId) ?? this.#waiting.get(groupId);
    invariant(log !== undefined, () => `group ${groupId} is not here`);
    log.refuseWrites();
    // What it wrote may wait for room in the ring, and it is one of those that make room: it goes when all of that is on disk.
    await this.guard(this.wal.barrier());
    this.#open.delete(groupId);
    this.#waiting.delete(groupId);
    await log.abandon();
    const op = { kind: "drop", groupId, replicaId: log.replicaId } as const;
    await this.guard(new Promise<void>((durable) => this.wal.system({ kind: "op", op, owner: log.owner, durable })));
    await this.#removeFolder(groupFolder(groupId, log.replicaId));
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const logs = [...this.#open.values(), ...this.#waiting.values()];
    if (this.#failure === undefined) {
      // What waits for room on the disk gives up: nobody makes any for a log that closes.
      this.space.close();
      // A failure in the middle ends the attempt; what is durable is durable.
      await Promise.race([this.guard(this.#settle(logs)).catch(() => {}), this.#untilStill()]);
    }
    this.#closed = true;
    this.space.close();
    await this.#making;
    await this.wal.stop();
    for (const log of logs) await log.close();
    await this.#readFiles.close();
    await this.#files.close();
  }

  async #settle(logs: readonly GroupLogImpl[]): Promise<void> {
    // Both at once: what stands in line may wait for a file that only the segments can free.
    await Promise.all([this.wal.barrier(), ...logs.map((log) => log.flush().catch(ignoreStopped))]);
    await Promise.all(logs.map((log) => log.flush().catch(ignoreStopped)));
    await this.wal.checkpoint();
  }

  /** Resolves when no block and no call to the disk is under way, and none ended for a while. */
  async #untilStill(): Promise<void> {
    const { clock } = this.#ports;
    let before = -1;
    for (;;) {
      await new Promise<void>((resolve) => void clock.after(CLOSE_STILL_MS, resolve));
      const now = this.wal.durableSequence + this.#scheduler.done;
      if (this.#closed || (now === before && !this.wal.busy && this.#scheduler.quiet)) return;
      before = now;
    }
  }

  // GroupHost

  terms(groupId: GroupId): readonly TermStart[] {
    return this.#image.groups.get(groupId)?.terms.starts ?? [];
  }

  configAt(groupId: GroupId, index: number): Uint8Array | undefined {
    return this.#image.groups.get(groupId)?.configs.at(index);
  }

  async readWal(frames: readonly HeldFrame[]): Promise<readonly Frame[]> {
    try {
      return await this.walReader.readMany(frames);
    } catch (error) {
      if (!(error instanceof DamagedLog || error instanceof DiskError)) throw error;
      this.#ports.telemetry.log("error", "log.wal_damaged", { path: error.path, what: error.message });
      throw new MillraceError("DATA_LOSS", `Cannot read the write-ahead log: ${error.message}`, { path: error.path });
    }
  }

  makeWriter(source: SegmentSource, segment: Segment | undefined): SegmentWriter {
    const { segmentBytes, segmentMs } = this.#options;
    return new SegmentWriter(this.#ports.disk, this.#scheduler, this.space, source, { segmentBytes, segmentMs }, segment, (error) =>
      this.#broken(error),
    );
  }

  recoveredOf(groupId: GroupId): RecoveredGroup {
    const image = this.#image.groups.get(groupId);
    invariant(image !== undefined, () => `group ${groupId} is not here`);
    return recoveredOf(image);
  }

  async readStart(segment: Segment): Promise<SegmentStart> {
    try {
      return await readStart(this.#ports.disk, segment);
    } catch (error) {
      if (!(error instanceof DamagedLog || error instanceof DiskError)) throw error;
      throw new MillraceError("DATA_LOSS", `Cannot read the start of ${segment.path}: ${error.message}`, { path: segment.path });
    }
  }

  firstSegment(log: GroupLogImpl, point: InstallPoint): Promise<Segment> {
    const { disk } = this.#ports;
    const { groupId, replicaId } = log;
    const name = { baseIndex: (point.start.index + 1) as LogIndex, baseOffset: point.start.offset };
    const path = `${groupFolder(groupId, replicaId)}/${segmentStem(name)}.log`;
    return this.#ofGroup(log, async () => {
      const segment = await this.space.attempt(
        path,
        () => writeFirstSegment(disk, this.#scheduler, groupId, replicaId, point),
        () => removeFile(disk, path),
        () => this.#closing,
      );
      if (segment === undefined) throw new WriterStopped();
      return segment;
    });
  }

  async removeSegments(log: GroupLogImpl, segments: readonly Segment[]): Promise<void> {
    const folder = groupFolder(log.groupId, log.replicaId);
    for (const segment of segments) segment.dropped = true;
    await this.#ofGroup(log, async () => {
      await removeSegments(
        this.#ports.disk,
        folder,
        segments.map(({ name }) => name),
      );
      // Only now: a reader that came in between would have opened it anew.
      for (const segment of segments) await this.cold.forget(segment);
      await this.#ports.disk.syncDirectory(folder);
    });
  }

  /** A disk that fails under a group that is still here ends the broker. */
  async #ofGroup<T>(log: GroupLogImpl, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!log.closed) this.#broken(error);
      throw error;
    }
  }

  touched(log: GroupLogImpl): void {
    this.#touched.push(log);
  }

  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed]);
  }

  // WalEvents

  failed(error: Error): void {
    this.#broken(error);
  }

  blockDurable(): void {
    const touched = this.#touched;
    this.#touched = [];
    for (const log of touched) log.advance();
    if (this.#slabs.takeFilling()) this.#slabs.eachOld((held) => held.owner.listener?.push());
    this.#slabs.shrink(this.wal.durableSequence);
  }

  lifeBegan(): void {
    this.#makeAhead();
    this.relieve();
  }

  stalled(): void {
    this.#makeAhead();
    this.relieve();
  }

  /** A write or sync failed: never again on this disk, and never claimed to be durable. */
  #broken(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#failure = error;
    this.wal.fail();
    this.#ports.telemetry.log("error", "log.write_failed", { error: error.message });
    this.#fail(error);
    this.#options.failed(error);
  }

  #requireRunning(): void {
    invariant(!this.#closing, "the log is closed");
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Makes one file of the ring ahead of need. */
  #makeAhead(): void {
    if (this.#closed || this.#failure !== undefined) return;
    const file = this.#ring.toMake();
    if (file === undefined) return;
    this.#making = this.#make(file).then(
      (made) => {
        if (!made) return;
        this.wal.kick();
        this.#makeAhead();
      },
      (error: unknown) => this.#broken(error),
    );
  }

  /** @throws {DiskError} also when there is no room: a broker that cannot even begin does not start */
  async #makeFirst(): Promise<void> {
    await this.#files.make(this.#ring.toMake() as number);
    this.#ring.makeDone();
  }

  /** @returns false: there is no room for it now */
  async #make(file: number): Promise<boolean> {
    try {
      if (await this.#roomForFile()) {
        await this.#files.make(file);
        this.#ring.makeDone();
        return true;
      }
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
    this.#ring.makeFailed();
    return false;
  }

  /** The ring does not grow into the reserve, but for the files that are kept free: the reserve is there for what they are there for. */
  async #roomForFile(): Promise<boolean> {
    const free = await this.#ports.disk.freeBytes().catch(() => Number.MAX_SAFE_INTEGER);
    const reserve = this.#ring.ready < FILES_KEPT.data ? 0 : this.space.reserveBytes;
    return free >= this.#files.fileBytes + reserve;
  }

  /** Half of the ring is needed: moves the groups that keep its older half into segments, so that files become free. */
  relieve(): void {
    this.#pressed = this.#ring.dirty * 2 >= this.#ring.files;
    if (!this.#pressed || this.#closed || this.#failure !== undefined) return;
    if (this.#relieving) {
      this.#relieveAgain = true;
      return;
    }
    this.#relieving = true;
    this.#relieveAgain = false;
    this.#freeOldest().then(
      () => {
        this.#relieving = false;
        if (this.#relieveAgain) this.relieve();
      },
      (error: unknown) => this.#broken(error),
    );
  }

  async #freeOldest(): Promise<void> {
    const old = this.#ring.lives.slice(0, Math.max(1, Math.floor(this.#ring.dirty / 2)));
    const logs = [...this.#open.values(), ...this.#waiting.values()].filter((log) =>
      old.some((life) => log.owner.pins.range(life) !== undefined),
    );
    await Promise.all(logs.map((log) => this.guard(log.flush().catch(ignoreStopped))));
    // What is not committed cannot go to a segment: it is appended again when files run out.
    if (this.#ring.spare > Math.max(FILES_KEPT.data, this.#ring.files / 4)) return;
    const oldest = this.#ring.lives[0];
    if (oldest === undefined || oldest === this.#ring.current) return;
    const bytes = logs.reduce((sum, log) => sum + log.bytesIn(oldest), 0);
    if (bytes * 2 > this.#files.fileBytes) {
      if (this.#pinned !== oldest) this.#ports.telemetry.log("warn", "log.ring_pinned", { bytes, files: this.#ring.dirty });
      this.#pinned = oldest;
      return;
    }
    for (const log of logs) {
      const range = log.owner.pins.range(oldest);
      if (range !== undefined) await this.#appendAgain(log, { ...range }, oldest);
    }
  }

  /** Writes frames once more, so that the file they lie in is not needed any more. Resolves when that is durable. */
  async #appendAgain(log: GroupLogImpl, range: { readonly first: number; readonly last: number }, from: Life): Promise<void> {
    const inLife = (): HeldFrame[] => [
      ...log.owner.cutIn(from),
      ...log.heldBetween(range.first, range.last).filter((one) => one.block.life === from),
    ];
    const held = inLife();
    const read = await this.walReader.readMany(held);
    const moves = held.map(
      (one, i) => new Promise<void>((durable) => this.wal.system({ kind: "again", held: one, frame: read[i] as Frame, durable })),
    );
    await this.guard(Promise.all(moves));
    if (log.unsynced || inLife().length > 0) return;
    // Nothing of this group is left there: the next block may say so.
    log.owner.pins.moved(from);
    await this.guard(new Promise<void>((durable) => this.wal.system({ kind: "mark", durable })));
  }

  async #load(image: GroupImage): Promise<GroupLogImpl> {
    const replayed = this.#replayed.get(image.groupId);
    invariant(replayed !== undefined, () => `group ${image.groupId} was not replayed`);
    const { segments, producers } = await loadSegments(this.#ports.disk, image);
    const holes = segments.flatMap((segment) => segment.wrongs);
    if (holes.length > 0) tellHoles(this.#ports.telemetry, holes);
    const { groupId, replicaId, start, startOffset, configs, lastAppendTime, syncedIndex } = image;
    const state: GroupState = {
      groupId,
      replicaId,
      start,
      startOffset,
      config: configs.base,
      doubted: image.doubted,
      lastAppendTime,
      owner: replayed.owner,
      frames: replayed.frames,
      segments,
      producers,
      syncedIndex,
    };
    const log = new GroupLogImpl(state, this);
    this.#waiting.set(groupId, log);
    return log;
  }

  /** Brings the newest recovered frames back to memory: what is not committed yet, a leader must be able to send. */
  async #warm(logs: readonly GroupLogImpl[]): Promise<void> {
    let left = this.#options.hotTailBytes * WARM_TAILS;
    const newest = logs
      .flatMap((log) => log.heldBetween(0, log.lastIndex))
      .sort((a, b) => b.block.sequence - a.block.sequence || b.at - a.at);
    for (let at = 0; at < newest.length && left > 0; ) {
      const piece: HeldFrame[] = [];
      let bytes = 0;
      for (; at < newest.length && bytes < 1024 * 1024; at += 1) {
        const held = newest[at] as HeldFrame;
        piece.push(held);
        bytes += held.length;
      }
      left -= bytes;
      this.#slabs.warm(piece, await this.walReader.readMany(piece.toReversed()).then((frames) => frames.toReversed()));
    }
  }

  /**
   * Folders of replicas that were dropped, or that a crash kept from ever being opened (empty ones), go away. One with files whose
   * replica this log never knew is not ours to remove.
   */
  async #removeLeftFolders(): Promise<void> {
    const { disk, telemetry } = this.#ports;
    const wanted = new Set([...this.#image.groups.values()].map((image) => groupFolder(image.groupId, image.replicaId)));
    for (const entry of await disk.list(GROUPS_FOLDER)) {
      const folder = `${GROUPS_FOLDER}/${entry.name}`;
      if (entry.kind !== "directory" || wanted.has(folder)) continue;
      const dropped = this.#image.dropped.has(parseGroupFolder(entry.name)?.replicaId ?? (0 as ReplicaId));
      if (dropped || (await disk.list(folder)).length === 0) await this.#removeFolder(folder);
      else if (this.#forgot && parseGroupFolder(entry.name) !== undefined) await this.#setAside(folder);
      else telemetry.log("warn", "log.unknown_folder", { folder });
    }
  }

  /** The write-ahead log forgot whose it is: kept under another name, because its replica may be made again from its peers. */
  async #setAside(folder: string): Promise<void> {
    const { disk, telemetry } = this.#ports;
    const names = new Set((await disk.list(GROUPS_FOLDER)).map(({ name }) => `${GROUPS_FOLDER}/${name}`));
    let aside = `${folder}.forgotten`;
    for (let i = 2; names.has(aside); i += 1) aside = `${folder}.forgotten-${i}`;
    await disk.rename(folder, aside);
    await disk.syncDirectory(GROUPS_FOLDER);
    telemetry.log("warn", "log.folder_set_aside", { folder, aside });
  }

  async #removeFolder(folder: string): Promise<void> {
    const { disk } = this.#ports;
    try {
      for (const entry of await disk.list(folder)) await disk.unlink(`${folder}/${entry.name}`);
      await disk.removeDirectory(folder);
      await disk.syncDirectory(GROUPS_FOLDER);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
    }
  }
}

function recoveredOf(image: GroupImage): RecoveredGroup {
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

/** A group that was dropped meanwhile needs nothing any more. */
function ignoreStopped(error: unknown): void {
  if (!(error instanceof WriterStopped)) throw error;
}
