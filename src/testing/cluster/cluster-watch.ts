import { RaftInvariants } from "../checkers/raft/raft-invariants.ts";
import { TrimsObeyed } from "../checkers/trims-obeyed.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";
import type { World } from "../sim/world.ts";
import type { BrokerUnderTest, ReplicaUnderTest } from "./broker-under-test.ts";
import { BrokerReplicaView } from "./broker-views.ts";
import { brokerOn } from "./config.ts";
import { ReplicaWatch } from "./replica-watch.ts";
import type { Situations } from "./situations.ts";

/** Every so many events all replicas are looked at, and those of brokers that were not called must be as they were. */
const LOOK_AT_ALL_EVERY = 1_000;
/** How often in-sync replicas are counted, milliseconds. */
const COUNT_MS = 1_000;

/** One life of a broker. */
export interface Running {
  readonly machine: Machine;
  readonly broker: BrokerUnderTest;
  readonly process: SimProcess;
  /** `process.turns` when its replicas were last looked at. */
  seen: number;
  readonly life: number;
  /** Something was asked of a replica here since in-sync replicas were last counted. */
  moved: boolean;
  /** Failures of the disk before this life: one that came since explains why the broker ended. */
  readonly diskFailures: number;
  readonly views: Map<ReplicaUnderTest, BrokerReplicaView>;
  /** What `broker.replicas` was when it was last looked at, and the views of these: most events change neither. */
  replicas: Iterable<ReplicaUnderTest> | undefined;
  looked: readonly BrokerReplicaView[];
  /** Every replica that was seen on this disk, in this life or one before, by group and id. */
  readonly held: Map<string, { readonly group: number; readonly replica: number }>;
}

/** Judges what each event changed in the replicas of the brokers it called, and names the situations they come into. */
export class ClusterWatch {
  readonly invariants = new RaftInvariants();
  readonly trims = new TrimsObeyed();
  readonly #world: World;
  readonly #running: () => Iterable<Running>;
  readonly #situations: Situations;
  readonly #replicas: ReplicaWatch;
  readonly #atMinimum = new Set<string>();
  /** Term in which a replica was last seen to lead. */
  readonly #led = new Map<BrokerReplicaView, number>();
  /** Told when a broker is seen to lead a group in another term than before. */
  led: (group: number, term: number, broker: number) => void = () => {};
  #over = false;

  constructor(world: World, running: () => Iterable<Running>, situations: Situations) {
    this.#world = world;
    this.#running = running;
    this.#situations = situations;
    this.#replicas = new ReplicaWatch(situations);
    world.scheduler.afterEach(() => this.#observe());
    const count = () => {
      this.#countInSync();
      if (!this.#over) world.scheduler.after(COUNT_MS, "counts in-sync replicas", count);
    };
    count();
  }

  /** What is left are disks. */
  end(): void {
    this.#over = true;
  }

  #observe(): void {
    if (this.#over) return;
    const all = this.#world.scheduler.ran % LOOK_AT_ALL_EVERY === 0;
    for (const running of this.#running()) {
      const { turns } = running.process;
      if (turns === running.seen && !all) continue;
      this.#observeBroker(running, turns !== running.seen, all);
      running.seen = turns;
    }
  }

  /** @param called since it was looked at last @param all also those of its replicas of which nothing was asked */
  #observeBroker(running: Running, called: boolean, all: boolean): void {
    const { machine, broker, life } = running;
    const { replicas } = broker;
    const alive = machine.running && machine.lives === life;
    // What was closed in this event may have said something before: a write that ended, and the end of its topic, come out of one block.
    const closed = all || replicas !== running.replicas ? this.#list(running, replicas) : [];
    for (const view of closed) this.#look(running, view, alive, called, all);
    for (const view of running.looked) this.#look(running, view, alive, called, all);
    const { broken } = this.invariants;
    if (broken !== undefined) throw new Error(broken);
  }

  #look(running: Running, view: BrokerReplicaView, alive: boolean, called: boolean, all: boolean): void {
    const moved = view.moved(alive);
    running.moved ||= moved;
    if ((!moved && !all) || !this.invariants.observe(view)) return;
    if (!moved || !called) throw new Error(`${running.machine.name} changed without being called: the simulator missed it`);
    this.#replicas.look(view);
    this.trims.look(view);
    if (view.role === "leader" && this.#led.get(view) !== view.term) {
      this.#led.set(view, view.term);
      this.led(view.group, view.term, brokerOn(running.machine.name));
    }
  }

  /** This broker may have other replicas than before. @returns those it has no more */
  #list(running: Running, replicas: Iterable<ReplicaUnderTest>): readonly BrokerReplicaView[] {
    const { machine, life, views, held, looked } = running;
    running.replicas = replicas;
    running.looked = Array.from(replicas, (replica) => {
      let view = views.get(replica);
      if (view === undefined) {
        view = new BrokerReplicaView(replica, life, () => machine.running && machine.lives === life);
        views.set(replica, view);
        held.set(`${view.group}/${view.replica}`, view);
      }
      return view;
    });
    const here = new Set(running.looked);
    return looked.filter((view) => !here.has(view));
  }

  #countInSync(): void {
    for (const running of this.#running()) {
      const { machine, broker, process } = running;
      if (!running.moved || !machine.running || process.paused) continue;
      running.moved = false;
      for (const { topic, partition, serves, replicas, inSyncReplicas, minInSyncReplicas } of broker.numbers?.partitions() ?? []) {
        if (!serves) continue;
        const name = `${topic}-${partition}`;
        const atMinimum = replicas > minInSyncReplicas && inSyncReplicas <= minInSyncReplicas;
        if (atMinimum && !this.#atMinimum.has(name)) this.#situations.saw("ISR at the minimum");
        if (atMinimum) this.#atMinimum.add(name);
        else this.#atMinimum.delete(name);
      }
    }
  }
}
