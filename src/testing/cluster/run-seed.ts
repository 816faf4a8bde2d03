import { MillraceError } from "../../base/errors.ts";
import type { ReplicaDump } from "../checkers/history.ts";
import { checkHistory } from "../checkers/index.ts";
import type { Verdict } from "../checkers/verdict.ts";
import type { Tree } from "../sim/disk/tree.ts";
import { FaultPlan } from "../sim/faults/plan.ts";
import { pump } from "../sim/pump.ts";
import { World } from "../sim/world.ts";
import type { MakeBroker } from "./broker-under-test.ts";
import { commitsOf, dumpDisk, readAll } from "./evidence.ts";
import { HistoryLog } from "./history-log.ts";
import { SimCluster } from "./sim-cluster.ts";
import { TOPIC } from "./topic.ts";
import { simClient, Workload, wait } from "./workload.ts";

const BROKERS = 3;
const FORMATION_MS = 60_000;
/** How long a cluster that forms is troubled at most. */
const EARLY_FAULTS_MS = 3_000;
/** From when all is healed until everything pending has ended and the whole log has been read (V1). */
const LIVENESS_MS = 60_000;
/** Within this time every broker has told every other how far its disk is. */
const PROBED_MS = 1_500;
const LAGS_MS = 200;
const GONE_MS = 2_000;

/** Counted like a fault: a broker ran on an older copy of its disk, and did not know. */
export const OLD_COPY = "old-copy";

