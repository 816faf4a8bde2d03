import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Cluster } from "./cluster.ts";
import { header, Report, sleep } from "./report.ts";

/**
 * `npm run recover`: three brokers, the disks of two are destroyed, `millrace recover` goes on from the third (scenario 62). All that was
 * acknowledged at ALL is there with exact content; new disks make three of one again; then an old disk returns and is fenced.
 *
 *   --records N written before (3,000)
 */
const TOPIC = "kept";
const PARTITIONS = 3;
const LOST = [1, 2] as const;
const SURVIVOR = 3;
const BACK_MS = 120_000;

const at = process.argv.indexOf("--records");
const records = at < 0 ? 3_000 : Number(process.argv[at + 1]);
const report = new Report();

console.log(header("recover", 0));
const cluster = await Cluster.start();
try {
  await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  await recover();
} catch (error) {
  report.check("recover", false, () => `${(error as Error).stack}`);
} finally {
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
}
process.exit(report.close());

async function recover(): Promise<void> {
  const values = Array.from({ length: records }, (_, i) => `value ${i}`);
  await produce(values, cluster.addresses);
  await cluster.kill([...LOST]);
  for (const id of LOST) renameSync(cluster.broker(id).data, old(id));
  await sleep(2_000);

  const survivor = ["--brokers", cluster.broker(SURVIVOR).address];
  const file = join(cluster.folder, "plan.json");
  const planned = await cluster.cli(["recover", "plan", ...survivor, "--out", file]);
  const text = planned.stdout.toString();
  console.log(text);
  report.check(
    "a plan is made without a controller",
    planned.exitCode === 0 && /THE METADATA has lost its majority/.test(text),
    () => planned.stderr,
  );
  report.check("it names every partition", text.match(/kept-\d has lost its majority/g)?.length === PARTITIONS, () => text);
  const digest = /^digest ([0-9a-f]{16})$/m.exec(text)?.[1] ?? "none";
  const clusterId = /^cluster ([0-9a-f-]{36})/m.exec(text)?.[1] ?? "none";

  const yes = ["--yes-i-give-up-what-is-lost", digest];
  await refused("for nobody to ask", 2, ["recover", "apply", file, ...survivor]);
  await refused("for another cluster", 1, ["recover", "apply", file, ...survivor, "--cluster-id", "another", ...yes]);
  await refused("for another digest", 1, [
    "recover",
    "apply",
    file,
    ...survivor,
    "--cluster-id",
    clusterId,
    "--yes-i-give-up-what-is-lost",
    "0",
  ]);
  const applied = await cluster.cli(["recover", "apply", file, ...survivor, "--cluster-id", clusterId, ...yes]);
  console.log(applied.stdout.toString());
  report.check("it is applied", applied.exitCode === 0 && !/not done/.test(applied.stdout.toString()), () => applied.stderr);
  await refused("when it was applied already", 1, ["recover", "apply", file, ...survivor, "--cluster-id", clusterId, ...yes]);

  await equal("everything is readable on the survivor alone", values, [cluster.broker(SURVIVOR).address]);
  const alone = Array.from({ length: 50 }, (_, i) => `alone ${i}`);
  await produce(alone, [cluster.broker(SURVIVOR).address], "quorum");
  values.push(...alone);

  // Whoever is started with an empty disk waits for the session of the former one.
  for (const id of LOST) await startUntilItRuns(id);
  await cluster.healthy(BACK_MS);
  const together = Array.from({ length: 50 }, (_, i) => `together ${i}`);
  await produce(together, cluster.addresses);
  values.push(...together);
  await equal("everything is readable through a broker with a new disk", values, [cluster.broker(1).address]);

  await cluster.kill([1]);
  rmSync(cluster.broker(1).data, { recursive: true });
  renameSync(old(1), cluster.broker(1).data);
  await startUntilItRuns(1);
  await cluster.healthy(BACK_MS);
  await equal("everything is there after an old disk came back", values, [cluster.broker(1).address]);
  const late = ["late"];
  await produce(late, cluster.addresses);
  await cluster.kill([SURVIVOR]);
  await sleep(3_000);
  await equal("and without the survivor", [...values, ...late], [cluster.broker(1).address]);
  await startUntilItRuns(SURVIVOR);
  await cluster.healthy(BACK_MS);
}

function old(id: number): string {
  return join(cluster.folder, `old-${id}`);
}

/** A broker that is refused, or fenced, ends; it is started again as a supervisor would. */
async function startUntilItRuns(id: number): Promise<void> {
  const deadline = performance.now() + BACK_MS;
  for (;;) {
    await cluster.startAgainDirectly(id).catch(() => {});
    await sleep(2_000);
    if (cluster.pid(id) !== undefined) return;
    if (performance.now() > deadline)
      throw new Error(`broker ${id} does not stay up; it has ${existsSync(cluster.broker(id).data) ? "" : "no "}data`);
  }
}

async function refused(why: string, exitCode: number, args: readonly string[]): Promise<void> {
  const outcome = await cluster.cli(args);
  report.check(`it is refused ${why}`, outcome.exitCode === exitCode, () => `exit ${outcome.exitCode}: ${outcome.stderr}`);
}

async function produce(values: readonly string[], brokers: readonly string[], acks = "all"): Promise<void> {
  const file = join(cluster.folder, "records.txt");
  writeFileSync(file, values.map((value) => `${value}\n`).join(""));
  const outcome = await cluster.cli(["produce", TOPIC, "--file", file, "--acks", acks, "--brokers", brokers.join(",")]);
  if (outcome.exitCode !== 0) throw new Error(`produce ended with ${outcome.exitCode}: ${outcome.stderr}`);
}

async function equal(what: string, values: readonly string[], brokers: readonly string[]): Promise<void> {
  const outcome = await cluster.cli(["consume", TOPIC, "--from", "start", "--to", "end", "--brokers", brokers.join(",")]);
  const read = outcome.stdout.toString().split("\n").slice(0, -1).sort();
  const wanted = [...values].sort();
  const same = read.length === wanted.length && read.every((value, i) => value === wanted[i]);
  report.check(what, outcome.exitCode === 0 && same, () => `read ${read.length} of ${wanted.length}; ${outcome.stderr}`);
}
