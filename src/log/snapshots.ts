import type { GroupId, LogIndex, ReplicaId } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import { isNoSpace } from "./disk-space.ts";
import { Malformed } from "./model/bytes.ts";
import { groupFolder } from "./model/segment-name.ts";
import { decodeSnapshot, encodeSnapshot, parseSnapshot, type Snapshot, type SnapshotHeader, snapshotName } from "./model/snapshot-file.ts";
import { removeFile } from "./segment-loader.ts";
import { DamagedLog } from "./types.ts";

/** A state larger than this is neither written nor read: the machine would have to be cut differently long before. */
export const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;

/** Pieces are written together until they are so many bytes: the file is some tens of writes, not thousands. */
const WRITE_BYTES_MIN = 256 * 1024;

export interface FoundSnapshots {
  /** The newest one that is whole. */
  readonly good: Snapshot | undefined;
  /** Newer ones that are not. */
  readonly damaged: readonly DamagedLog[];
}

/** The snapshots of one machine group, in its folder (design §4): written under a temporary name, synced, renamed, directory synced. */
export class Snapshots {
  readonly #disk: Disk;
  readonly #scheduler: DiskScheduler;
  /** Where they lie, relative to the data directory. */
  readonly folder: string;
  readonly #groupId: GroupId;
  readonly #replicaId: ReplicaId;
  /** One is written at a time: they share the temporary name. */
  #writing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, scheduler: DiskScheduler, groupId: GroupId, replicaId: ReplicaId) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.folder = groupFolder(groupId, replicaId);
    this.#groupId = groupId;
    this.#replicaId = replicaId;
  }

  /** Ascending. Files that are not whole yet have other names. */
  async indexes(): Promise<LogIndex[]> {
    const found = (await this.#disk.list(this.folder)).map((entry) => parseSnapshot(entry.name));
    return found.filter((index) => index !== undefined).sort((a, b) => a - b);
  }

  /** Resolves when it is durable. One with the same index is replaced. @throws {DiskError} ENOSPC leaves nothing behind */
  write(header: Omit<SnapshotHeader, "groupId" | "replicaId">, state: readonly Uint8Array[]): Promise<void> {
    const written = this.#writing.then(() => this.#write(header, state));
    this.#writing = written.catch(() => {});
    return written;
  }

  async #write(header: Omit<SnapshotHeader, "groupId" | "replicaId">, state: readonly Uint8Array[]): Promise<void> {
    const temporary = `${this.folder}/snapshot.tmp`;
    await removeFile(this.#disk, temporary);
    const file = await this.#disk.open(temporary, { mode: "create" });
    try {
      let at = 0;
      for (const chunks of gathered(encodeSnapshot({ ...header, groupId: this.#groupId, replicaId: this.#replicaId }, state))) {
        const position = at;
        await this.#scheduler.run("write", () => file.write(position, chunks));
        for (const { length } of chunks) at += length;
      }
      await this.#scheduler.run("sync", () => file.sync());
    } catch (error) {
      await file.close();
      if (isNoSpace(error)) await removeFile(this.#disk, temporary);
      throw error;
    }
    await file.close();
    await this.#disk.rename(temporary, `${this.folder}/${snapshotName(header.start.index)}`);
    await this.#scheduler.run("sync", () => this.#disk.syncDirectory(this.folder));
  }

  /** @throws {DamagedLog} it is not what was written */
  async read(index: LogIndex): Promise<Snapshot> {
    const path = `${this.folder}/${snapshotName(index)}`;
    try {
      const snapshot = decodeSnapshot(await this.#bytes(path));
      const { header } = snapshot;
      if (header.groupId !== this.#groupId || header.replicaId !== this.#replicaId || header.start.index !== index)
        throw new Malformed(`the snapshot is that of group ${header.groupId}, replica ${header.replicaId}, index ${header.start.index}`);
      return snapshot;
    } catch (error) {
      if (error instanceof Malformed) throw new DamagedLog(path, 0, error.message);
      throw error;
    }
  }

  /** The newest whole one in [from, upTo]: the log joins it, without a gap (scenario 49). */
  async newest(from: LogIndex, upTo: LogIndex): Promise<FoundSnapshots> {
    const damaged: DamagedLog[] = [];
    for (const index of (await this.indexes()).reverse()) {
      if (index < from || index > upTo) continue;
      try {
        return { good: await this.read(index), damaged };
      } catch (error) {
        if (!(error instanceof DamagedLog)) throw error;
        damaged.push(error);
      }
    }
    return { good: undefined, damaged };
  }

  /** Bytes of the file from `position` on, for another broker; fewer than asked only at its end. Undefined: it is not there (any more). */
  async piece(
    index: LogIndex,
    position: number,
    bytesMax: number,
  ): Promise<{ readonly total: number; readonly bytes: Uint8Array } | undefined> {
    try {
      const file = await this.#disk.open(`${this.folder}/${snapshotName(index)}`, { mode: "read" });
      try {
        const total = await file.size();
        const bytes = new Uint8Array(Math.max(0, Math.min(bytesMax, total - position)));
        const read = await this.#scheduler.run("read", () => file.read(position, bytes));
        return { total, bytes: bytes.subarray(0, read) };
      } finally {
        await file.close();
      }
    } catch (error) {
      if (error instanceof DiskError && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Removes all that `wanted` does not want. */
  async prune(wanted: (index: LogIndex) => boolean): Promise<void> {
    for (const index of await this.indexes()) if (!wanted(index)) await removeFile(this.#disk, `${this.folder}/${snapshotName(index)}`);
  }

  async #bytes(path: string): Promise<Uint8Array> {
    const file = await this.#disk.open(path, { mode: "read" });
    try {
      const size = await file.size();
      if (size > SNAPSHOT_BYTES_MAX) throw new Malformed(`a snapshot of ${size} bytes`);
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const read = await this.#scheduler.run("read", () => file.read(at, bytes.subarray(at, at + 1024 * 1024)));
        if (read === 0) throw new Malformed(`the file ends at byte ${at}`);
        at += read;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }
}

/** Pieces as they go to the disk: a state is cut where the work is, not where a write should end. */
function* gathered(pieces: Iterable<Uint8Array>): Generator<readonly Uint8Array[]> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    chunks.push(piece);
    bytes += piece.length;
    if (bytes < WRITE_BYTES_MIN) continue;
    yield chunks;
    chunks = [];
    bytes = 0;
  }
  if (chunks.length > 0) yield chunks;
}
