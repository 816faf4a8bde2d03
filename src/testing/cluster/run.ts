import type { FinalGroup } from "../checkers/groups/rows.ts";
import type { FaultTargets } from "../sim/faults/fault.ts";
import { FaultRun } from "../sim/faults/fault-run.ts";
import { type PlannedFault, Swarm } from "../sim/faults/plan.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimRandom } from "../sim/random.ts";
import { World } from "../sim/world.ts";
import type { MakeBroker } from "./broker-under-test.ts";
import { HistoryLog } from "./history-log.ts";
import { IsrWatch } from "./isr-watch.ts";
import { type Shape, short, waiting } from "./shape.ts";
import { SimCluster } from "./sim-cluster.ts";
import type { Topic } from "./topic.ts";
import { Witness } from "./witness.ts";
import { Activity } from "./workloads/activity.ts";
import { Groups } from "./workloads/groups/groups.ts";
import type { Lasting } from "./workloads/workload.ts";

export interface SeedOptions {
  readonly makeBroker: MakeBroker;
  /** Default: short. */
  readonly shape?: Shape | undefined;
  /** Gets every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
  /** Numbers of the planned faults that come; undefined: all. */
  readonly faults?: ReadonlySet<number> | undefined;
  /** Told the number of each planned fault as it comes. */
  readonly fired?: ((number: number) => void) | undefined;
}

/** How long a cluster that forms is troubled at most. */
const EARLY_FAULTS_MS = 3_000;

/** A stretch of a run in which faults come. */
export interface Span {
  readonly name: string;
  readonly ms: number;
  readonly plan: readonly PlannedFault[];
}

/** What the phases of one run share. All sizes are drawn when it is made. */
export class Run {
  readonly world: World;
  readonly shape: Shape;
  readonly cluster: SimCluster;
  /** Machines of the clients. */
  readonly clients: readonly Machine[];
  readonly topics: readonly Topic[];
  /** Topics that come and go, as they are now. */
  readonly lasting: Lasting = new Map();
  readonly groups: Groups;
  /** What became of them, when all was well again. */
  restedGroups: readonly FinalGroup[] = [];
  readonly history: HistoryLog;
  readonly witness: Witness;
  readonly inSync: IsrWatch;
  readonly activity = new Activity();
  /** While the cluster forms; of most runs nothing. */
  readonly early: Span;
  /** While clients work. */
  readonly trouble: Span;
  readonly faults: FaultRun;
  /** Faults that are no part of the plan, by name. */
  readonly extraFaults = new Map<string, number>();

  constructor(seed: number, { makeBroker, shape = short, print, faults, fired }: SeedOptions) {
    this.world = new World(seed, print);
    this.shape = shape;
    const { random } = this.world;
    const brokers = random.between(...shape.brokers);
    const replicas = Math.min(brokers, 3);
    this.topics = ["t", "u", "v", "w"]
      .slice(0, random.between(...shape.topics))
      .map((name) => ({ name, partitions: random.between(...shape.partitions), replicas, configs: configsOf(random, replicas, shape) }));
    this.cluster = new SimCluster(this.world, brokers, makeBroker, shape.fileAges);
    this.clients = Array.from({ length: random.between(...shape.clients) }, (_, i) => this.world.machine(`c${i + 1}`));
    this.groups = new Groups(random.fork("groups"), this.topics);
    this.history = new HistoryLog(this.world);
    this.witness = new Witness(this.world, this.cluster, this.topics);
    this.inSync = new IsrWatch(() => this.cluster.replicas(), this.witness.metadata);
    this.history.ended = (row) => this.inSync.acknowledged(row);
    // Where records are kept for longer than a run takes, clocks that are ahead, and only such ones, show who goes by which clock.
    const keeps = this.topics.some(({ configs }) => configs?.["retention.ms"] === String(KEPT_MS));
    const [without, surely] = keeps ? ([["clock-behind"], ["clock-ahead"]] as const) : ([[], []] as const);
    const swarm = new Swarm(random.fork("faults"), shape.faults, [...waiting, ...without], surely);
    // Every fourth cluster is troubled from its first moment on, while it forms, and then left alone until it has.
    this.early = spanOf("early", swarm, random.chance(1, 4) ? random.below(EARLY_FAULTS_MS) : 0);
    this.trouble = spanOf("trouble", swarm, random.between(...shape.troubledMs));
    this.faults = new FaultRun(this.#targets(), { only: faults, operations: () => this.history.sends, fired });
  }

  get brokers(): number {
    return this.cluster.machines.length;
  }

  /** Faults end, links carry again, brokers that are off are started. */
  heal(): void {
    this.world.note("heal");
    this.faults.end();
    this.world.network.heal();
    this.cluster.startAll();
  }

  /** Lets virtual time go on until `done`, for so long at most. @returns whether it came to that */
  until(done: () => boolean, ms: number): Promise<boolean> {
    return this.world.scheduler.run(this.world.now + ms, done);
  }

  async pass(ms: number): Promise<void> {
    await this.world.scheduler.run(this.world.now + ms);
  }

  /** The work must end within so much virtual time. @throws {Error} */
  async within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
    let over = false;
    const watched = work.finally(() => {
      over = true;
    });
    watched.catch(() => {});
    if (await this.until(() => over, ms)) return watched;
    throw new Error(`${what} within ${ms} ms`);
  }

  #targets(): FaultTargets {
    const { world, cluster, clients } = this;
    return {
      world,
      machines: cluster.machines,
      clients,
      restart: (machine) => cluster.start(machine),
      stop: (machine) => cluster.stop(machine),
      leaders: () => cluster.leaders(),
      mayLoseDisk: () => cluster.mayLoseDisk,
      loseDisk: (machine, copy) => cluster.loseDisk(machine, copy),
      damaged: (machine) => cluster.damaged(machine),
      forgets: (machine, change) => {
        cluster.forgets(machine, change);
        cluster.damaged(machine);
      },
      swapDisks: (a, b) => cluster.swapDisks(a, b),
    };
  }
}

/** Kept for so long, milliseconds: less than a run takes, or more than any record in it is old. */
const KEPT_MS = 300_000;
const RETENTION_MS = [1_000, 5_000, KEPT_MS, KEPT_MS] as const;

/**
 * Where all replicas must be in sync, the loss of one is enough for ALL to be refused. Records that are kept for a time go by the segment, so
 * these are short.
 */
function configsOf(random: SimRandom, replicas: number, { expiring }: Shape): Readonly<Record<string, string>> {
  const inSync = random.chance(1, 4) ? { "min.insync.replicas": String(replicas) } : {};
  const expires = random.chance(...expiring)
    ? { "retention.ms": String(random.pick(RETENTION_MS)), "segment.ms": String(random.pick([1_000, 2_000])) }
    : {};
  const times = random.chance(1, 4) ? { "message.timestamp.type": "append" } : {};
  return { ...inSync, ...expires, ...times };
}

function spanOf(name: string, swarm: Swarm, ms: number): Span {
  return { name, ms, plan: swarm.plan(ms) };
}
