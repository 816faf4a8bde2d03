import { Cluster } from "./cluster.ts";
import { compare, differencesText, isClean } from "./compare.ts";
import { Draws } from "./draws.ts";
import { drawSeed, Flags } from "./flags.ts";
import { flightLines } from "./input.ts";
import { Pour, readBack } from "./pour.ts";
import { header, Report, sleep } from "./report.ts";

/**
 * `npm run restarts`: everything, `millrace dev` included, is killed by SIGKILL in the middle of writes and started again on the same
 * data by the same command, many times in a row. No record may be lost, doubled, moved or changed.
 *
 *   --times N (20)   --rate N (2,000)   --seed N
 */
const PARTITIONS = 6;
const TOPIC = "restarts";
/** Acknowledgements between two kills, at least. */
const BETWEEN = 1_000;
const STALLED_MS = 60_000;

const flags = new Flags(["times", "rate", "seed"], []);
const seed = flags.number("seed", drawSeed());
const times = flags.number("times", 20);
const rate = flags.number("rate", 2_000);
const draws = new Draws(seed);
const report = new Report();

console.log(header("restarts", seed));
const cluster = await Cluster.start();
try {
  await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  await restarts();
} catch (error) {
  report.check("restarts", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());

async function restarts(): Promise<void> {
  const pour = new Pour();
  const client = cluster.client();
  let over = false;
  const poured = pour.run(
    client,
    until(() => over),
    { topic: TOPIC, keyField: "origin", rate, history: false },
  );
  for (let n = 1; n <= times; n++) {
    const before = pour.acknowledged;
    const deadline = performance.now() + STALLED_MS;
    const wanted = before + BETWEEN + draws.below(BETWEEN);
    while (pour.acknowledged < wanted && performance.now() < deadline) await sleep(5);
    report.check(`kill ${n}: records are acknowledged before it`, pour.acknowledged >= wanted, () => `${pour.acknowledged - before}`);
    await cluster.killEverything();
    const began = performance.now();
    await cluster.startAll();
    console.log(
      `kill ${n}: ${pour.acknowledged - before} acknowledgements since the last; ready again ${((performance.now() - began) / 1000).toFixed(1)} s after the start`,
    );
  }
  over = true;
  await poured;
  await client.close();
  await cluster.healthy();
  const fresh = cluster.client();
  const back = await readBack(fresh, TOPIC, false);
  await fresh.close();
  const found = compare(pour.sent, back.ledger);
  console.log(
    `${times} kills of everything: ${pour.acknowledged} records acknowledged, ${pour.errors.length} failed; ${differencesText(found)}`,
  );
  report.check("no send fails", pour.errors.length === 0, () => pour.errors.slice(0, 3).join("; "));
  report.check("per key", isClean(found), () => found.examples.join("; "));
}

function* until(over: () => boolean): Generator<Buffer> {
  for (const line of flightLines(10_000_000, seed)) {
    if (over()) return;
    yield line;
  }
}
