import type { GroupId, Incarnation, LogIndex, ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Background } from "../base/ports/background.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Disk } from "../base/ports/disk.ts";
import type { Random } from "../base/ports/random.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { ColdReader } from "./cold-reader.ts";
import { DiskDoubts } from "./disk-doubts.ts";
import { DiskScheduler } from "./disk-scheduler.ts";
import { DiskSpace, type Insist } from "./disk-space.ts";
import { settleDoubted } from "./doubted-groups.ts";
import { Failure } from "./failure.ts";
import { FileCache } from "./file-cache.ts";
import { removeFolder, removeLeftFolders, setFolderAside } from "./group-folders.ts";
import { GroupLogImpl } from "./group-log.ts";
import { GroupRoom } from "./group-room.ts";
import { GroupServices, recoveredOf } from "./group-services.ts";
import { BadDataDirectory, META_PATH, type Meta, readMeta, writeMeta } from "./meta.ts";
import { incarnationBytes } from "./model/block.ts";
import { FrameOwner, FrameQueue } from "./model/held.ts";
import type { GroupImage } from "./model/image.ts";
import { Producers } from "./model/producers.ts";
import type { ReplayedGroup } from "./model/replay.ts";
import { FILES_KEPT, type Ring } from "./model/ring.ts";
import { GROUPS_FOLDER, groupFolder, walPath } from "./model/segment-name.ts";
import type { WalImage } from "./model/wal-image.ts";
import { RingMaker } from "./ring-maker.ts";
import { againBytesMax, RingRelief } from "./ring-relief.ts";
import { tellHoles } from "./segment-doctor.ts";
import { loadSegments } from "./segment-loader.ts";
import { ignoreStopped } from "./segment-output.ts";
import { Slabs } from "./slabs.ts";
import { Snapshots } from "./snapshots.ts";
import { StrictDisk } from "./strict-disk.ts";
import type { DamagedLog, GroupLog, Inherited, LogRepairer, LogStore, LogStoreOptions, RecoveredGroup, StartPoint } from "./types.ts";
import { Wal, type WalEvents } from "./wal.ts";
import type { WalFiles } from "./wal-files.ts";
import { WalReader } from "./wal-reader.ts";
import { type RecoveredWal, WalRecovery } from "./wal-recovery.ts";
import { warm } from "./warm.ts";

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
  // A damaged log must say so, and make its files again, before it can say anything else: on a full disk that waits.
  const space = new DiskSpace(ports.disk, ports.clock, ports.telemetry, options.diskReserveBytes ?? 0);
  const insist: Insist = (path, work) => space.insist(path, work, options.unwanted);
  const damaged = async ({ path, position, what }: DamagedLog): Promise<void> => {
    ports.telemetry.log("error", "log.wal_found_damaged", { path, position, what });
    // Before a file is made again: a start that is cut off must not pass for one that found nothing.
    await insist(META_PATH, () => writeMeta(ports.disk, { ...meta, walDamaged: true }));
  };
  const { walFileBytes, walFilesMax } = options;
  const recovery = new WalRecovery(ports.disk, meta.incarnation, insist);
  const recovered = await recovery.run(walFileBytes, walFilesMax, meta.logMade, meta.walDamaged === true, damaged);
  const store = new LogStoreImpl(ports, options, meta, recovered);
  await store.start();
  return store;
}

/** The logs of all groups of one broker: opens, makes and drops them, and ends them together. */
class LogStoreImpl implements LogStore, WalEvents {
  readonly incarnation: Incarnation;
  readonly space: DiskSpace;
  waited: ((ms: number) => void) | undefined;
  readonly #ports: LogPorts;
  /** Of everything that is written once the log is open. */
  readonly #disk: Disk;
  readonly #options: LogStoreOptions;
  readonly #salvaged: boolean;
  readonly #doubts: DiskDoubts;
  readonly #files: WalFiles;
  readonly #ring: Ring;
  readonly #image: WalImage;
  readonly #wal: Wal;
  readonly #walReader: WalReader;
  readonly #slabs: Slabs;
  readonly #scheduler = new DiskScheduler();
  readonly #readFiles: FileCache;
  readonly #maker: RingMaker;
  readonly #relief: RingRelief;
  readonly #groupRoom: GroupRoom;
  readonly #services: GroupServices;
  readonly #failure: Failure;
  /** Replayed and not yet opened. */
  readonly #replayed: Map<GroupId, ReplayedGroup>;
  /** Built at the start, handed out by `open`. */
  readonly #waiting = new Map<GroupId, GroupLogImpl>();
  readonly #open = new Map<GroupId, GroupLogImpl>();
  /** Asked for by `create`, not durable yet. */
  readonly #creating = new Set<ReplicaId>();
  #recovered: readonly RecoveredGroup[] = [];
  #starting = true;
  /** Nothing new is accepted; what was accepted is being settled. */
  #closing = false;
  #closed = false;

