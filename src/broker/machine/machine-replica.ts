import type { BrokerId, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { InstallPoint } from "../../log/model/install.ts";
import type { Replica } from "../replica.ts";
import type { ReplicaOwner } from "../replica-host.ts";
import { Applier, type FedView } from "./applier.ts";
import type { MachineSnapshots } from "./machine-snapshots.ts";
import { ReadIndexes } from "./read-indexes.ts";
import type { SnapshotKeeper } from "./snapshot-keeper.ts";

export interface MachineReplicaPorts<Leader> {
  readonly clock: Pick<Clock, "soon">;
  readonly view: FedView;
  readonly snapshots: MachineSnapshots;
  /** What decides while the replica leads. */
  readonly leader: Leader;
  readonly roleChanged: () => void;
  /** The log cannot be read: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/**
 * The owner of a machine's local replica: what is committed goes to the view, and after it to whoever decides, waits or takes snapshots.
 * Lives as long as the replica is open; the view and the snapshots outlive it.
 */
export class MachineReplica<Leader extends { advanced(): void }> implements ReplicaOwner {
  readonly replica: Replica;
  readonly leader: Leader;
  readonly snapshots: MachineSnapshots;
  readonly #ports: MachineReplicaPorts<Leader>;
  readonly #applier: Applier;
  readonly #keeper: SnapshotKeeper;
  readonly #reads: ReadIndexes;
  #pumping = false;

  constructor(replica: Replica, ports: MachineReplicaPorts<Leader>) {
    const { clock, view, snapshots, leader, failed } = ports;
    this.replica = replica;
    this.leader = leader;
    this.snapshots = snapshots;
    this.#ports = ports;
    this.#keeper = snapshots.opened(replica);
    this.#applier = new Applier(
      replica.log,
      view,
      () => this.#advanced(),
      failed,
      (start) => snapshots.missing(start),
    );
    this.#reads = new ReadIndexes(clock, replica);
  }

  /**
   * What was committed when this was asked, for reads that miss nothing: once the view has applied `index`.
   * @param done undefined: this replica does not lead. @returns forgets who asked
   */
  readIndex(done: (index: LogIndex | undefined) => void): () => void {
    return this.#reads.ask(done);
  }

  // What is committed is replayed after the turn's outputs are performed: answers and listeners may append.
  committed(): void {}
  truncated(): void {}
  configured(): void {}
  transferEnded(): void {}

  roleChanged(): void {
    this.#ports.roleChanged();
  }

  progressed(): void {
    this.#applier.committed(this.replica.core.commit);
    this.#advanced();
  }

  read(context: number, index: LogIndex | undefined): void {
    this.#reads.answered(context, index);
  }

  prepareReset(source: BrokerId, point: InstallPoint): Promise<InstallPoint | undefined> {
    return this.snapshots.prepareReset(source, point.start.index);
  }

  /** The replica is closed: what is being read or written down for it is nobody's. */
  closed(): void {
    this.#applier.close();
    this.#keeper.close();
    this.#reads.end();
  }

  #advanced(): void {
    // An answer may propose, and what that performs comes back here: the outer turn goes on with it.
    if (!this.#pumping) {
      this.#pumping = true;
      try {
        this.leader.advanced();
      } finally {
        this.#pumping = false;
      }
    }
    this.#keeper.advanced();
  }
}
