import { setCrc32c } from "../src/base/crc32c.ts";
import { createBroker } from "../src/broker/broker.ts";
import { crc32cNative } from "../src/checksum/native.ts";
import { simClient } from "../src/testing/cluster/clients.ts";
import { soon } from "../src/testing/cluster/config.ts";
import { runSeed } from "../src/testing/cluster/run-seed.ts";
import { type Shape, whole } from "../src/testing/cluster/shape.ts";
import { SimCluster } from "../src/testing/cluster/sim-cluster.ts";
import { WORKER_STACK_FRAMES } from "../src/testing/many.ts";
import { reusePages } from "../src/testing/sim/disk/pages.ts";
import { pump } from "../src/testing/sim/pump.ts";
import { World } from "../src/testing/sim/world.ts";

/**
 * How much virtual time the simulator makes of a second of CPU: five brokers, eight partitions of three replicas, with traffic and
 * faults; and what an hour costs in which nobody asks anything of five brokers. Prints one JSON line each.
 *
 * The traffic is that of a whole seed (`whole`: the same workloads and faults, drawn by the seed, judged after each event and in the end),
 * at a pace that makes a little more than the 1,000 operations in 60 simulated seconds that each such seed must have. With `--pace whole` it is
 * the pace of whole seeds, three to five times as many; with `--files soon` segments roll and snapshots are taken as often as in short seeds.
 *
 * Two lines say it of seeds. A corpus runs by the thousand in processes that live for hours (`many.ts`): what it costs is what a warm process
 * takes for seeds it never ran before. A young process, whose code is compiled while it runs, takes about twice as much: that is what
 * somebody waits for who runs a few seeds. The first line is of the first `--warm` seeds of the process, the second of `--seeds` other ones after them.
 *
 * `npm run bench:sim -- [--seeds 10] [--from 1] [--warm 24] [--idle-seconds 3600] [--pace whole] [--files soon]`
 */
const busy: Shape = {
  ...whole,
  name: "busy",
  brokers: [5, 5],
  topics: [2, 2],
  partitions: [4, 4],
  // About as many operations as a seed must have at least (`whole.bounds`): more clients cost more, whatever simulates them.
  pace: { valueBytes: [10, 100, 1_000], produceMs: [1_400], stubMs: 3_000, endsMs: [2_000, 4_000], consumerMs: 15_000, memberMs: 15_000 },
};

function flag(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

const shape: Shape = {
  ...busy,
  ...(process.argv.includes("whole") ? { pace: whole.pace } : {}),
  ...(process.argv.includes("soon") ? { fileAges: soon } : {}),
};

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function say(what: string, simulatedMs: number, events: number, cpu: number, more: Readonly<Record<string, number>> = {}): void {
  const figures = {
    what,
    node: process.version,
    ...more,
    simulatedSeconds: Math.round(simulatedMs / 1_000),
    events,
    cpuSeconds: Number(cpu.toFixed(2)),
    simulatedPerCpuSecond: Math.round(simulatedMs / 1_000 / cpu),
    microsPerEvent: Number(((cpu * 1e6) / events).toFixed(1)),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

/** Long after the seeds that are measured warm. */
const YOUNG_FROM = 1_000_000;

async function traffic(what: string, from: number, seeds: number): Promise<void> {
  const before = cpuSeconds();
  let [ms, events, operations, faults] = [0, 0, 0, 0];
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await runSeed(seed, { makeBroker: createBroker, shape });
    for (const line of result.outOfBounds) process.stderr.write(`seed ${seed} is out of bounds: ${line}\n`);
    const { ok, fail, info } = result.operations;
    operations += ok + fail + info;
    faults += result.fired.length;
    ms += result.simulatedMs;
    events += result.events;
    reusePages();
  }
  say(`${what} of five brokers, eight partitions, traffic and faults`, ms, events, cpuSeconds() - before, { seeds, operations, faults });
}

async function idle(seconds: number): Promise<void> {
  const world = new World(1);
  const cluster = new SimCluster(world, 5, createBroker);
  cluster.startAll();
  const admin = simClient(world, world.machine("c0").boot(), 5).admin();
  await world.scheduler.run(60_000, () => cluster.allRunning);
  await pump(world.scheduler, admin.createTopic({ name: "t", partitions: 8, replicas: 3 }));
  const [began, events, before] = [world.now, world.scheduler.ran, cpuSeconds()];
  await world.scheduler.run(began + seconds * 1_000);
  say("five idle brokers", world.now - began, world.scheduler.ran - events, cpuSeconds() - before);
}

setCrc32c(crc32cNative);
Error.stackTraceLimit = WORKER_STACK_FRAMES;
const warm = flag("warm", 24);
if (warm > 0) await traffic("young process: its first seeds", YOUNG_FROM, warm);
if (flag("seeds", 10) > 0)
  await traffic(warm > 0 ? "warm process: seeds after those" : "young process: seeds", flag("from", 1), flag("seeds", 10));
if (flag("idle-seconds", 3_600) > 0) await idle(flag("idle-seconds", 3_600));
