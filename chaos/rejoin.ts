import { Cluster } from "./cluster.ts";
import { Flags } from "./flags.ts";
import { LatencyProbe } from "./latency.ts";
import { header, percentiles, percentilesText, Report, sleep } from "./report.ts";

/**
 * `npm run rejoin`: a broker is off while much is written, comes back, and must be in sync again everywhere, while 50 other partitions,
 * one record each every 50 ms at `acks=all`, keep their p99. It is measured while one broker is off and nothing is written beside the
 * probes, and again while the one that came back is caught up.
 *
 *   --mib N written while it is off (1,024)   --quick 128 MiB   --calm N seconds measured before (10)
 */
const PROBED = 50;
const PROBE_TOPIC = "probed";
const BIG_TOPIC = "big";
const BIG_PARTITIONS = 6;
const RECORD_BYTES = 64 * 1024;
const MIB = 1024 * 1024;
const VICTIM = 3;
const BACK_MS = 300_000;
/** What the p99 of the probes may rise to while a broker is caught up: so many times what it was, and so much more. */
const P99_TIMES = 2;
const P99_MORE_MS = 20;

const flags = new Flags(["mib", "calm"], ["quick"]);
const mib = flags.number("mib", flags.has("quick") ? 128 : 1024);
const calmMs = flags.number("calm", flags.has("quick") ? 5 : 10) * 1000;
const report = new Report();

console.log(header("rejoin", 0));
const cluster = await Cluster.start();
try {
  await cluster.admin.createTopic({ name: PROBE_TOPIC, partitions: PROBED });
  await cluster.admin.createTopic({ name: BIG_TOPIC, partitions: BIG_PARTITIONS });
  await cluster.healthy();
  await rejoin();
} catch (error) {
  report.check("rejoin", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());

async function rejoin(): Promise<void> {
  await cluster.kill([VICTIM]);
  console.log(`broker ${VICTIM} is off; ${await pour()}`);
  const probe = new LatencyProbe(cluster.client(), PROBE_TOPIC, PROBED);
  await sleep(2_000);
  const calmFrom = performance.now();
  await sleep(calmMs);
  const began = performance.now();
  await cluster.startAgainDirectly(VICTIM);
  const back = await inSync();
  const ended = performance.now();
  await probe.end();
  const before = probe.between(calmFrom, began);
  const during = probe.between(began, ended);
  const seconds = (ended - began) / 1000;
  console.log(
    `broker ${VICTIM} in sync everywhere ${seconds.toFixed(1)} s after its start: ${(mib / seconds).toFixed(0)} MiB/s, start included`,
  );
  console.log(`${PROBED} other partitions before: ${percentilesText(before)}`);
  console.log(`${PROBED} other partitions while it was caught up: ${percentilesText(during)}`);
  const limit = percentiles(before).p99 * P99_TIMES + P99_MORE_MS;
  report.check(`broker ${VICTIM} is in sync again within ${BACK_MS / 1000} s`, back);
  report.check("no send fails", probe.errors.length === 0, () => probe.errors.slice(0, 3).join("; "));
  report.check(`p99 meanwhile <= ${limit.toFixed(0)} ms`, percentiles(during).p99 <= limit, () => percentilesText(during));
}

/** Fills the big topic as fast as two brokers take it. */
async function pour(): Promise<string> {
  const client = cluster.client();
  const producer = client.producer();
  const value = Buffer.alloc(RECORD_BYTES, "rejoin ");
  const began = performance.now();
  let failed = 0;
  for (let n = 0; n < (mib * MIB) / RECORD_BYTES; n++) {
    producer.send({ topic: BIG_TOPIC, partition: n % BIG_PARTITIONS, value }).catch(() => {
      failed++;
    });
    if (producer.isFull) await producer.ready();
  }
  await producer.flush();
  await client.close();
  report.check("every record of the big topic is acknowledged", failed === 0, () => `${failed} failed`);
  return `${mib} MiB written in ${((performance.now() - began) / 1000).toFixed(1)} s`;
}

/** Until every partition of both topics counts the broker among its in-sync replicas. */
async function inSync(): Promise<boolean> {
  const deadline = performance.now() + BACK_MS;
  while (performance.now() < deadline) {
    try {
      const topics = await cluster.admin.describeTopics([PROBE_TOPIC, BIG_TOPIC]);
      if (topics.every(({ partitions }) => partitions.every((partition) => partition.isrBrokerIds.includes(VICTIM)))) return true;
    } catch {
      // The broker that was asked is starting: another one is asked next.
    }
    await sleep(100);
  }
  return false;
}
