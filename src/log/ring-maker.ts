import type { Disk } from "../base/ports/disk.ts";
import { isNoSpace } from "./disk-space.ts";
import type { Failure } from "./failure.ts";
import { FILES_KEPT, type Ring } from "./model/ring.ts";
import type { WalFiles } from "./wal-files.ts";

/** Makes the files of the ring, one at a time and one ahead of need (design §4). */
export class RingMaker {
  readonly #disk: Disk;
  readonly #ring: Ring;
  readonly #files: WalFiles;
  readonly #failure: Failure;
  readonly #reserveBytes: number;
  readonly #made: () => void;
  #making: Promise<void> = Promise.resolve();
  #closed = false;

  /**
   * @param reserveBytes of the disk, into which the ring does not grow
   * @param made a file is there: who waits for one should look
   */
  constructor(disk: Disk, ring: Ring, files: WalFiles, failure: Failure, reserveBytes: number, made: () => void) {
    this.#disk = disk;
    this.#ring = ring;
    this.#files = files;
    this.#failure = failure;
    this.#reserveBytes = reserveBytes;
    this.#made = made;
  }

  /** The first file of an empty ring. @throws {DiskError} also when there is no room; may be tried again */
  async first(): Promise<void> {
    if (this.#ring.current !== undefined || this.#ring.ready > 0) return;
    try {
      await this.#files.make(this.#ring.toMake() as number);
    } catch (error) {
      this.#ring.makeFailed();
      throw error;
    }
    this.#ring.makeDone();
  }

  /** Begins to make the next file, when one is wanted. */
  ahead(): void {
    if (this.#closed || this.#failure.error !== undefined) return;
    const file = this.#ring.toMake();
    if (file === undefined) return;
    this.#making = this.#make(file).then(
      (made) => {
        if (!made) return;
        this.#made();
        this.ahead();
      },
      (error: unknown) => this.#failure.broken(error),
    );
  }

  /** Resolves when no file is being made; none is afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#making;
  }

  /** @returns false: there is no room for it now */
  async #make(file: number): Promise<boolean> {
    try {
      if (await this.#hasRoom()) {
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
  async #hasRoom(): Promise<boolean> {
    const free = await this.#disk.freeBytes().catch(() => Number.MAX_SAFE_INTEGER);
    const reserve = this.#ring.ready < FILES_KEPT.data ? 0 : this.#reserveBytes;
    return free >= this.#files.fileBytes + reserve;
  }
}
