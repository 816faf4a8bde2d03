import type { ReplicaId } from "../base/ids.ts";
import type { Disk } from "../base/ports/disk.ts";
import { changeMeta, type Meta } from "./meta.ts";

interface DoubtedLog {
  readonly replicaId: ReplicaId;
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
  /** As `meta.json` says. */
  #firstNew: ReplicaId | undefined;
  /** The first id that was not given out when this process registered: what former ones made here was. */
  #next: ReplicaId | undefined;
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
    // What is missing now may have been made since.
    this.#firstNew = forgot ? undefined : meta.firstNew;
    this.#admitted = meta.admittedBlockSequence ?? 0;
  }

  get forgot(): boolean {
    return this.#forgot;
  }
  get admitted(): number {
    return this.#admitted;
  }

  /**
   * A replica that is made now, or was since this start, may have been here before, and have voted. What `meta.json` says proves nothing of
   * it: that may come from an old copy of this disk, which has forgotten newer ones too. But for one that votes `alone`, whose doubt nobody
   * could end: it is taken for new where `meta.json` says so, as on a disk that never forgot, until a peer remembers more.
   */
  doubts(replicaId: ReplicaId, alone = false): boolean {
    const next = this.#next ?? Number.POSITIVE_INFINITY;
    return this.#forgot && replicaId < (alone ? Math.min(next, this.#firstNew ?? next) : next);
  }

  /** A replica that this start found was made before it was known to be new. */
  doubtsFound(replicaId: ReplicaId): boolean {
    return this.#forgot && replicaId < (this.#firstNew ?? Number.POSITIVE_INFINITY);
  }

  /**
   * The metadata gives out replica ids from `next` on, as of a registration of this process. Whatever a former one made here was recorded
   * before that, and ids only rise, also where a majority of the metadata was lost (ADR 0014).
   */
  async registered(next: ReplicaId): Promise<void> {
    this.#next ??= next;
    if (this.#forgot && this.#firstNew === undefined) await this.keep();
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
    this.#firstNew = this.#next;
    for (const log of logs) if (this.doubts(log.replicaId)) log.doubt();
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
    const first = this.#forgot ? (this.#firstNew ?? this.#next) : undefined;
    const finds = this.#finds;
    const changed = (found: Meta): Meta => {
      const { walDamaged, forgot, firstNew, ...meta } = found;
      const same = (forgot === true) === this.#forgot && firstNew === first && (meta.admittedBlockSequence ?? 0) >= admitted;
      if (meta.logMade && walDamaged !== true && same) return found;
      const mark = this.#forgot ? { forgot: true, ...(first === undefined ? {} : { firstNew: first }) } : {};
      return { ...meta, logMade: true, ...mark, ...(admitted > 0 ? { admittedBlockSequence: admitted } : {}) };
    };
    // Others change other fields.
    await changeMeta(this.#disk, changed, this.#meta);
    // Not before: the next start doubts who is not known to be new.
    if (this.#forgot && finds === this.#finds) this.#firstNew = first;
  }
}
