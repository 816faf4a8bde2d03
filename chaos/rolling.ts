import { Cluster } from "./cluster.ts";
import { DiskWatch } from "./disk-watch.ts";
import { drawSeed, Flags } from "./flags.ts";
import { header, percentiles, percentilesText, Report, sleep } from "./report.ts";
import { SteadyWriters } from "./writers.ts";

/**
 * `npm run rolling`: every broker is restarted by SIGTERM, one after the other, under 1,000 records a second; a round is all three.
 * The client, which retries on its own, must not be told of any error. Gaps are judged without the time in which the machine's disk
 * stood still by itself (`disk-watch.ts`); both figures are printed.
 *
 *   --rounds N (20)   --rate N over all partitions (1,000)   --seed N
 */
const PARTITIONS = 6;
const TOPIC = "rolling";
const GAP_P99_MS = 250;
/** Between two restarts. */
const CALM_MS = 500;
/** The disk alone is watched so long before anything runs. */
const ALONE_MS = 20_000;

const flags = new Flags(["rounds", "rate", "seed"], []);
const seed = flags.number("seed", drawSeed());
const rounds = flags.number("rounds", 20);
const rate = flags.number("rate", 1_000);
const report = new Report();

console.log(header("rolling", seed));
const disk = await DiskWatch.start();
await sleep(ALONE_MS);
console.log(`the disk alone, ${ALONE_MS / 1000} s: ${disk.text(0, performance.now())}`);
const cluster = await Cluster.start();
try {
  await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  await restarts();
} catch (error) {
  report.check("rolling", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
  await disk.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());

async function restarts(): Promise<void> {
  const writers = new SteadyWriters(cluster.client(), TOPIC, PARTITIONS, rate / PARTITIONS);
  const began = performance.now();
  const gaps: number[] = [];
  const ours: number[] = [];
  const quiet: number[] = [];
  const stops: number[] = [];
  await sleep(2_000);
  for (let round = 1; round <= rounds; round++) {
    const ofRound: number[] = [];
    for (const { id } of cluster.brokers) {
      const calmFrom = performance.now();
      await sleep(CALM_MS);
      const at = performance.now();
      for (let partition = 0; partition < PARTITIONS; partition++) quiet.push(writers.longestGap(partition, calmFrom, at));
      stops.push(await cluster.terminate(id));
      await cluster.startAgainDirectly(id);
      await cluster.healthy();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const gap = writers.longestGapWindow(partition, at, performance.now());
        ofRound.push(gap.until - gap.from);
        ours.push(gap.until - gap.from - disk.stalledWithin(gap.from, gap.until));
      }
    }
    gaps.push(...ofRound);
    console.log(`round ${round}: ${percentilesText(ofRound)}; ${writers.errors.length} errors so far`);
  }
  await writers.end();
  console.log(`${writers.acknowledged} of ${writers.sent} records acknowledged, ${writers.errors.length} errors`);
  console.log(`SIGTERM to the end of the process: ${percentilesText(stops)}`);
  console.log(`no restart, for comparison: ${percentilesText(quiet)}`);
  console.log(`meanwhile ${disk.text(began, performance.now())}`);
  console.log(`longest gap of a partition over one restart: ${percentilesText(gaps)}`);
  console.log(`the same without the disk's own stalls: ${percentilesText(ours)}`);
  report.check("no error reaches the client's caller", writers.errors.length === 0, () => writers.errors.slice(0, 5).join("; "));
  report.check("every record is acknowledged", writers.acknowledged === writers.sent);
  report.check(`p99 of the gaps without the disk's own stalls <= ${GAP_P99_MS} ms`, percentiles(ours).p99 <= GAP_P99_MS, () =>
    percentilesText(ours),
  );
}
