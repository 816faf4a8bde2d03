import { RaftInvariants } from "../checkers/raft/raft-invariants.ts";
import type { BrokerUnderTest, ReplicaUnderTest } from "../cluster/broker-under-test.ts";
import { BrokerReplicaView } from "../cluster/broker-views.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";

/** One life of a broker that is watched. */
interface Watched {
  readonly broker: BrokerUnderTest;
  readonly process: SimProcess;
  readonly life: number;
  readonly views: Map<ReplicaUnderTest, BrokerReplicaView>;
  /** What `broker.replicas` was when it was last looked at, and the views of these. */
  replicas: Iterable<ReplicaUnderTest> | undefined;
  looked: readonly BrokerReplicaView[];
  /** `process.turns` when its replicas were last looked at. */
  seen: number;
}

/** Judges Raft's invariants (R1–R8) on what each event changed. */
export class InvariantWatch {
  readonly #invariants = new RaftInvariants();
  readonly #watched = new Map<Machine, Watched>();

  /** Facts looked at so far. */
  get judged(): number {
    return this.#invariants.verdicts().reduce((sum, { judged }) => sum + judged, 0);
  }

  /** A broker begins a life on this machine; its former one is looked at no more. */
  begin(machine: Machine, process: SimProcess, broker: BrokerUnderTest): void {
    this.#watched.set(machine, { broker, process, life: machine.lives, views: new Map(), replicas: undefined, looked: [], seen: -1 });
  }

  forget(machine: Machine): void {
    this.#watched.delete(machine);
  }

  /** After each event. @throws {Error} the first invariant that is broken */
  look(): void {
    for (const [machine, watched] of this.#watched) {
      const { turns } = watched.process;
      if (turns === watched.seen) continue;
      watched.seen = turns;
      const { replicas } = watched.broker;
      const before = watched.looked;
      if (replicas !== watched.replicas) {
        watched.replicas = replicas;
        watched.looked = Array.from(replicas, (replica) => viewOf(machine, watched, replica));
        // What was closed in this event may have said something before.
        for (const view of before) if (!watched.looked.includes(view)) this.#observe(view);
      }
      for (const view of watched.looked) this.#observe(view);
      if (this.#invariants.broken !== undefined) throw new Error(this.#invariants.broken);
    }
  }

  #observe(view: BrokerReplicaView): void {
    if (view.moved()) this.#invariants.observe(view);
  }
}

function viewOf(machine: Machine, { views, life }: Watched, replica: ReplicaUnderTest): BrokerReplicaView {
  let view = views.get(replica);
  if (view === undefined) {
    view = new BrokerReplicaView(replica, life, () => machine.running && machine.lives === life);
    views.set(replica, view);
  }
  return view;
}
