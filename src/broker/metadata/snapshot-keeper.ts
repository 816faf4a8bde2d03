import type { LogIndex, Offset } from "../../base/ids.ts";
import type { Background } from "../../base/ports/background.ts";
import { DiskError } from "../../base/ports/disk.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Snapshot } from "../../log/model/snapshot-file.ts";
import type { Snapshots } from "../../log/snapshots.ts";
import { trimDraft } from "../../records/trim.ts";
import type { Replica } from "../replica.ts";
import type { MetadataView } from "./metadata-view.ts";

/** Snapshots kept. The log goes on from the older one: if the newest is rotten, nothing is missing (scenario 49). */
const SNAPSHOTS_KEPT = 2;

export interface SnapshotKeeperOptions {
  /** A snapshot is taken when so many bytes of frames were replayed since the last one. */
  readonly everyBytes: number;
  readonly recoveryEpoch: number;
}

export interface SnapshotKeeperPorts {
  readonly background: Background;
  readonly telemetry: Telemetry;
  /** The disk failed: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/**
 * Takes snapshots of this replica's metadata image (design §4): each replica its own, in slices of about a millisecond, of what is
 * committed and durable here, so the log on this disk always reaches its snapshots. The leader proposes to trim the log behind the
 * older of the two kept; every replica keeps its own log from its own older snapshot on, whatever is trimmed.
 */
export class SnapshotKeeper {
  readonly #snapshots: Snapshots;
  readonly #replica: Replica;
  readonly #view: MetadataView;
  readonly #options: SnapshotKeeperOptions;
  readonly #ports: SnapshotKeeperPorts;
  /** Ascending. */
  readonly #kept: { readonly index: LogIndex; readonly offset: Offset }[] = [];
  #bytesBefore: number;
  #taking = false;

  /** @param restored what the image was made from when this replica was opened */
  constructor(
    snapshots: Snapshots,
    replica: Replica,
    view: MetadataView,
    options: SnapshotKeeperOptions,
    ports: SnapshotKeeperPorts,
    restored: Snapshot | undefined,
  ) {
    this.#snapshots = snapshots;
    this.#replica = replica;
    this.#view = view;
    this.#options = options;
    this.#ports = ports;
    this.#bytesBefore = view.appliedBytes;
    if (restored !== undefined) this.#kept.push(restored.header.start);
    replica.keepAbove = () => this.#floor;
  }

  /** The newest snapshot of this disk, for another broker; undefined: there is none. */
  get newest(): LogIndex | undefined {
    return this.#kept.at(-1)?.index;
  }

  /** The image moved, or the group's replica did. */
  advanced(): void {
    const { log } = this.#replica;
    // What a follower needed may be free by now.
    if (log.startOffset > log.start.offset) log.dropTrimmed();
    const { appliedBytes, applied } = this.#view;
    if (this.#taking || appliedBytes - this.#bytesBefore < this.#options.everyBytes) return;
    // A commit may run ahead of this disk: a snapshot of what the log here does not hold would leave a gap after a crash.
    if (applied > this.#replica.core.durable || applied <= (this.newest ?? 0)) return;
    this.#taking = true;
    this.#bytesBefore = appliedBytes;
    this.#take().then(
      () => {
        this.#taking = false;
      },
      (error: unknown) => {
        this.#taking = false;
        // Tried again after as many bytes; everything else ends the broker (design §4).
        if (error instanceof DiskError && error.code === "ENOSPC") this.#ports.telemetry.log("warn", "metadata.snapshot_postponed", {});
        else this.#ports.failed(error);
      },
    );
  }

  async #take(): Promise<void> {
    const { image, position } = this.#view;
    const slices = image.slices();
    const parts: Uint8Array[] = [];
    await this.#ports.background.run(() => {
      const slice = slices.next();
      if (slice.done === true) return true;
      parts.push(slice.value);
      return false;
    });
    // Who votes as of there: whoever begins at this snapshot finds only later configurations in the log.
    const { config: synced, configs } = this.#replica.log.asRecovered;
    const config = configs.findLast(({ index }) => index <= position.start.index)?.config ?? synced;
    const { recoveryEpoch } = this.#options;
    await this.#snapshots.write({ start: position.start, appendTime: position.appendTime, recoveryEpoch, config }, parts);
    this.#kept.push(position.start);
    this.#kept.splice(0, this.#kept.length - SNAPSHOTS_KEPT);
    await this.#snapshots.prune((index) => this.#kept.some((kept) => kept.index === index));
    this.#ports.telemetry.log("info", "metadata.snapshot", { index: position.start.index });
    // Only what lies in segments can be trimmed, and a quiet log waits long for a whole piece.
    this.#replica.log.push();
    this.#proposeTrim();
  }

  /** Nothing waits for it: a proposal that is lost is made again with the next snapshot. */
  #proposeTrim(): void {
    const { core, log, serves } = this.#replica;
    const oldest = this.#kept[0];
    if (!serves || this.#kept.length < SNAPSHOTS_KEPT || oldest === undefined || oldest.offset <= log.startOffset) return;
    this.#replica.propose([trimDraft(oldest.offset)], core.term);
  }

  /** First frame that is needed to make the image from what is kept. */
  get #floor(): LogIndex {
    const oldest = this.#kept[0];
    return (this.#kept.length < SNAPSHOTS_KEPT || oldest === undefined ? 0 : oldest.index + 1) as LogIndex;
  }
}
