import type { BrokerConfig } from "../../base/broker-config.ts";
import { type GroupId, METADATA_GROUP } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { DiskError } from "../../base/ports/disk.ts";
import { GROUPS_PARTITIONS } from "../../consumer-groups/shard.ts";
import type { GroupStateSeen } from "../checkers/groups/rows.ts";
import type { RaftInvariants } from "../checkers/raft/raft-invariants.ts";
import type { TrimsObeyed } from "../checkers/trims-obeyed.ts";
import type { Tree } from "../sim/disk/tree.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";
import type { World } from "../sim/world.ts";
import type { MakeBroker, ReplicaUnderTest } from "./broker-under-test.ts";
import { ClusterWatch, type Running } from "./cluster-watch.ts";
import { brokerConfigs, brokerHost, type FileAges } from "./config.ts";
import { DoubtfulDisks } from "./doubtful-disks.ts";
import { LivesWatch } from "./lives-watch.ts";
import { incarnationIn, LostDisks } from "./lost-disks.ts";
import { watchRing } from "./ring-watch.ts";
import { Situations } from "./situations.ts";
import { SimTelemetry } from "./telemetry.ts";
import { watchWire } from "./wire-watch.ts";

/** How long a supervisor waits before it starts a broker again that ended by itself. */
const RESTART_MS_MAX = 300;
/** A broker told to stop that takes longer is killed. */
const STOP_MS_MAX = 10_000;

/** Brokers on simulated machines, with the supervisor that starts them again and the invariants that watch them. */
export class SimCluster {
  readonly world: World;
  readonly machines: readonly Machine[];
  readonly situations = new Situations();
  /** Events of level error that brokers reported. */
  readonly errors = new Map<string, number>();
  readonly lives = new LivesWatch();
  /** Whether there is such a group: what is left of a topic that is gone nobody waits for. */
  placed: (group: GroupId) => boolean = () => true;
  readonly #makeBroker: MakeBroker;
  readonly #configs: ReadonlyMap<Machine, BrokerConfig>;
  readonly #running = new Map<Machine, Running>();
  readonly #stopping = new Set<Machine>();
  /** Have belonged to the cluster in some life of their present disk. */
  readonly #joined = new Set<Machine>();
  readonly #lost = new LostDisks();
  readonly #doubtful: DoubtfulDisks;
  /** Have the disk of another machine. */
  readonly #swapped = new Set<Machine>();
  /** Stay off for a moment more. */
  readonly #forgetful = new Set<Machine>();
  /** Of offsets of groups without members. */
  readonly groupRetentionMs: number;
  readonly #metadataVoters: number;
  /** Of a partition, at least. */
  readonly #replicas: number;
  readonly #watch: ClusterWatch;
  #over = false;

  constructor(world: World, brokers: number, makeBroker: MakeBroker, ages?: FileAges) {
    this.world = world;
    this.#makeBroker = makeBroker;
    this.machines = Array.from({ length: brokers }, (_, i) => world.machine(brokerHost(i + 1)));
    const configs = brokerConfigs(brokers, world.random.fork("config"), ages);
    this.groupRetentionMs = configs[0]?.groups.offsetsRetentionMs ?? 0;
    this.#metadataVoters = configs[0]?.seeds.length ?? 0;
    this.#replicas = Math.min(brokers, 3);
    this.#configs = new Map(this.machines.map((machine, i) => [machine, configs[i] as BrokerConfig]));
    this.#doubtful = new DoubtfulDisks(world, (machine) => this.#running.get(machine));
    this.#watch = new ClusterWatch(world, () => this.#running.values(), this.situations);
    watchWire(world, this.machines, this.situations);
    for (const { device } of this.machines) watchRing(device, this.situations);
  }

  get invariants(): RaftInvariants {
    return this.#watch.invariants;
  }

  get trims(): TrimsObeyed {
    return this.#watch.trims;
  }

  /** Told when a broker is seen to lead a group in another term than before. */
  set led(told: (group: number, term: number, broker: number) => void) {
    this.#watch.led = told;
  }

