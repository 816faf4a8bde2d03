import type { LogIndex } from "../../base/ids.ts";
import type { Background } from "../../base/ports/background.ts";
import { DiskError } from "../../base/ports/disk.ts";
import type { LogStart } from "../../log/model/records.ts";
import type { Snapshots } from "../../log/snapshots.ts";
import type { GroupLog } from "../../log/types.ts";
import { trimDraft } from "../../records/trim.ts";
import type { Replica } from "../replica.ts";
import type { MachineImage } from "./machine.ts";
import type { AnyView } from "./machine-view.ts";

/** Snapshots kept. The log goes on from the older one: if the newest is rotten, nothing is missing (scenario 49). */
const SNAPSHOTS_KEPT = 2;

/** The newest entry of which the facts are in a snapshot. */
export type SnapshotPlace = Pick<LogStart, "index" | "offset">;

export interface SnapshotKeeperOptions {
  /** A snapshot is taken when so many bytes of frames were replayed since the last one. */
  readonly everyBytes: number;
  readonly recoveryEpoch: number;
}

/** Hears what an operator should know of the snapshots of a group. */
export interface SnapshotNotices {
  taken(index: LogIndex): void;
  /** There was no room; it is tried again. */
  postponed(): void;
  /** It is not what was written, or none is left. @param path of it, or of their folder */
  damaged(path: string, position: number, what: string): void;
}

/** As much of a view as snapshots need. */
export interface SnapshottedView extends Pick<AnyView, "position" | "applied" | "appliedBytes"> {
  readonly image: Pick<MachineImage<never>, "slices">;
}

export interface SnapshotKeeperPorts {
  readonly background: Background;
  readonly notices: SnapshotNotices;
  /** The disk failed: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/** As much of a machine's replica as snapshots need. */
export interface SnapshottedReplica extends Pick<Replica, "serves" | "propose" | "keepAbove" | "snapshotAt"> {
  readonly core: Pick<Replica["core"], "durable" | "term">;
  readonly log: Pick<GroupLog, "asRecovered" | "start" | "startOffset" | "dropTrimmed" | "push">;
}

/**
 * Takes snapshots of the image of this replica's machine (design §4): each replica its own, in slices of about a millisecond, of what is
 * committed and durable here, so the log on this disk always reaches its snapshots. The leader proposes to trim the log behind the
 * older of the two kept; every replica keeps its own log from its own older snapshot on, whatever is trimmed.
 */
export class SnapshotKeeper {
  readonly #snapshots: Pick<Snapshots, "write" | "prune">;
  readonly #replica: SnapshottedReplica;
  readonly #view: SnapshottedView;
  readonly #options: SnapshotKeeperOptions;
  readonly #ports: SnapshotKeeperPorts;
  /** Ascending. */
  readonly #kept: SnapshotPlace[];
  #bytesBefore: number;
  #taking = false;
  #closed = false;

  /** @param kept those that this replica's log goes on from, as it is opened */
  constructor(
    snapshots: Pick<Snapshots, "write" | "prune">,
    replica: SnapshottedReplica,
    view: SnapshottedView,
    options: SnapshotKeeperOptions,
    ports: SnapshotKeeperPorts,
    kept: readonly SnapshotPlace[],
  ) {
    this.#snapshots = snapshots;
    this.#replica = replica;
    this.#view = view;
    this.#options = options;
    this.#ports = ports;
    this.#bytesBefore = view.appliedBytes;
    this.#kept = [...kept];
    replica.keepAbove = () => this.#floor;
    // Of those the log here reaches.
    replica.snapshotAt = () => this.#kept.findLast(({ index }) => index <= replica.core.durable)?.index;
  }

  /** The newest snapshot of this disk, for another broker; undefined: there is none. */
  get newest(): LogIndex | undefined {
    return this.#kept.at(-1)?.index;
  }

  get kept(): readonly SnapshotPlace[] {
    return this.#kept;
  }

  /** This one came from another broker, because there was none here, and is one of this disk now. */
  came(place: SnapshotPlace): void {
    if (this.#closed || place.index <= (this.newest ?? 0)) return;
    this.#kept.push(place);
    this.#kept.splice(0, this.#kept.length - SNAPSHOTS_KEPT);
  }

  /** The replica is closed. A snapshot that is being written is still one of this disk; nothing else is done any more. */
  close(): void {
    this.#closed = true;
  }

  /** The image moved, or the group's replica did. */
  advanced(): void {
    if (this.#closed) return;
    const { log } = this.#replica;
    // What a follower needed may be free by now.
    if (log.startOffset > log.start.offset) log.dropTrimmed();
    const { appliedBytes, applied } = this.#view;
    if (this.#taking || appliedBytes - this.#bytesBefore < this.#options.everyBytes) return;
    // A commit may run ahead of this disk: a snapshot of what the log here does not hold would leave a gap after a crash.
    if (applied > this.#replica.core.durable || applied <= (this.newest ?? 0)) return;
    const config = configAt(log, applied);
    if (config === undefined) return;
    this.#taking = true;
    this.#bytesBefore = appliedBytes;
    this.#take(config).then(
      () => {
        this.#taking = false;
      },
      (error: unknown) => {
        this.#taking = false;
        // Its folder may be gone with it.
        if (this.#closed) return;
        // Tried again after as many bytes; everything else ends the broker (design §4).
        if (error instanceof DiskError && error.code === "ENOSPC") this.#ports.notices.postponed();
        else this.#ports.failed(error);
      },
    );
  }

  /** @param config who votes as of the view's position, taken in the same turn: segments may be synced beyond it while this works (scenario 50) */
  async #take(config: Uint8Array): Promise<void> {
    const { image, position } = this.#view;
    const slices = image.slices();
    const parts: Uint8Array[] = [];
    await this.#ports.background.run(() => {
      const slice = slices.next();
      if (slice.done === true) return true;
      parts.push(slice.value);
      return false;
    });
    const { recoveryEpoch } = this.#options;
    await this.#snapshots.write({ start: position.start, appendTime: position.appendTime, recoveryEpoch, config }, parts);
    if (this.#closed) return;
    this.#kept.push(position.start);
    this.#kept.splice(0, this.#kept.length - SNAPSHOTS_KEPT);
    // A newer one came from another broker: the log of this replica is about to begin there.
    await this.#snapshots.prune((index) => index > position.start.index || this.#kept.some((kept) => kept.index === index));
    if (this.#closed) return;
    this.#ports.notices.taken(position.start.index);
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

/**
 * The configuration in force as of an applied entry: whoever begins at a snapshot finds only later ones in the log. The log remembers
 * those of synced entries by the newest alone, so while entries below the synced index are still being replayed it is not known.
 */
function configAt({ asRecovered }: SnapshottedReplica["log"], applied: LogIndex): Uint8Array | undefined {
  const { syncedIndex, config, configs } = asRecovered;
  if (applied < syncedIndex) return undefined;
  return configs.findLast(({ index }) => index <= applied)?.config ?? config;
}
