import { availableParallelism, cpus } from "node:os";

/**
 * How long a test waits for a cluster of `millrace/testing`: three brokers formed, a topic made, one record acknowledged. Cold is the first
 * cluster of a process with the loading of the modules, warm every one after the second. Real time and CPU, milliseconds; one JSON line per
 * figure. The last line is what a simulated minute of an idle cluster costs.
 *
 * `npm run bench:testing -- [--clusters 30] [--brokers 3]`
 */
const CLUSTERS = Number(flag("clusters", "30"));
const BROKERS = Number(flag("brokers", "3"));
const IDLE_MS = 60_000;

function flag(name: string, otherwise: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : (process.argv[at + 1] ?? otherwise);
}

interface Cost {
  readonly ms: number;
  readonly cpuMs: number;
}

async function measured(work: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { ms: round(ms), cpuMs: round((user + system) / 1_000) };
}

const round = (value: number): number => Math.round(value * 10) / 10;

function print(what: string, row: object): void {
  process.stdout.write(`${JSON.stringify({ what, ...row })}\n`);
}

async function toFirstRecord(seed: number): Promise<Cost> {
  const { startCluster } = await import("../src/testing/kit/index.ts");
  let close = async (): Promise<void> => {};
  const cost = await measured(async () => {
    const cluster = await startCluster({ brokers: BROKERS, seed });
    close = () => cluster.close();
    const client = cluster.client();
    await client.admin().createTopic({ name: "orders" });
    await client.producer().send({ topic: "orders", value: "first" });
  });
  await close();
  return cost;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const highest = (values: readonly number[]): number => Math.max(...values);

print("machine", { node: process.version, cpu: cpus()[0]?.model.trim(), cores: availableParallelism(), brokers: BROKERS });
const load = await measured(async () => void (await import("../src/testing/kit/index.ts")));
print("modules", load);
print("first cluster", await toFirstRecord(1));
print("second cluster", await toFirstRecord(2));
const costs: Cost[] = [];
for (let seed = 3; seed < 3 + CLUSTERS; seed++) costs.push(await toFirstRecord(seed));
const of = (field: keyof Cost): number[] => costs.map((cost) => cost[field]);
print(`next ${CLUSTERS} clusters`, {
  msMedian: median(of("ms")),
  msHighest: highest(of("ms")),
  cpuMsMedian: median(of("cpuMs")),
  cpuMsHighest: highest(of("cpuMs")),
});

const { startCluster } = await import("../src/testing/kit/index.ts");
const idle = await startCluster({ brokers: BROKERS, seed: 1 });
print(`${IDLE_MS / 1_000} s of an idle cluster`, await measured(() => idle.run(IDLE_MS)));
await idle.close();
