import { type Disk, DiskError, type DiskFile } from "../base/ports/disk.ts";
import { isNoSpace } from "./disk-space.ts";
import { WAL_FOLDER, walPath } from "./model/segment-name.ts";

/** What new files are filled with. Nobody writes into it: the simulator knows zeros by their buffer. */
export const ZEROS = new Uint8Array(1024 * 1024);

/** The files of the ring, open for durable writes (O_DSYNC). */
export class WalFiles {
  readonly #disk: Disk;
  readonly #files: (DiskFile | undefined)[] = [];
  /** Bytes of each. */
  readonly fileBytes: number;

  constructor(disk: Disk, fileBytes: number) {
    this.#disk = disk;
    this.fileBytes = fileBytes;
  }

  get(file: number): DiskFile {
    const found = this.#files[file];
    if (found === undefined) throw new Error(`write-ahead log file ${file} is not open`);
    return found;
  }

  async open(file: number): Promise<DiskFile> {
    const opened = await this.#disk.open(walPath(file), { mode: "write", durable: true });
    this.#files[file] = opened;
    return opened;
  }

  /**
   * Zeroes and syncs a new file, piece by piece, so that later writes change no metadata and wait for no journal (performance: 2.5 to 6 times
   * an append). What an interrupted making left behind is made again; one that finds no room leaves nothing.
   *
   * @throws {DiskError}
   */
  async make(file: number): Promise<void> {
    const path = walPath(file);
    await this.#remove(path);
    try {
      const made = await this.#disk.open(path, { mode: "create" });
      try {
        for (let at = 0; at < this.fileBytes; at += ZEROS.length) {
          await made.write(at, [ZEROS.subarray(0, Math.min(ZEROS.length, this.fileBytes - at))]);
          // A sync of all at once is one long flush of the device, and the blocks that clients wait for stand behind it.
          await made.sync();
        }
      } finally {
        await made.close();
      }
    } catch (error) {
      if (isNoSpace(error)) await this.#remove(path);
      throw error;
    }
    await this.#disk.syncDirectory(WAL_FOLDER);
    await this.open(file);
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#disk.unlink(path);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
    }
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file?.close();
    this.#files.length = 0;
  }
}
