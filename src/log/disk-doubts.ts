import type { Disk } from "../base/ports/disk.ts";
import { changeMeta, type Meta } from "./meta.ts";

interface DoubtedLog {
  doubt(): void;
}

/**
 * What this disk is known to have forgotten, as a whole, kept in `meta.json`: what its damaged write-ahead log does not name any more, and
 * what peers remember of it. The doubts of single groups are in the write-ahead log.
 */
export class DiskDoubts {
  readonly #disk: Disk;
  readonly #meta: Meta;
  readonly #barrier: () => Promise<void>;
  #forgot: boolean;
  #admitted: number;
  /** Times something was found since this start. */
  #finds = 0;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param barrier resolves when all that the write-ahead log was given is durable */
  constructor(disk: Disk, meta: Meta, forgot: boolean, barrier: () => Promise<void>) {
    this.#disk = disk;
    this.#meta = meta;
    this.#barrier = barrier;
    this.#forgot = forgot || meta.forgot === true;
    this.#admitted = meta.admittedBlockSequence ?? 0;
  }

  get forgot(): boolean {
    return this.#forgot;
  }
  get admitted(): number {
    return this.#admitted;
  }

  /** `meta.json` says what this start found, or what was found since, once the write-ahead log says it too. One writer at a time. */
  keep(admitted = this.#admitted): Promise<void> {
    const written = this.#writing.then(() => this.#write(admitted));
    this.#writing = written.catch(() => {});
    return written;
  }

  async remembered(): Promise<void> {
    if (!this.#forgot) return;
    const finds = this.#finds;
    // The replicas made meanwhile are doubted by records of their own.
    await this.#barrier();
    // More was found since, or the log is being closed: the next start doubts once more, which is safe.
    if (this.#closed || finds !== this.#finds) return;
    this.#forgot = false;
    await this.keep();
  }

  async admit(blockSequence: number, logs: readonly DoubtedLog[]): Promise<void> {
    this.#forgot = true;
    this.#finds += 1;
    for (const log of logs) log.doubt();
    await this.#barrier();
    await this.keep(blockSequence);
    this.#admitted = Math.max(this.#admitted, blockSequence);
  }

  /** Nothing is taken back any more. Resolves when nothing is being written. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#writing;
  }

  async #write(admitted: number): Promise<void> {
    const changed = (found: Meta): Meta => {
      const { walDamaged, forgot, ...meta } = found;
      const same = (forgot === true) === this.#forgot && (meta.admittedBlockSequence ?? 0) >= admitted;
      if (meta.logMade && walDamaged !== true && same) return found;
      const more = { ...(this.#forgot ? { forgot: true } : {}), ...(admitted > 0 ? { admittedBlockSequence: admitted } : {}) };
      return { ...meta, logMade: true, ...more };
    };
    // Others change other fields.
    await changeMeta(this.#disk, changed, this.#meta);
  }
}
