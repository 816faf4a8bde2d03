import { type Disk, DiskError, type DiskFile } from "../base/ports/disk.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import { type DiskSpace, isNoSpace } from "./disk-space.ts";

/** The group was closed or dropped, or its disk failed, while something waited for its turn. */
export class WriterStopped extends Error {
  override readonly name = "WriterStopped";
}

/** A group that was dropped meanwhile needs nothing any more. */
export function ignoreStopped(error: unknown): void {
  if (!(error instanceof WriterStopped)) throw error;
}

/** How the bytes of one group's segments get to the disk: in their turn, and again and again while the disk is full. */
export class SegmentOutput {
  readonly #disk: Disk;
  readonly #scheduler: DiskScheduler;
  readonly #space: Pick<DiskSpace, "attempt" | "spent">;
  readonly #unwanted: () => boolean;

  /** @param unwanted nobody wants what waits for room any more */
  constructor(disk: Disk, scheduler: DiskScheduler, space: Pick<DiskSpace, "attempt" | "spent">, unwanted: () => boolean) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#space = space;
    this.#unwanted = unwanted;
  }

  open(path: string): Promise<DiskFile> {
    return this.#disk.open(path, { mode: "write" });
  }

  /** A new file with these bytes, not synced. One for which there was no room is removed. @throws {WriterStopped} */
  create(path: string, bytes: Uint8Array): Promise<DiskFile> {
    return this.#roomFor(
      path,
      bytes.length,
      () => this.#create(path, bytes),
      () => this.#remove(path),
    );
  }

  /** At the end of a file, which is at `position`. A piece of which only a part found room is cut off and written again. @throws {WriterStopped} */
  async append(file: DiskFile, path: string, position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await this.#roomFor(
      path,
      bytes,
      () => this.#scheduler.run("write", () => file.write(position, chunks)),
      () => file.truncate(position),
    );
  }

  /** @param newIn the folder that does not know the file yet, as far as a power cut is concerned */
  sync(file: DiskFile, newIn: string | undefined): Promise<void> {
    return this.#scheduler.run("sync", async () => {
      await file.sync();
      if (newIn !== undefined) await this.#disk.syncDirectory(newIn);
    });
  }

  /** The whole of a file that is derived, and not synced. On a full disk there is none. */
  async replace(path: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#scheduler.run("write", async () => {
        const { file, created } = await this.#createOrOpen(path);
        try {
          await file.write(0, [bytes]);
          if (!created) await file.truncate(bytes.length);
        } finally {
          await file.close();
        }
      });
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      // Half of it would be built again all the same, and its bytes are wanted.
      await this.#remove(path);
    }
  }

  /** Tries again while the disk is full. @throws {WriterStopped} */
  async #roomFor<T>(path: string, bytes: number, work: () => Promise<T>, undo: () => Promise<void>): Promise<T> {
    let done = false;
    const result = await this.#space.attempt(
      path,
      async () => {
        const value = await work();
        done = true;
        return value;
      },
      undo,
      this.#unwanted,
    );
    if (!done) throw new WriterStopped();
    this.#space.spent(bytes);
    return result as T;
  }

  async #create(path: string, bytes: Uint8Array): Promise<DiskFile> {
    const file = await this.#disk.open(path, { mode: "create" });
    try {
      await this.#scheduler.run("write", () => file.write(0, [bytes]));
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#disk.unlink(path);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
    }
  }

  /** Most indexes are written once, when their segment is sealed: the file is not there yet. */
  async #createOrOpen(path: string): Promise<{ readonly file: DiskFile; readonly created: boolean }> {
    try {
      return { file: await this.#disk.open(path, { mode: "create" }), created: true };
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "EEXIST")) throw error;
      return { file: await this.open(path), created: false };
    }
  }
}
