import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { isNoSpace } from "../../log/disk-space.ts";
import type { InstallPoint } from "../../log/model/install.ts";
import { Producers } from "../../log/model/producers.ts";
import { type Snapshot, snapshotName } from "../../log/model/snapshot-file.ts";
import { TermTable } from "../../log/model/terms.ts";
import type { Snapshots } from "../../log/snapshots.ts";
import type { GroupLog } from "../../log/types.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";
import type { MachineGroup } from "./machine.ts";
import type { AnyView } from "./machine-view.ts";
import { SnapshotKeeper, type SnapshotKeeperOptions, type SnapshotKeeperPorts, type SnapshottedView } from "./snapshot-keeper.ts";
import { fetchSnapshot, serveSnapshot } from "./snapshot-transfer.ts";

/** Pause between rounds over the other brokers for a snapshot that this one has lost. */
const RETRY_MS = 200;

/** As much of a view as is needed to make it from a snapshot, and a snapshot of it. */
interface RestoredView extends SnapshottedView, Pick<AnyView, "become"> {}

export interface MachineSnapshotPorts extends SnapshotKeeperPorts {
  readonly clock: Clock;
  readonly links: Pick<PeerLinks, "call">;
}

/** Snapshots of a machine on a broker with a replica of its group: read at a start, kept while it runs, given to and got from others. */
export class MachineSnapshots {
  readonly #group: MachineGroup;
  readonly #files: Snapshots;
  readonly #view: RestoredView;
  readonly #others: () => readonly BrokerId[];
  readonly #options: SnapshotKeeperOptions;
  readonly #ports: MachineSnapshotPorts;
  /** What the image is made from when the replica is opened next. */
  #restored: Snapshot | undefined;
  #keeper: SnapshotKeeper | undefined;
  #stopped = false;

  /** @param others brokers with a replica of the group */
  constructor(
    group: MachineGroup,
    files: Snapshots,
    view: RestoredView,
    others: () => readonly BrokerId[],
    options: SnapshotKeeperOptions,
    ports: MachineSnapshotPorts,
  ) {
    this.#group = group;
    this.#files = files;
    this.#view = view;
    this.#others = others;
    this.#options = options;
    this.#ports = ports;
  }

  /**
   * Reads the newest whole snapshot that the log joins without a gap (scenario 49); the image is made from it when the replica is opened.
   * The log must have the very entry the snapshot was taken at: one of another term there is no committed one. A snapshot that came for a
   * reset which then did not happen, or a log whose newest truncation was damaged, leave such a pair. One beyond the end of the log is
   * bound by nothing in it: it may be of a history that a recovery has given up (ADR 0009).
   *
   * @returns its index, which is committed; 0 when there is none
   */
  async restore(log: GroupLog): Promise<LogIndex> {
    const { terms } = log.asRecovered;
    const table = new TermTable(terms);
    const termAt = (index: LogIndex): number | undefined => (index === log.start.index ? log.start.term : table.termAt(index));
    let told = false;
    const tell = (path: string, position: number, what: string): void => {
      told = true;
      this.#ports.notices.damaged(path, position, what);
    };
    for (let upTo: number = log.lastIndex; ; ) {
      const { good, damaged } = await this.#files.newest(log.start.index, upTo as LogIndex);
      for (const { path, position, what } of damaged) tell(path, position, what);
      if (good === undefined) break;
      const { index, term } = good.header.start;
      const here = termAt(index);
      if (here === term) {
        this.#restored = good;
        log.commit(index);
        return index;
      }
      const path = `${this.#files.folder}/${snapshotName(index)}`;
      tell(path, 0, `the snapshot at ${index} is of term ${term}, the log has an entry of term ${here} there`);
      upTo = index - 1;
    }
    // Nobody knows what it was called.
    if (!told && log.start.index > 0) tell(this.#files.folder, 0, `the log begins behind ${log.start.index}, and no snapshot is there`);
    return 0 as LogIndex;
  }

  /** The group has its replica, perhaps anew with a log that begins elsewhere. */
  opened(replica: Replica): SnapshotKeeper {
    // One that came for a reset which then found no room: the log goes on from those it went on from before.
    const restored = (this.#restored?.header.start.index ?? 0) <= replica.log.lastIndex ? this.#restored : undefined;
    if (restored !== undefined && restored.header.start.index > this.#view.applied) this.#view.become(restored);
    const kept = restored === undefined ? (this.#keeper?.kept ?? []) : [restored.header.start];
    this.#keeper = new SnapshotKeeper(this.#files, replica, this.#view, this.#options, this.#ports, kept);
    this.#restored = undefined;
    return this.#keeper;
  }

  /**
   * One that is not older than the start of the log, from any other broker, and from then on here too; until one has it, or this broker stops.
   *
   * @throws {MillraceError} DATA_LOSS: there is no other broker
   */
  async missing(start: LogIndex): Promise<Snapshot> {
    for (let turn = 0; !this.#stopped; turn += 1) {
      const others = this.#others();
      if (others.length === 0)
        throw new MillraceError(
          "DATA_LOSS",
          `The ${this.#group.name} up to entry ${start} is lost, and no other broker has a snapshot of it`,
        );
      const source = others[turn % others.length];
      const snapshot = source === undefined ? undefined : await fetchSnapshot(this.#ports.links, this.#group, source, start);
      if (snapshot !== undefined && (await this.#store(snapshot))) {
        this.#keeper?.came(snapshot.header.start);
        return snapshot;
      }
      await new Promise<void>((resolve) => void this.#ports.clock.after(RETRY_MS, resolve));
    }
    return new Promise(() => {});
  }

  /**
   * The leader's log begins at `start`, far behind the end of this one: its snapshot comes first and is durable here before anything of
   * the log goes, so that no crash leaves this disk without the state it counts as having (scenario 44).
   *
   * @returns where the log is to begin: at the snapshot; undefined: it could not be had
   */
  async prepareReset(source: BrokerId, start: LogIndex): Promise<InstallPoint | undefined> {
    const snapshot = await fetchSnapshot(this.#ports.links, this.#group, source, start);
    if (snapshot === undefined || !(await this.#store(snapshot))) return undefined;
    const { header } = snapshot;
    this.#restored = snapshot;
    return { start: header.start, terms: [], config: header.config, producers: new Producers(), appendTime: header.appendTime };
  }

  /** Another broker's, as one of this disk. @returns false: there is no room for it now, it is asked for again */
  async #store({ header, state }: Snapshot): Promise<boolean> {
    try {
      await this.#files.write(header, [state]);
      return true;
    } catch (error) {
      if (isNoSpace(error)) return false;
      this.#ports.failed(error);
      throw error;
    }
  }

  serve(body: Uint8Array): Promise<Uint8Array[]> {
    return serveSnapshot(this.#files, this.#keeper?.newest, body);
  }

  stop(): void {
    this.#stopped = true;
  }
}