  constructor(ports: LogPorts, options: LogStoreOptions, meta: Meta, recovered: RecoveredWal) {
    const { clock, telemetry } = ports;
    const { files, ring, image, sequence, position } = recovered;
    this.#failure = new Failure((error) => this.#failed(error));
    const disk = new StrictDisk(ports.disk, (error) => this.#failure.broken(error));
    this.#ports = ports;
    this.#disk = disk;
    this.#options = options;
    this.#salvaged = recovered.salvaged;
    this.incarnation = meta.incarnation;
    this.#files = files;
    this.#ring = ring;
    this.#image = image;
    this.#replayed = new Map(recovered.groups);
    this.#slabs = new Slabs(options.hotTailBytes);
    this.space = new DiskSpace(disk, clock, telemetry, options.diskReserveBytes ?? 0);
    this.#readFiles = new FileCache(disk, READ_FILES_MAX);
    const incarnation = incarnationBytes(meta.incarnation);
    this.#wal = new Wal(clock, this.#slabs, { incarnation, files, ring, image, sequence, position }, this);
    this.#walReader = new WalReader(files, ring, this.#scheduler, () => this.#wal.kick());
    this.#maker = new RingMaker(disk, ring, files, this.#failure, this.space.reserveBytes, () => this.#wal.kick());
    this.#groupRoom = new GroupRoom(this.#wal, image.groups, files.fileBytes, telemetry);
    this.#doubts = new DiskDoubts(disk, meta, recovered.forgot, () => this.#failure.guard(this.#wal.barrier()));
    const shared = { telemetry, failure: this.#failure, wal: this.#wal, walReader: this.#walReader };
    this.#relief = new RingRelief({
      ...shared,
      clock,
      ring,
      space: this.space,
      maker: this.#maker,
      filesMax: options.walFilesMax,
      fileBytes: files.fileBytes,
      logs: () => this.#logs(),
    });
    this.#services = new GroupServices({
      ...shared,
      disk,
      scheduler: this.#scheduler,
      space: this.space,
      relief: this.#relief,
      image,
      cold: new ColdReader(disk, this.#scheduler, this.#readFiles, options.readPendingMaxBytes),
      options: { segmentBytes: options.segmentBytes, segmentMs: options.segmentMs },
    });
  }

  get repairer(): LogRepairer | undefined {
    return this.#services.repairer;
  }
  set repairer(repairer: LogRepairer | undefined) {
    this.#services.repairer = repairer;
  }
  get uncommittedBytes(): number {
    return this.#services.uncommittedBytes;
  }
  get uncommittedBytesMax(): number {
    return (this.#options.walFileBytes * this.#options.walFilesMax) / 4;
  }
  get durableBlockSequence(): number {
    return this.#wal.durableSequence;
  }
  get walFilesUsed(): number {
    return this.#ring.dirty;
  }
  get walFilesMax(): number {
    return this.#ring.files;
  }
  get recovered(): readonly RecoveredGroup[] {
    return this.#recovered;
  }
  get forgot(): boolean {
    return this.#doubts.forgot;
  }
  get admittedBlockSequence(): number {
    return this.#doubts.admitted;
  }

  takes(bytes: number, inherited?: Inherited): boolean {
    const grown = inherited !== undefined && this.#relief.mayUseGrown(inherited);
    if (bytes <= this.#wal.roomBytes(grown)) return true;
    // What is committed makes room by itself, through the segments: then waiting in line is better than being sent again.
    if (this.#segmentsHaveRoom(bytes) && this.#services.stuckBytes + bytes <= againBytesMax(this.#files.fileBytes)) return true;
    this.#ring.short();
    // Nothing may be in line that would say so when it stalls.
    this.stalled();
    return false;
  }

  refusedAppend(inherited: Inherited): void {
    this.#relief.refused(inherited);
  }

  /** Whether the disk takes all that the ring holds: else what stands in line may stand for long, and a vote behind it. */
  #segmentsHaveRoom(bytes: number): boolean {
    const { full, freeBytes } = this.space;
    return !full && (freeBytes === undefined || freeBytes >= this.#ring.dirty * this.#files.fileBytes + bytes);
  }

  async start(): Promise<void> {
    await this.#start();
    this.#starting = false;
    this.#wal.started();
    this.#groupRoom.look();
    this.#maker.ahead();
  }

  async #start(): Promise<void> {
    const { disk, telemetry } = this.#ports;
    await disk.makeDirectory(GROUPS_FOLDER);
    await disk.syncDirectory("");
    // A broker that cannot even begin says so and does not start. One that has lost its files has more to wait for.
    if (this.#salvaged) await this.#insist(walPath(0), () => this.#maker.first());
    else await this.#maker.first();
    await this.space.start();
    this.space.onChange(() => this.#maker.ahead());
    await this.#failure.guard(this.#salvaged ? this.#sayWhatIsLeft() : this.#wal.firstCheckpoint());
    await this.#insist(META_PATH, () => this.#doubts.keep());
    await removeLeftFolders(disk, telemetry, this.#image, this.forgot);
    const found = { image: this.#image, replayed: this.#replayed, doubts: this.#doubts };
    await settleDoubted({ disk, telemetry, wal: this.#wal, failure: this.#failure, ...found });
    this.#recovered = [...this.#image.groups.values()].map(recoveredOf);
    for (const image of this.#image.groups.values()) this.#waiting.set(image.groupId, await this.#load(image));
    await warm([...this.#waiting.values()], this.#slabs, this.#walReader, this.#options.hotTailBytes * WARM_TAILS);
  }

  #insist(path: string, work: () => Promise<void>): Promise<void> {
    return this.space.insist(path, work, this.#options.unwanted);
  }

  /** A checkpoint of what a damaged log still proves, in a file of its own where there is one, so that the damage need not be read again. */
  async #sayWhatIsLeft(): Promise<void> {
    const doubted = [...this.#image.groups.values()].filter((group) => group.doubted).map(({ groupId }) => groupId);
    this.#ports.telemetry.log("warn", "log.wal_salvaged", {
      groups: this.#image.groups.size,
      doubted: doubted.join(" "),
      forgot: this.forgot,
    });
    if (this.#ring.current !== undefined) this.#ring.current.checkpointed = false;
    await this.#wal.checkpoint();
    await this.#wal.firstCheckpoint();
  }

  maybeForgotten(replicaId: ReplicaId): boolean {
    return this.#doubts.doubts(replicaId);
  }

  async registered(next: ReplicaId): Promise<void> {
    this.#requireRunning();
    await this.#doubts.registered(next);
  }

  remembered(): Promise<void> {
    return this.#doubts.remembered();
  }

  async admit(blockSequence: number): Promise<void> {
    this.#requireRunning();
    await this.#doubts.admit(blockSequence, this.#logs());
  }

  async #load(image: GroupImage): Promise<GroupLogImpl> {
    const { disk, telemetry } = this.#ports;
    const { groupId, replicaId, start, startOffset, configs, doubted, lastAppendTime, syncedIndex } = image;
    const replayed = this.#replayed.get(groupId);
    invariant(replayed !== undefined, () => `group ${groupId} was not replayed`);
    const { segments, producers, rebuilt } = await loadSegments(disk, image);
    for (const footer of rebuilt) telemetry.log("warn", "log.footer_rebuilt", { ...footer });
    const holes = segments.flatMap((segment) => segment.wrongs);
    if (holes.length > 0) tellHoles(telemetry, holes);
    const found = { segments, producers, ...replayed };
    const said = { groupId, replicaId, start, startOffset, config: configs.base, doubted, lastAppendTime, syncedIndex, mark: image.synced };
    return new GroupLogImpl({ ...said, ...found }, this.#services);
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

  async create(groupId: GroupId, replicaId: ReplicaId, start: StartPoint, config: Uint8Array, alone = false): Promise<GroupLog> {
    this.#requireRunning();
    invariant(!this.#open.has(groupId) && !this.#waiting.has(groupId), () => `group ${groupId} is open`);
    invariant(!this.#image.dropped.has(replicaId), () => `replica ${replicaId} was dropped and may never come back`);
    invariant(!this.#creating.has(replicaId), () => `replica ${replicaId} is being made`);
    this.#groupRoom.admit(config.length);
    this.#creating.add(replicaId);
    try {
      await this.#disk.makeDirectory(groupFolder(groupId, replicaId));
      await this.#disk.syncDirectory(GROUPS_FOLDER);
      const owner = new FrameOwner(groupId);
      owner.pins.synced(start.index);
      this.#wal.op({ kind: "open", groupId, replicaId, start, config }, owner);
      // A crash between the two finds `forgot` in meta.json.
      const doubted = this.#doubts.doubts(replicaId, alone);
      if (doubted) this.#wal.op({ kind: "doubt", groupId, replicaId, doubted: true }, owner);
      await this.#failure.guard(this.#wal.barrier());
      const log = new GroupLogImpl(
        {
          groupId,
          replicaId,
          start,
          startOffset: start.offset,
          doubted,
          config,
          owner,
          lastAppendTime: 0,
          frames: new FrameQueue(start.index, start.offset),
          segments: [],
          producers: new Producers(),
          syncedIndex: start.index,
          mark: undefined,
        },
        this.#services,
      );
      this.#open.set(groupId, log);
      // Found meanwhile.
      if (this.#doubts.doubts(replicaId, alone)) log.doubt();
      return log;
    } finally {
      this.#creating.delete(replicaId);
    }
  }

  snapshots(groupId: GroupId): Snapshots {
    return new Snapshots(this.#disk, this.#scheduler, groupId, this.#services.recoveredOf(groupId).replicaId);
  }

  async drop(groupId: GroupId, folder: "removed" | "set aside" | "fenced" = "removed"): Promise<void> {
    this.#requireRunning();
    const log = this.#open.get(groupId) ?? this.#waiting.get(groupId);
    invariant(log !== undefined, () => `group ${groupId} is not here`);
    if (folder === "fenced") {
      // What lies in the write-ahead log alone would not be kept; committed or not, whoever looks has to judge. Not on a full disk: it
      // could wait for ever.
      log.commit(log.lastIndex);
      if (!this.space.full) await this.#failure.guard(log.toSegments().catch(ignoreStopped));
    }
    log.refuseWrites();
    // What it wrote may wait for room in the ring, and it is one of those that make room: it goes when all of that is on disk.
    await this.#failure.guard(this.#wal.barrier());
    this.#open.delete(groupId);
    this.#waiting.delete(groupId);
    this.#relief.forget(groupId);
    await log.abandon();
    const path = groupFolder(groupId, log.replicaId);
    // Before the record: a start removes the folder of whoever was dropped. In between it finds the replica without its files.
    if (folder !== "removed") await setFolderAside(this.#disk, this.#ports.telemetry, path, folder === "fenced" ? "fenced" : "replaced");
    const op = { kind: "drop", groupId, replicaId: log.replicaId } as const;
    await this.#failure.guard(new Promise<void>((durable) => this.#wal.system({ kind: "op", op, owner: log.owner, durable })));
    if (folder === "removed") await removeFolder(this.#disk, path);
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const logs = this.#logs();
    if (this.#failure.error === undefined) {
      // What waits for room on the disk gives up: nobody makes any for a log that closes.
      this.space.close();
      // A failure in the middle ends the attempt; what is durable is durable.
      await Promise.race([this.#failure.guard(this.#settle(logs)).catch(() => {}), this.#untilStill()]);
    }
    this.#closed = true;
    this.space.close();
    this.#relief.close();
    await this.#maker.close();
    await this.#doubts.close();
    await this.#wal.stop();
    for (const log of logs) await log.close();
    await this.#readFiles.close();
    await this.#files.close();
  }

  async #settle(logs: readonly GroupLogImpl[]): Promise<void> {
    // Both at once: what stands in line may wait for a file that only the segments can free.
    await Promise.all([this.#wal.barrier(), ...logs.map((log) => log.flush().catch(ignoreStopped))]);
    await Promise.all(logs.map((log) => log.flush().catch(ignoreStopped)));
    await this.#wal.checkpoint();
  }

  /** Resolves when no block and no call to the disk is under way, and none ended for a while. */
  async #untilStill(): Promise<void> {
    const { clock } = this.#ports;
    let before = -1;
    for (;;) {
      await new Promise<void>((resolve) => void clock.after(CLOSE_STILL_MS, resolve));
      const now = this.#wal.durableSequence + this.#scheduler.done;
      if (this.#closed || (now === before && !this.#wal.busy && this.#scheduler.quiet)) return;
      before = now;
    }
  }

  #logs(): readonly GroupLogImpl[] {
    return [...this.#open.values(), ...this.#waiting.values()];
  }

  #requireRunning(): void {
    invariant(!this.#closing, "the log is closed");
    if (this.#failure.error !== undefined) throw this.#failure.error;
  }

  /** A write or sync failed: never again on this disk, and never claimed to be durable. */
  #failed(error: Error): void {
    this.#wal.fail();
    this.#ports.telemetry.log("error", "log.write_failed", { error: error.message });
    this.#options.failed(error);
  }

  // WalEvents

  failed(error: Error): void {
    this.#failure.broken(error);
  }

  blockDurable(waitedMs: number | undefined): void {
    if (waitedMs !== undefined) this.waited?.(waitedMs);
    this.#services.advanceTouched();
    if (this.#slabs.takeFilling()) this.#slabs.eachOld((held) => held.owner.listener?.push());
    this.#slabs.shrink(this.#wal.durableSequence);
  }

  lifeBegan(): void {
    this.#groupRoom.checkpointed();
    this.#maker.ahead();
    this.#relief.relieve();
  }

  stalled(): void {
    // A start has nobody yet who would let a file go.
    if (this.#starting) this.#ring.grow();
    this.#maker.ahead();
    this.#relief.relieve(true);
  }
}
