import { type Disk, type DiskEntry, DiskError, type DiskFile, type OpenOptions } from "../base/ports/disk.ts";
import { isNoSpace } from "./disk-space.ts";

const NAMES: ReadonlySet<string> = new Set(["ENOENT", "EEXIST", "ENOTEMPTY"]);

/**
 * A disk on which no failed write, sync or rename passes for an inconvenience (design §4, D3): whoever made the call is told, and so is
 * `broken`, which ends the broker. What the kernel gave up on once is not known to be on disk, however often it is tried again.
 *
 * Two failures are no such thing: a write or create that found no room promised nothing and may be tried again (ADR 0010), and a name
 * that is not there, or still in use, says nothing of the disk. A read that fails is damage, which has its own ways.
 */
export class StrictDisk implements Disk {
  readonly #disk: Disk;
  readonly #broken: (error: DiskError) => void;

  constructor(disk: Disk, broken: (error: DiskError) => void) {
    this.#disk = disk;
    this.#broken = broken;
  }

  /** The disk itself. */
  get watched(): Disk {
    return this.#disk;
  }

  get root(): string {
    return this.#disk.root;
  }

  async open(path: string, options: OpenOptions): Promise<DiskFile> {
    return new StrictFile(await this.#disk.open(path, options), (work) => this.#watched(work));
  }

  list(path: string): Promise<readonly DiskEntry[]> {
    return this.#disk.list(path);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#watched(this.#disk.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#watched(this.#disk.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#watched(this.#disk.unlink(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#watched(this.#disk.removeDirectory(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#watched(this.#disk.syncDirectory(path));
  }

  freeBytes(): Promise<number> {
    return this.#disk.freeBytes();
  }

  lock(): Promise<{ release(): Promise<void> }> {
    return this.#disk.lock();
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof DiskError && !NAMES.has(error.code) && !isNoSpace(error)) this.#broken(error);
      throw error;
    }
  }
}

type Watch = <T>(work: Promise<T>) => Promise<T>;

class StrictFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #watched: Watch;

  constructor(file: DiskFile, watched: Watch) {
    this.#file = file;
    this.#watched = watched;
  }

  get path(): string {
    return this.#file.path;
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#watched(this.#file.write(position, chunks));
  }

  read(position: number, into: Uint8Array): Promise<number> {
    return this.#file.read(position, into);
  }

  sync(): Promise<void> {
    return this.#watched(this.#file.sync());
  }

  truncate(size: number): Promise<void> {
    return this.#watched(this.#file.truncate(size));
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
