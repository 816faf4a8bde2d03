import type { Disk, DiskFile } from "../base/ports/disk.ts";

interface Cached {
  readonly file: Promise<DiskFile>;
  users: number;
  /** Closed when the last user leaves. */
  forgotten: boolean;
}

/** Open files for cold reads: the least recently used one is closed first, never under a reader. */
export class FileCache {
  readonly #disk: Disk;
  readonly #filesMax: number;
  /** In order of use, least recent first. */
  readonly #files = new Map<string, Cached>();

  constructor(disk: Disk, filesMax: number) {
    this.#disk = disk;
    this.#filesMax = filesMax;
  }

  async use<T>(path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
    const cached = this.#files.get(path) ?? { file: this.#disk.open(path, { mode: "read" }), users: 0, forgotten: false };
    this.#files.delete(path);
    this.#files.set(path, cached);
    cached.users += 1;
    try {
      return await work(await cached.file);
    } catch (error) {
      // An open that failed is not kept.
      if (this.#files.get(path) === cached) this.#files.delete(path);
      cached.forgotten = true;
      throw error;
    } finally {
      cached.users -= 1;
      if (cached.forgotten && cached.users === 0) await close(cached);
      await this.#evict();
    }
  }

  /** The file goes away: readers that have it finish. */
  async forget(path: string): Promise<void> {
    const cached = this.#files.get(path);
    if (cached === undefined) return;
    this.#files.delete(path);
    cached.forgotten = true;
    if (cached.users === 0) await close(cached);
  }

  async close(): Promise<void> {
    for (const path of [...this.#files.keys()]) await this.forget(path);
  }

  async #evict(): Promise<void> {
    if (this.#files.size <= this.#filesMax) return;
    for (const [path, cached] of this.#files) {
      if (cached.users > 0) continue;
      await this.forget(path);
      return;
    }
  }
}

async function close(cached: Cached): Promise<void> {
  const file = await cached.file.catch(() => undefined);
  await file?.close();
}