  start(machine: Machine): void {
    const config = this.#configs.get(machine);
    invariant(config !== undefined, `${machine.name} is no broker`);
    if (this.#forgetful.has(machine)) return;
    this.#stopping.delete(machine);
    const ports = machine.boot();
    this.lives.began(machine, this.world.now);
    const telemetry = new SimTelemetry(this.world, ports.process.name, this.errors, this.situations);
    const life = machine.lives;
    const setsAside = this.#lost.setsAside(machine);
    const broker = this.#makeBroker({ ...ports, telemetry }, config, {
      version: "simulated",
      fatal: (error) => this.#ended(machine, life, error),
      ...(setsAside === undefined ? {} : { newIncarnation: { of: setsAside, done() {} } }),
    });
    const { process } = ports;
    const held = this.#running.get(machine)?.held ?? new Map();
    this.#running.set(machine, {
      machine,
      broker,
      process,
      seen: -1,
      moved: true,
      life,
      diskFailures: machine.device.failed,
      views: new Map(),
      replicas: undefined,
      looked: [],
      held,
    });
    const belongs = () => {
      this.#joined.add(machine);
      if (this.#swapped.has(machine)) this.world.scheduler.fail(new Error(`${machine.name} runs on the disk of another broker`));
    };
    broker.start().then(belongs, (error: unknown) => this.#ended(machine, life, error instanceof Error ? error : new Error(String(error))));
  }

  /** No disk is lost, or what was lost with it was replaced; and all have belonged to the cluster. */
  get mayLoseDisk(): boolean {
    // Where less than three vote there is no majority without the one that is lost.
    const { length } = this.machines;
    return Math.min(this.#metadataVoters, this.#replicas) >= 3 && this.#joined.size === length && this.#doubtful.none && this.whole;
  }

  /** Every group votes with replicas that are there and count. */
  get whole(): boolean {
    const placed = [...this.replicas()].filter(({ replica }) => this.placed(replica.groupId));
    return LostDisks.whole(placed, (group) => (group === METADATA_GROUP ? this.#metadataVoters : this.#replicas));
  }

  get disksLost(): number {
    return this.#lost.count;
  }

  /** Disks on which something was damaged so far. */
  get disksDamaged(): number {
    return this.#doubtful.count;
  }

  /** What was damaged was found and repaired. */
  get repaired(): boolean {
    return this.#doubtful.none;
  }

  /** Bytes of this machine's segments are not what was written. */
  damaged(machine: Machine): void {
    this.#doubtful.add(machine);
  }

  /** Both machines stop, and start with each other's disk: no broker may begin on a disk of another. @returns what puts them back */
  swapDisks(a: Machine, b: Machine): () => void {
    this.world.note(`${a.name} and ${b.name} swap disks`);
    const swap = () => {
      for (const machine of [a, b]) machine.crash();
      const [ofA, ofB] = [a.device.backUp(), b.device.backUp()];
      a.device.restore(ofB);
      b.device.restore(ofA);
    };
    swap();
    for (const machine of [a, b]) {
      this.#swapped.add(machine);
      this.start(machine);
    }
    return () => {
      swap();
      for (const machine of [a, b]) {
        this.#swapped.delete(machine);
        this.start(machine);
      }
    };
  }

  /** The machine dies, and starts some time later with an empty disk, or with a copy it is told to set aside. */
  loseDisk(machine: Machine, copy?: Tree): void {
    machine.crash();
    this.#running.delete(machine);
    this.#joined.delete(machine);
    this.#lost.lose(machine, copy, copy === undefined ? undefined : incarnationIn(copy));
    this.start(machine);
  }

  /**
   * The machine starts again some time later, on a disk that does not hold all that it did: an older copy (scenario 70), or one on which
   * something was damaged. Nobody tells it.
   */
  forgets(machine: Machine, change: () => void): void {
    // Also those that are gone with their topic: what deleted it may be forgotten too.
    const held = [...(this.#running.get(machine)?.held.values() ?? [])];
    machine.crash();
    this.#running.delete(machine);
    change();
    this.#forgetful.add(machine);
    const { scheduler, random } = this.world;
    // What it acknowledged is on its way for a moment, and counts.
    scheduler.after(200 + random.below(400), `start ${machine.name}, which forgot`, () => {
      this.#forgetful.delete(machine);
      for (const { group, replica } of held) this.#watch.invariants.forget(group, replica);
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
      this.lives.ended(machine, "stopped");
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
    this.#over = true;
    this.#watch.end();
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

  /** Brokers that run, and their processes. */
  *processes(): Generator<{ readonly machine: Machine; readonly process: SimProcess }> {
    for (const [machine, { process }] of this.#running) if (machine.running) yield { machine, process };
  }

  /** What each broker has of the shards of `__groups`. */
  *groupStates(): Generator<GroupStateSeen> {
    for (const [machine, { broker }] of this.#running)
      for (let number = 0; number < GROUPS_PARTITIONS; number++) {
        const shard = broker.groups?.here(number);
        if (shard === undefined) continue;
        const { groupId, view } = shard;
        yield { partition: `group ${groupId}`, index: view.applied, hash: view.image.hash(), where: machine.name };
      }
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
    const expected = explained || this.#swapped.has(machine) || this.#stopping.has(machine) || this.#lost.explains(machine, error);
    this.lives.ended(machine, expected ? "explained" : "by itself", error);
    if (!expected) this.world.scheduler.fail(error);
    machine.crash();
    this.#restartSoon(machine);
  }

  #restartSoon(machine: Machine): void {
    const { scheduler, random } = this.world;
    scheduler.after(1 + random.below(RESTART_MS_MAX), `supervisor starts ${machine.name}`, () => {
      if (!machine.running && !this.#over) this.start(machine);
    });
  }
}
