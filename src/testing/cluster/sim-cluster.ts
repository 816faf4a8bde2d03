import type { BrokerConfig } from "../../base/broker-config.ts";
import { METADATA_GROUP } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { DiskError } from "../../base/ports/disk.ts";
import { RaftInvariants } from "../checkers/raft/raft-invariants.ts";
import type { Tree } from "../sim/disk/tree.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";
import type { World } from "../sim/world.ts";
import type { BrokerUnderTest, MakeBroker, ReplicaUnderTest } from "./broker-under-test.ts";
import { BrokerReplicaView } from "./broker-views.ts";
import { brokerConfigs, brokerHost } from "./config.ts";
import { incarnationIn, LostDisks } from "./lost-disks.ts";
import { SimTelemetry } from "./telemetry.ts";

/** How long a supervisor waits before it starts a broker again that ended by itself. */
const RESTART_MS_MAX = 300;
/** A broker told to stop that takes longer is killed. */
const STOP_MS_MAX = 10_000;
/** Every so many events all replicas are looked at, and those of brokers that were not called must be as they were. */
const LOOK_AT_ALL_EVERY = 1_000;

interface Running {
  readonly machine: Machine;
  readonly broker: BrokerUnderTest;
  readonly process: SimProcess;
  /** `process.turns` when its replicas were last looked at. */
  seen: number;
  readonly life: number;
  /** Failures of the disk before this life: one that came since explains why the broker ended. */
  readonly diskFailures: number;
  readonly views: Map<ReplicaUnderTest, BrokerReplicaView>;
}

/** Brokers on simulated machines, with the supervisor that starts them again and the invariants that watch them. */
export class SimCluster {
  readonly world: World;
  readonly machines: readonly Machine[];
  readonly invariants = new RaftInvariants();
  /** Events of level error that brokers reported. */
  readonly errors = new Map<string, number>();
  readonly #makeBroker: MakeBroker;
  readonly #configs: ReadonlyMap<Machine, BrokerConfig>;
  readonly #running = new Map<Machine, Running>();
  readonly #stopping = new Set<Machine>();
  /** Have belonged to the cluster in some life of their present disk. */
  readonly #joined = new Set<Machine>();
  readonly #lost = new LostDisks();
  readonly #forgotten: [group: number, replica: number][] = [];
  readonly #metadataVoters: number;
  /** Of a partition, at least. */
  readonly #replicas: number;
  #watching = true;

  constructor(world: World, brokers: number, makeBroker: MakeBroker) {
    this.world = world;
    this.#makeBroker = makeBroker;
    this.machines = Array.from({ length: brokers }, (_, i) => world.machine(brokerHost(i + 1)));
    const configs = brokerConfigs(brokers, world.random.fork("config"));
    this.#metadataVoters = configs[0]?.seeds.length ?? 0;
    this.#replicas = Math.min(brokers, 3);
    this.#configs = new Map(this.machines.map((machine, i) => [machine, configs[i] as BrokerConfig]));
    world.scheduler.afterEach(() => this.#observe());
  }

  start(machine: Machine): void {
    const config = this.#configs.get(machine);
    invariant(config !== undefined, `${machine.name} is no broker`);
    this.#stopping.delete(machine);
    const ports = machine.boot();
    const telemetry = new SimTelemetry(this.world, ports.process.name, this.errors);
    const life = machine.lives;
    const setsAside = this.#lost.setsAside(machine);
    const broker = this.#makeBroker({ ...ports, telemetry }, config, {
      version: "simulated",
      fatal: (error) => this.#ended(machine, life, error),
      ...(setsAside === undefined ? {} : { newIncarnation: { of: setsAside, done() {} } }),
    });
    const { process } = ports;
    this.#running.set(machine, { machine, broker, process, seen: -1, life, diskFailures: machine.device.failed, views: new Map() });
    broker.start().catch((error: unknown) => this.#ended(machine, life, error instanceof Error ? error : new Error(String(error))));
  }

