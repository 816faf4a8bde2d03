import type { Disk } from "../../base/ports/disk.ts";
import type { Random } from "../../base/ports/random.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import { changeMeta, type Meta } from "../../log/meta.ts";

/** Recovery epochs that a recovery draws its own from. */
const EPOCHS = 2 ** 20;

/**
 * What the disk of this broker says of recoveries after a lost majority (ADR 0014), in `meta.json`: the recovery epoch of the metadata, how
 * this disk stands in it, and how many recoveries of partitions it has followed.
 */
export class RecoveryMark {
  readonly #disk: Disk;
  readonly #random: Pick<Random, "below">;
  #meta: Pick<Meta, "recoveryEpoch" | "recovery" | "recoveries">;
  /** Recoveries of partitions that others know of. */
  #needed = 0;
  /** One change of the file after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  /** The file says something else now. */
  onChange: (meta: Meta) => void = () => {};

  constructor(disk: Disk, random: Pick<Random, "below">, meta: Meta) {
    this.#disk = disk;
    this.#random = random;
    this.#meta = meta;
  }

  get epoch(): number {
    return this.#meta.recoveryEpoch;
  }
  get state(): Meta["recovery"] {
    return this.#meta.recovery;
  }
  /** Recoveries of partitions this broker has read of: for its hello. */
  known(image: MetadataImage): number {
    return Math.max(this.#meta.recoveries ?? 0, image.recoveries);
  }

  /** Somebody knows of so many. @returns whether that is more than is known here */
  heard(count: number, image: MetadataImage): boolean {
    if (count <= this.known(image) || count <= this.#needed) return false;
    this.#needed = count;
    return true;
  }

  /** The image says of each replica of this disk whether it stands. */
  mayOpen(image: MetadataImage, registered: boolean): boolean {
    return (this.state !== "fenced" || registered) && image.recoveries >= this.#needed;
  }

  /** The image is ahead of the file. */
  behind(image: MetadataImage): boolean {
    return image.recoveries > (this.#meta.recoveries ?? 0) || (this.state === "survivor" && image.recoveryEpoch >= this.epoch);
  }

  /** What the image told is done here. */
  follow(image: MetadataImage): Promise<void> {
    const recoveries = image.recoveries;
    const over = image.recoveryEpoch >= this.epoch;
    return this.#change((meta) => {
      const { recovery, ...rest } = meta;
      const state = recovery === "survivor" && over ? {} : recovery === undefined ? {} : { recovery };
      return { ...rest, ...state, ...(recoveries === 0 ? {} : { recoveries: Math.max(recoveries, rest.recoveries ?? 0) }) };
    });
  }

  /**
   * The metadata goes on from this disk: from here on that is decided. Another disk of the same epoch may be made to survive as well, by
   * whoever does not know of this one: the epochs are drawn, so that one of the two is later, and fences the other when they meet.
   */
  survive(): Promise<void> {
    const drawn = this.#random.below(EPOCHS);
    const after = (epoch: number): number => (Math.floor(epoch / EPOCHS) + 1) * EPOCHS + drawn;
    return this.#change((meta) => ({ ...meta, recoveryEpoch: after(meta.recoveryEpoch), recovery: "survivor" }));
  }

  /** Another disk survived. */
  fence(epoch: number): Promise<void> {
    return this.#change((meta) => ({ ...meta, recoveryEpoch: Math.max(epoch, meta.recoveryEpoch), recovery: "fenced" }));
  }

  /** A fenced disk has joined the cluster as it is now. */
  async joined(): Promise<void> {
    if (this.state === "fenced") await this.#change(({ recovery, ...meta }) => meta);
  }

  #change(change: (meta: Meta) => Meta): Promise<void> {
    const changed = this.#changing.then(async () => {
      const meta = await changeMeta(this.#disk, change);
      this.#meta = meta;
      this.onChange(meta);
    });
    this.#changing = changed.catch(() => {});
    return changed;
  }
}
