import { Cluster } from "./cluster.ts";
import { DiskWatch } from "./disk-watch.ts";
import { Draws } from "./draws.ts";
import { drawSeed, Flags } from "./flags.ts";
import { header, percentiles, percentilesText, Report, sleep } from "./report.ts";
import { SteadyWriters } from "./writers.ts";

/**
 * `npm run gaps`: how long a killed broker is felt. 200 records a second go to each of 6 partitions on default settings (`acks=all`),
 * brokers are killed by SIGKILL one after the other, and the longest time between two acknowledgements of one partition is taken:
 * of the partitions that the broker led, and of those that it only followed.
 *
 *   --victims N (50)   --controllers N  of them at least (a fifth)   --rate N per partition (200)   --seed N
 */
const PARTITIONS = 6;
const TOPIC = "gaps";
/** After the kill so much is watched. */
const WATCH_MS = 6_000;
/** After the cluster is healthy again, before the next kill. */
const CALM_MS = 500;
const LED_P99_MS = 2_000;
const FOLLOWED_MS = 1_000;

const flags = new Flags(["victims", "controllers", "rate", "seed"], []);
const seed = flags.number("seed", drawSeed());
const victims = flags.number("victims", 50);
const controllersWanted = flags.number("controllers", Math.ceil(victims / 5));
const rate = flags.number("rate", 200);
const draws = new Draws(seed);
const report = new Report();

console.log(header("gaps", seed));
const disk = await DiskWatch.start();
const cluster = await Cluster.start();
try {
  await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  await kills();
} catch (error) {
  report.check("gaps", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
  await disk.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());

async function kills(): Promise<void> {
  const writers = new SteadyWriters(cluster.client(), TOPIC, PARTITIONS, rate);
  const began = performance.now();
  const worst: number[] = [];
  const led: number[] = [];
  const followed: number[] = [];
  const followedWorst: number[] = [];
  const quiet: number[] = [];
  let controllers = 0;
  await sleep(2_000);
  for (let n = 1; n <= victims; n++) {
    const calmFrom = performance.now();
    await sleep(CALM_MS + draws.below(500));
    const controller = await cluster.controller();
    const owed = Math.max(0, controllersWanted - controllers);
    const victim = draws.next() < owed / (victims - n + 1) ? controller : draws.pick(cluster.brokers).id;
    await giveOne(victim);
    const before = await cluster.leaders(TOPIC);
    const calmUntil = performance.now();
    for (let partition = 0; partition < PARTITIONS; partition++) quiet.push(writers.longestGap(partition, calmFrom, calmUntil));
    const isController = (await cluster.controller()) === victim;
    if (isController) controllers++;
    const at = await cluster.kill([victim]);
    await watch(writers, at);
    const gaps = before.map(({ leader }, partition) => ({ leader, gap: writers.longestGap(partition, at, performance.now()) }));
    const ofVictim = gaps.filter(({ leader }) => leader === victim).map(({ gap }) => gap);
    const ofOthers = gaps.filter(({ leader }) => leader !== victim).map(({ gap }) => gap);
    led.push(...ofVictim);
    worst.push(Math.max(...ofVictim));
    followed.push(...ofOthers);
    if (ofOthers.length > 0) followedWorst.push(Math.max(...ofOthers));
    console.log(
      `kill ${n}: broker ${victim}${isController ? ", the controller" : ""}; led ${ofVictim.length}: longest gap ${ms(ofVictim)}; followed ${ofOthers.length}: ${ms(ofOthers)}`,
    );
    await cluster.startAgainDirectly(victim);
    await cluster.healthy();
  }
  await writers.end();
  console.log(`${writers.acknowledged} of ${writers.sent} records acknowledged, ${writers.errors.length} errors`);
  console.log(`meanwhile ${disk.text(began, performance.now())}`);
  console.log(`no kill, for comparison: ${percentilesText(quiet)}`);
  console.log(
    `led by the killed broker, worst partition of each kill (${controllers} kills were of the controller): ${percentilesText(worst)}`,
  );
  console.log(`led by the killed broker, every partition: ${percentilesText(led)}`);
  console.log(`killed follower, acks=all, worst partition of each kill: ${percentilesText(followedWorst)}`);
  console.log(`killed follower, acks=all, every partition: ${percentilesText(followed)}`);
  report.check("no send fails", writers.errors.length === 0, () => writers.errors.slice(0, 3).join("; "));
  report.check(
    `at least ${controllersWanted} of the victims were the controller`,
    controllers >= controllersWanted,
    () => `${controllers}`,
  );
  report.check(`p99 of the longest gap <= ${LED_P99_MS} ms`, percentiles(worst).p99 <= LED_P99_MS, () => percentilesText(worst));
  report.check(`killed follower <= ${FOLLOWED_MS} ms`, percentiles(followed).max <= FOLLOWED_MS, () => percentilesText(followed));
}

/** A victim must lead something: leaders do not move back by themselves. */
async function giveOne(victim: number): Promise<void> {
  const leaders = await cluster.leaders(TOPIC);
  if (leaders.some(({ leader }) => leader === victim)) return;
  await cluster.admin.transferLeader(TOPIC, draws.below(PARTITIONS), victim);
  await sleep(CALM_MS);
}

/** Until every partition has been acknowledged again for a while, or the time is over. */
async function watch(writers: SteadyWriters, at: number): Promise<void> {
  await sleep(2_000);
  const again = (): boolean => writers.ackTimes.every((_, partition) => writers.ackAfter(partition, performance.now() - 100) !== undefined);
  while (!again() && performance.now() < at + WATCH_MS) await sleep(20);
}

function ms(gaps: readonly number[]): string {
  return gaps.length === 0 ? "-" : `${Math.max(...gaps).toFixed(0)} ms`;
}