export interface SeedResult {
  readonly seed: number;
  /** Same seed, same digest: on every machine and in every process. */
  readonly digest: string;
  readonly verdicts: readonly Verdict[];
  readonly faults: Readonly<Record<string, number>>;
  readonly operations: { readonly ok: number; readonly fail: number; readonly info: number };
  readonly simulatedMs: number;
  readonly events: number;
  /** Events of level error, by name. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface SeedOptions {
  readonly makeBroker: MakeBroker;
  /** Gets every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

/**
 * One run: a cluster is formed, used, and troubled as the seed says; then everything is healed, must come to rest, is read whole, and
 * is judged. Raft's invariants are judged after every event.
 *
 * @throws {Error} on the first broken invariant, bug, or missing progress; the verdicts of the history are in the result
 */
export async function runSeed(seed: number, { makeBroker, print }: SeedOptions): Promise<SeedResult> {
  const world = new World(seed, print);
  const { scheduler, random } = world;
  const partitions = random.between(1, 3);
  const cluster = new SimCluster(world, BROKERS, makeBroker);
  const clients = ["c1", "c2"].map((name) => world.machine(name));
  const history = new HistoryLog(world);
  const plan = new FaultPlan(world);
  const targets = {
    world,
    machines: cluster.machines,
    clients,
    restart: (machine: (typeof clients)[number]) => cluster.start(machine),
    stop: (machine: (typeof clients)[number]) => cluster.stop(machine),
    leader: () => cluster.leader(),
    mayLoseDisk: () => cluster.mayLoseDisk,
    loseDisk: (machine: (typeof clients)[number], copy?: Tree) => cluster.loseDisk(machine, copy),
  };
  // Every fourth cluster is troubled from its first moment on, while it forms, and then left alone until it has.
  const early = random.chance(1, 4);
  for (const machine of random.shuffled(cluster.machines))
    scheduler.after(random.below(500), `start ${machine.name}`, () => cluster.start(machine));
  if (early) plan.begin(targets);
  const quiet = scheduler.after(random.below(EARLY_FAULTS_MS), "quiet", () => heal());
  await within(world, FORMATION_MS, "the cluster was not formed and its topic not made", createTopic(world, partitions));
  const workload = new Workload(world, history, { brokers: BROKERS, partitions });
  workload.begin(clients.map((machine) => machine.boot()));
  quiet.cancel();
  // Now and then a disk is put back as it was now, when all is quiet again, and nobody tells its broker.
  const copied = random.chance(1, 16) ? random.pick(cluster.machines) : undefined;
  const copy = copied?.device.backUp();
  plan.begin(targets);
  await scheduler.run(world.now + random.between(1_000, 2_800));

  heal();
  const forgot = copied !== undefined && copy !== undefined && (await putBack(copied, copy));
  await scheduler.run(world.now + 500);
  workload.stop();
  if (!(await scheduler.run(world.now + LIVENESS_MS, () => workload.settled)))
    throw new Error(`V1: ${history.pending} sends have not ended ${LIVENESS_MS} ms after all was healed`);
  if (!(await scheduler.run(world.now + LIVENESS_MS, () => cluster.allRunning)))
    throw new Error(`V1: not all brokers run ${LIVENESS_MS} ms after all was healed`);
  if (cluster.disksLost > 0 && !(await scheduler.run(world.now + LIVENESS_MS, () => cluster.whole)))
    throw new Error(`V1: not every replica of a lost disk is replaced ${LIVENESS_MS} ms after all was healed`);
  const finals = await within(
    world,
    LIVENESS_MS,
    "V1: the log could not be read",
    readAll(world, world.machine("c3").boot(), BROKERS, partitions),
  );
  const commits = commitsOf(cluster);
  cluster.shutDown();
  const dumps: ReplicaDump[] = [];
  for (const machine of cluster.machines) dumps.push(...(await pump(scheduler, dumpDisk(world, machine, commits))));
  const rows = history.finished();
  return {
    seed,
    digest: scheduler.trace.digest,
    verdicts: [...cluster.invariants.verdicts(), ...checkHistory({ history: rows, finals, dumps })],
    faults: { ...Object.fromEntries(plan.fired), ...(forgot ? { [OLD_COPY]: 1 } : {}) },
    operations: { ok: countOf("ok"), fail: countOf("fail"), info: countOf("info") },
    simulatedMs: world.now,
    events: scheduler.ran,
    errors: Object.fromEntries(cluster.errors),
  };

  function heal(): void {
    world.note("heal");
    plan.end();
    world.network.heal();
    cluster.startAll();
  }

  /** A peer must remember the disk: it has run on and heard its probes since. @returns whether it came to that */
  async function putBack(machine: (typeof clients)[number], before: Tree): Promise<boolean> {
    const well = (): boolean => cluster.allRunning && cluster.whole;
    if (cluster.disksLost > 0 || !(await scheduler.run(world.now + LIVENESS_MS, well))) return false;
    await scheduler.run(world.now + PROBED_MS);
    if (!well()) return false;
    // What it forgets shall matter: a leader commits with it alone, and is gone when it comes back.
    const leader = cluster.leader();
    const [third] = cluster.machines.filter((other) => other !== machine && other !== leader);
    if (leader === undefined || leader === machine || third === undefined) return false;
    const link = world.network.link(leader.name, third.name);
    link.cut();
    await scheduler.run(world.now + LAGS_MS);
    world.note(`${machine.name} forgets`);
    leader.crash();
    cluster.forgetDisk(machine, before);
    link.heal();
    scheduler.after(GONE_MS, `restart ${leader.name}`, () => cluster.startAll());
    if (!(await scheduler.run(world.now + LIVENESS_MS, () => machine.running && well())))
      throw new Error(`V1: ${machine.name} is not well ${LIVENESS_MS} ms after its disk was put back as an older copy`);
    return true;
  }

  function countOf(type: "ok" | "fail" | "info"): number {
    return rows.filter((row) => row.type === type).length;
  }
}

/** The work must end within so much virtual time. */
async function within<T>(world: World, ms: number, what: string, work: Promise<T>): Promise<T> {
  let over = false;
  const watched = work.finally(() => {
    over = true;
  });
  watched.catch(() => {});
  if (await world.scheduler.run(world.now + ms, () => over)) return watched;
  throw new Error(`${what} within ${ms} ms`);
}

/** Asks until somebody says that the topic is there. */
async function createTopic(world: World, partitions: number): Promise<void> {
  const ports = world.machine("c0").boot();
  const client = simClient(world, ports, BROKERS);
  for (;;) {
    try {
      await client.admin().createTopic({ name: TOPIC, partitions, replicas: BROKERS }, { timeoutMs: 2_000 });
      return;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === "TOPIC_EXISTS") return;
      await wait(ports, 100);
    }
  }
}
