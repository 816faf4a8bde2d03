import { setCrc32c } from "../src/base/crc32c.ts";
import { createBroker } from "../src/broker/broker.ts";
import { crc32cNative } from "../src/checksum/native.ts";
import { simClient } from "../src/testing/cluster/clients.ts";
import { runSeed } from "../src/testing/cluster/run-seed.ts";
import { type Shape, whole } from "../src/testing/cluster/shape.ts";
import { SimCluster } from "../src/testing/cluster/sim-cluster.ts";
import { reusePages } from "../src/testing/sim/disk/pages.ts";
import { pump } from "../src/testing/sim/pump.ts";
import { World } from "../src/testing/sim/world.ts";

/**
 * How much virtual time the simulator makes of a second of CPU: five brokers, eight partitions of three replicas, with traffic and
 * faults; and what an hour costs in which nobody asks anything of five brokers. Prints one JSON line each.
 *
 * `npm run bench:sim -- [--seeds 5] [--from 1] [--idle-seconds 3600]`
 */
const busy: Shape = { ...whole, name: "busy", brokers: [5, 5], topics: [2, 2], partitions: [4, 4] };

function flag(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function say(what: string, simulatedMs: number, events: number, cpu: number): void {
  const figures = {
    what,
    simulatedSeconds: Math.round(simulatedMs / 1_000),
    events,
    cpuSeconds: Number(cpu.toFixed(2)),
    simulatedPerCpuSecond: Math.round(simulatedMs / 1_000 / cpu),
    microsPerEvent: Number(((cpu * 1e6) / events).toFixed(1)),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

async function traffic(from: number, seeds: number): Promise<void> {
  // The first seed pays for the compiler.
  await runSeed(from, { makeBroker: createBroker, shape: busy });
  const before = cpuSeconds();
  let [ms, events] = [0, 0];
  for (let seed = from + 1; seed <= from + seeds; seed++) {
    const result = await runSeed(seed, { makeBroker: createBroker, shape: busy });
    ms += result.simulatedMs;
    events += result.events;
    reusePages();
  }
  say(`${seeds} seeds of five brokers, eight partitions, traffic and faults`, ms, events, cpuSeconds() - before);
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
if (flag("seeds", 5) > 0) await traffic(flag("from", 1), flag("seeds", 5));
if (flag("idle-seconds", 3_600) > 0) await idle(flag("idle-seconds", 3_600));
