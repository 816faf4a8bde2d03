import { DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { BLOCK_ALIGN } from "./model/block.ts";
import { WAL_FOLDER } from "./model/segment-name.ts";
import { againBytesMax } from "./ring-relief.ts";
import { blockBytesMax } from "./wal.ts";

/** Of a `synced` record that says nothing of frames which came past the log. At least. */
export const MARK_BYTES = 128;
/** Of a group in a checkpoint, without its configuration, when it is made. At least. */
export const GROUP_BYTES = 128;

/** As much of the write-ahead log as this needs. */
export interface Checkpointed {
  /** Bytes of the last checkpoint. */
  readonly checkpointBytes: number;
}

/**
 * The last free file of the ring is begun only for what lets the oldest one go (ADR 0021): behind a checkpoint, frames that are appended again,
 * half a file at most, and a mark of each group. All of that must fit into one file, whatever the ring holds: else it could be kept for ever.
 * What grows with the groups is bounded here, where one more of them can still be refused.
 */
export class GroupRoom {
  readonly #wal: Checkpointed;
  readonly #groups: ReadonlyMap<unknown, unknown>;
  readonly #fileBytes: number;
  readonly #telemetry: Telemetry;
  /** Of groups made since the last checkpoint, those whose block was not issued then left out: far less than a block. */
  #madeBytes = 0;
  #told = false;

  /** @param groups that there are, as blocks were issued which say so */
  constructor(wal: Checkpointed, groups: ReadonlyMap<unknown, unknown>, fileBytes: number, telemetry: Telemetry) {
    this.#wal = wal;
    this.#groups = groups;
    this.#fileBytes = fileBytes;
    this.#telemetry = telemetry;
  }

  /** A checkpoint was made of all groups there are. */
  checkpointed(): void {
    this.#madeBytes = 0;
  }

  /** Says once when groups that are here already take more than there is for them: nothing else is refused for that. */
  look(): void {
    if (!this.#fits(0)) this.#tell();
  }

  /**
   * One group more, with a configuration of so many bytes.
   *
   * @throws {DiskError} ENOSPC: it would be one too many for files of this size
   */
  admit(configBytes: number): void {
    const bytes = GROUP_BYTES + configBytes;
    if (!this.#fits(bytes)) {
      this.#tell();
      const advice = `files of ${this.#fileBytes} bytes have no room for what is said of more than ${this.#groups.size} groups: move replicas to other brokers; a broker with an empty disk may have a larger wal.file.bytes`;
      throw new DiskError("ENOSPC", WAL_FOLDER, "make one more group in", advice);
    }
    this.#madeBytes += bytes;
  }

  /** @param more bytes of a group that is to be made */
  #fits(more: number): boolean {
    const made = this.#madeBytes + more;
    const checkpoint = this.#wal.checkpointBytes + made;
    // Those whose block was issued since count twice, until the next checkpoint.
    const marks = (this.#groups.size + Math.ceil(made / GROUP_BYTES)) * MARK_BYTES;
    // Each block ends at 4 KiB, and two of them hold more than one of the largest. In files of a few pages, a block will do.
    const largest = blockBytesMax(this.#fileBytes);
    const padding = Math.min(largest, ((2 * this.#fileBytes) / largest + 1) * BLOCK_ALIGN);
    return checkpoint + marks + againBytesMax(this.#fileBytes) + padding <= this.#fileBytes;
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#telemetry.log("error", "log.groups_max", { groups: this.#groups.size, bytes: this.#fileBytes });
  }
}