  /** No disk is lost, or what was lost with it was replaced; and all have belonged to the cluster. */
  get mayLoseDisk(): boolean {
    // Where less than three vote there is no majority without the one that is lost.
    const { length } = this.machines;
    return Math.min(this.#metadataVoters, this.#replicas) >= 3 && this.#joined.size === length && this.whole;
  }

  /** Every group votes with replicas that are there and count. */
  get whole(): boolean {
    return LostDisks.whole(this.replicas(), (group) => (group === METADATA_GROUP ? this.#metadataVoters : this.#replicas));
  }

  get disksLost(): number {
    return this.#lost.count;
  }

  /** The machine dies, and starts some time later with an empty disk, or with a copy it is told to set aside. */
  loseDisk(machine: Machine, copy?: Tree): void {
    machine.crash();
    this.#running.delete(machine);
    this.#joined.delete(machine);
    this.#lost.lose(machine, copy, copy === undefined ? undefined : incarnationIn(copy));
    this.start(machine);
  }

  /** The machine starts again on an older copy of its disk, which nobody tells it (scenario 70). */
  forgetDisk(machine: Machine, copy: Tree): void {
    for (const { groupId, id } of this.#running.get(machine)?.broker.replicas ?? []) this.#forgotten.push([groupId, id]);
    machine.crash();
    this.#running.delete(machine);
    machine.device.restore(copy);
    const { scheduler, random } = this.world;
    // What it acknowledged is on its way for a moment, and counts.
    scheduler.after(200 + random.below(400), `start ${machine.name} on an older copy`, () => {
      for (const [group, replica] of this.#forgotten.splice(0)) this.invariants.forget(group, replica);
      this.start(machine);
    });
  }

  startAll(): void {
    for (const machine of this.machines) if (!machine.running) this.start(machine);
  }

  /** As SIGTERM does; the supervisor starts it again. */
  stop(machine: Machine): void {
    const running = this.#running.get(machine);
    if (running === undefined || this.#stopping.has(machine)) return;
    this.#stopping.add(machine);
    const { scheduler } = this.world;
    let over = false;
    const end = () => {
      if (over || machine.lives !== running.life) return;
      over = true;
      machine.crash();
      this.#restartSoon(machine);
    };
    scheduler.after(STOP_MS_MAX, `kill ${machine.name}`, end);
    running.process.whenAwake("is told to stop", () => {
      running.process.turn();
      running.broker.stop().then(end, (error: Error) => scheduler.fail(error));
    });
  }

  /** Ends every process and watches no more: what is left are disks. */
  shutDown(): void {
    this.#watching = false;
    for (const machine of this.machines) machine.crash();
  }

  /** Machines whose broker leads some group now. */
  leaders(): readonly Machine[] {
    return this.machines.filter((machine) => {
      const running = this.#running.get(machine);
      return machine.running && running !== undefined && [...running.broker.replicas].some(({ core }) => core.role === "leader");
    });
  }

  /** Replicas of all brokers, as they are or were when their process died. */
  *replicas(): Generator<{ readonly machine: Machine; readonly replica: ReplicaUnderTest }> {
    for (const [machine, { broker }] of this.#running) for (const replica of broker.replicas) yield { machine, replica };
  }

  get allRunning(): boolean {
    return this.machines.every((machine) => machine.running && this.#running.get(machine)?.broker.state === "running");
  }

  /** The broker cannot go on: expected only after its disk failed. */
  #ended(machine: Machine, life: number, error: Error): void {
    if (machine.lives !== life || !machine.running) return;
    const running = this.#running.get(machine);
    const failed = machine.device.failed > (running?.diskFailures ?? 0) && error.name !== "InvariantViolated";
    // One that has never been in its cluster cannot even begin on a full disk; all others go on.
    const explained = failed || (error instanceof DiskError && error.code === "ENOSPC" && !this.#joined.has(machine));
    this.world.note(`${machine.name} ends: ${error.message}`);
    if (!explained && !this.#stopping.has(machine) && !this.#lost.explains(machine, error)) this.world.scheduler.fail(error);
    machine.crash();
    this.#restartSoon(machine);
  }

  #restartSoon(machine: Machine): void {
    const { scheduler, random } = this.world;
    scheduler.after(1 + random.below(RESTART_MS_MAX), `supervisor starts ${machine.name}`, () => {
      if (!machine.running && this.#watching) this.start(machine);
    });
  }

  /** What an event changed: the replicas of the brokers it called. */
  #observe(): void {
    if (!this.#watching) return;
    const all = this.world.scheduler.ran % LOOK_AT_ALL_EVERY === 0;
    for (const running of this.#running.values()) {
      const { turns } = running.process;
      if (turns === running.seen && !all) continue;
      const changed = this.#observeBroker(running);
      if (changed && turns === running.seen)
        throw new Error(`${running.machine.name} changed without being called: the simulator missed it`);
      running.seen = turns;
    }
  }

  /** @returns whether anything had changed */
  #observeBroker({ machine, broker, life, views }: Running): boolean {
    let changed = false;
    if (broker.state === "running") this.#joined.add(machine);
    for (const replica of broker.replicas) {
      let view = views.get(replica);
      if (view === undefined) {
        view = new BrokerReplicaView(replica, life, () => machine.running && machine.lives === life);
        views.set(replica, view);
      }
      if (this.invariants.observe(view)) changed = true;
    }
    const { broken } = this.invariants;
    if (broken !== undefined) throw new Error(broken);
    return changed;
  }
}
