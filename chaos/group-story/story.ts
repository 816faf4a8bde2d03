import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../cluster.ts";
import type { CpuWatch } from "../cpu-watch.ts";
import type { Draws } from "../draws.ts";
import { percentilesText, type Report, sleep } from "../report.ts";
import type { Span, Story } from "./history.ts";
import { type Judged, judge } from "./judge.ts";
import { lateCommit } from "./late-commit.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { GroupWorker } from "./worker.ts";

export interface StorySettings {
  readonly partitions: number;
  readonly handlerDelayMs: number;
  readonly sessionMs: number;
  readonly stoppedMs: number;
  /** Between two of what happens, at least. */
  readonly apartMs: number;
  /** A killed broker stays dead so long at least. */
  readonly brokerOffMs: number;
  /** Pauses are judged, not only printed: not where a machine does other things too. */
  readonly timesJudged: boolean;
}

export interface StoryOptions {
  readonly cluster: Cluster;
  readonly report: Report;
  readonly cpu: CpuWatch;
  readonly settings: StorySettings;
  readonly lines: readonly Buffer[];
  readonly draws: Draws;
  readonly name: string;
  readonly run: number;
}

const WORKERS = 3;
/** What `consume -g` commits at, the default of a group consumer. */
const COMMIT_INTERVAL_MS = 1_000;
/** A partition that stays with its owner pauses no longer while others come and go. */
const PAUSE_MS = 200;
/** As `npm run gaps` judges it. */
const FAILOVER_MS = 2_000;
/** One begins at once when a worker goes on, and one more while the news is on its way. */
const LATE_MAX = 2;
const BEGIN_MS = 30_000;
/** After the last record is handled: until everything is committed and owned. */
const SETTLE_MS = 30_000;

/** One run: pours, starts the workers, lets happen what was drawn, and judges. */
export async function tellStory(options: StoryOptions): Promise<void> {
  const { cluster, report, settings, lines, run, name } = options;
  const topic = `flights-${run}`;
  const group = `story-${run}`;
  await cluster.admin.createTopic({ name: topic, partitions: settings.partitions });
  await cluster.healthy();
  const poured = await pour(cluster, topic, settings.partitions, lines);
  const valueAt = (partition: number, offset: number): string | undefined => poured[partition]?.[offset];
  const workers: GroupWorker[] = [];
  const start = (): GroupWorker => {
    const worker = new GroupWorker(workers.length + 1, {
      brokers: cluster.addresses,
      topic,
      group,
      handlerDelayMs: settings.handlerDelayMs,
      valueAt,
    });
    workers.push(worker);
    return worker;
  };
  try {
    const at = performance.now();
    for (let n = 1; n <= WORKERS; n++) start();
    const begun = await until(BEGIN_MS, () => workers.every(({ handled }) => handled.length > 0));
    report.check(`${name}: each worker gets partitions`, begun, () => told(workers));
    const happened = await happen(options, { topic, group, workers, start });
    const ends = poured.map(({ length }) => length);
    const workMs = workMsOf(settings, lines.length);
    const all = await until(workMs + 4 * settings.sessionMs + 60_000, () => count(workers, ends) === lines.length);
    const seconds = (performance.now() - at) / 1000;
    await happened.brokerBack;
    await settled(options, group, ends);
    const story: Story = {
      ends,
      handlerDelayMs: settings.handlerDelayMs,
      handled: workers.flatMap(({ handled }) => handled),
      told: workers.flatMap((worker) => worker.told),
      killed: happened.killed,
      stopped: happened.stopped,
      brokerKilled: happened.brokerKilled,
    };
    console.log(`${name}: ${happened.text}; ${all ? "all records handled" : "given up"} after ${seconds.toFixed(0)} s`);
    verdicts(options, story, at);
    await endings(options, workers, happened.stopped, happened.killed);
  } finally {
    for (const worker of workers) if (!worker.isOver) worker.signal("SIGKILL");
    await Promise.all(workers.map((worker) => worker.ended()));
  }
  await cluster.healthy();
  await cluster.admin.deleteTopic(topic);
}

/** Every partition has its share of the work all the while, so that there is something to pause. @returns values by partition and offset */
async function pour(
  cluster: Cluster,
  topic: string,
  partitions: number,
  lines: readonly Buffer[],
): Promise<readonly (readonly string[])[]> {
  const values: string[][] = Array.from({ length: partitions }, () => []);
  const client = cluster.client();
  const producer = client.producer();
  const wrong: string[] = [];
  for (const [i, line] of lines.entries()) {
    const partition = i % partitions;
    const offset = (values[partition] as string[]).push(line.toString("utf8")) - 1;
    producer.send({ topic, partition, value: line }).then(
      (ack) => {
        if (ack.offset !== offset) wrong.push(`line ${i + 1} lies at ${ack.offset}, not ${offset}`);
      },
      (error: Error) => {
        wrong.push(`line ${i + 1}: ${error.message}`);
      },
    );
    if (producer.isFull) await producer.ready();
  }
  await producer.flush();
  await client.close();
  if (wrong.length > 0) throw new Error(`${topic} could not be poured: ${wrong.slice(0, 3).join("; ")}`);
  return values;
}

interface Happened {
  readonly killed: ReadonlyMap<number, number>;
  readonly stopped: ReadonlyMap<number, Span>;
  readonly brokerKilled: Story["brokerKilled"];
  readonly brokerBack: Promise<void>;
  readonly text: string;
}

interface Scene {
  readonly topic: string;
  readonly group: string;
  readonly workers: readonly GroupWorker[];
  readonly start: () => GroupWorker;
}

function workMsOf({ partitions, handlerDelayMs }: StorySettings, records: number): number {
  return (records / partitions) * handlerDelayMs;
}

async function happen(options: StoryOptions, { topic, group, workers, start }: Scene): Promise<Happened> {
  const { cluster, settings, lines, draws } = options;
  const began = performance.now();
  const plan = drawPlan(draws, { workMs: workMsOf(settings, lines.length), stoppedMs: settings.stoppedMs, apartMs: settings.apartMs });
  const stopVictim = draws.pick(workers);
  const killVictim = draws.pick(workers.filter((worker) => worker !== stopVictim));
  const drawn = draws.pick(cluster.brokers).id;
  const killed = new Map<number, number>();
  const stopped = new Map<number, Span>();
  const texts: string[] = [];
  let stopFrom = 0;
  let brokerKilled: Story["brokerKilled"];
  let brokerBack: Promise<void> = Promise.resolve();
  const acts: Readonly<Record<keyof Plan, () => string | Promise<string>>> = {
    stopAt: () => {
      stopFrom = stopVictim.signal("SIGSTOP");
      return `SIGSTOP worker ${stopVictim.n}`;
    },
    continueAt: () => {
      stopped.set(stopVictim.n, { from: stopFrom, until: stopVictim.signal("SIGCONT") });
      return `SIGCONT worker ${stopVictim.n}`;
    },
    killAt: () => {
      killed.set(killVictim.n, killVictim.signal("SIGKILL"));
      return `SIGKILL worker ${killVictim.n}`;
    },
    addAt: () => `worker ${start().n} added`,
    brokerAt: async () => {
      const leaders = (await cluster.leaders(topic)).map(({ leader }) => leader);
      // On a machine that stands still for a while the drawn one may have lost all it led: then whoever leads the first partition.
      const broker = leaders.includes(drawn) ? drawn : (leaders[0] as number);
      const led = leaders.flatMap((leader, partition) => (leader === broker ? partition : []));
      const { coordinatorId } = await cluster.admin.groups.describe(group);
      brokerKilled = { at: Date.now(), led };
      await cluster.kill([broker]);
      brokerBack = sleep(settings.brokerOffMs)
        .then(() => cluster.startAgainDirectly(broker))
        .then(() => cluster.healthy());
      brokerBack.catch(() => undefined);
      const what = coordinatorId === broker ? ", the group's coordinator" : "";
      return `SIGKILL broker ${broker}${what}, leader of ${led.length} of the partitions`;
    },
  };
  const order = (Object.keys(plan) as (keyof Plan)[]).sort((a, b) => plan[a] - plan[b]);
  for (const act of order) {
    await sleep(Math.max(0, began + plan[act] - performance.now()));
    const at = (performance.now() - began) / 1000;
    texts.push(`${await acts[act]()} at ${at.toFixed(1)} s`);
  }
  return { killed, stopped, brokerKilled, brokerBack, text: texts.join(", ") };
}

function verdicts({ cluster, report, cpu, settings, name, run }: StoryOptions, story: Story, began: number): void {
  const origin = performance.timeOrigin;
  const stalled = (from: number, to: number): number => cpu.stalledWithin(from - origin, to - origin);
  // One record in its hands, and what it handled since its last commit.
  const interval = Math.ceil(COMMIT_INTERVAL_MS / settings.handlerDelayMs);
  const judged = judge(story, {
    twiceMax: 1 + interval * (settings.timesJudged ? 1 : 2),
    lateMax: settings.timesJudged ? LATE_MAX : 10 * LATE_MAX,
    pauseMsMax: settings.timesJudged ? PAUSE_MS : undefined,
    failoverMsMax: settings.timesJudged ? FAILOVER_MS : undefined,
    stalled,
  });
  for (const line of judgedText(story, judged, stalled)) console.log(`${name}: ${line}`);
  console.log(`${name}: beside it ${cpu.text(began, performance.now())}`);
  for (const { promise, facts, wrong } of judged.verdicts) {
    const ok = report.check(`${name}: ${promise}`, facts > 0 && wrong.length === 0, () =>
      facts === 0 ? "nothing was seen that shows it" : `${wrong.length} of ${facts}: ${wrong.slice(0, 5).join("; ")}`,
    );
    // For who wants to judge it again: beside the brokers' data, which stays as well.
    if (!ok)
      writeFileSync(
        join(cluster.folder, `story-${run}.json`),
        JSON.stringify(story, (_, value) => (value instanceof Map ? [...value] : value)),
      );
  }
}

function judgedText(
  { ends, handled }: Story,
  { moves, pauses, failover, twice, verdicts }: Judged,
  stalled: (from: number, until: number) => number,
): readonly string[] {
  const records = ends.reduce((sum, end) => sum + end, 0);
  const moved = moves.map(
    ({ partition, from, to, cause, twice: count, late }) =>
      `${partition}: ${from}→${to} ${cause} ${count}${late > 0 ? ` (${late} late)` : ""}`,
  );
  const longest = (all: typeof pauses): string => {
    if (all.length === 0) return "none seen";
    const raw = all.map(({ ms }) => ms);
    const own = Math.max(...all.map(({ from, until, ms }) => ms - stalled(from, until)));
    return `${percentilesText(raw)}, without the machine's own stalls max ${own.toFixed(0)} ms`;
  };
  return [
    `${records} records handled ${handled.length} times; twice by partition: ${twice.map((count, partition) => `${partition}:${count}`).join(" ")}`,
    `moves, with what both handled: ${moved.join(", ")}`,
    `pauses of partitions that stay, while members come and go: ${longest(pauses.filter(({ atChange }) => atChange))}`,
    `pauses of partitions that stay, at other times: ${longest(pauses.filter(({ atChange }) => !atChange))}`,
    `pauses of partitions led by the killed broker, around that: ${longest(failover)}`,
    `facts: ${verdicts.map(({ facts }) => facts).join(" ")}`,
  ];
}

/** Everything is committed up to the end, and every partition has an owner, as `group describe` says it. */
async function settled({ cluster, report, name }: StoryOptions, group: string, ends: readonly number[]): Promise<void> {
  interface Row {
    readonly partition: number;
    readonly owner: string | null;
    readonly committed: number | null;
    readonly highWatermark: number;
  }
  let rows: readonly Row[] = [];
  let state = "";
  const look = async (): Promise<boolean> => {
    const outcome = await cluster.cli(["group", "describe", group, "--format", "json"]);
    if (outcome.exitCode !== 0) return false;
    ({ state, partitions: rows } = JSON.parse(outcome.stdout.toString("utf8")) as { state: string; partitions: Row[] });
    return (
      rows.length === ends.length && rows.every((row) => row.committed === ends[row.partition] && row.owner !== null) && state === "stable"
    );
  };
  await until(SETTLE_MS, look);
  const wrong = rows.filter(
    ({ partition, committed, highWatermark }) => committed !== ends[partition] || highWatermark !== ends[partition],
  );
  report.check(`${name}: what is committed is the end of each partition`, rows.length === ends.length && wrong.length === 0, () =>
    JSON.stringify(rows),
  );
  report.check(
    `${name}: every partition has an owner at the end`,
    rows.length === ends.length && rows.every(({ owner }) => owner !== null),
    () => JSON.stringify(rows),
  );
  report.check(`${name}: the group is stable at the end`, state === "stable", () => state);
}

/** What the stopped worker said, and how all ended. */
async function endings(
  { report, name }: StoryOptions,
  workers: readonly GroupWorker[],
  stopped: ReadonlyMap<number, Span>,
  killed: ReadonlyMap<number, number>,
): Promise<void> {
  for (const worker of workers) {
    const span = stopped.get(worker.n);
    if (span === undefined) continue;
    const { refused, rejoined, handledAfter, handledLate, shown } = lateCommit(worker, span.until);
    console.log(
      `${name}: worker ${worker.n}, continued: ${shown}; ${handledLate} records before it knew, ${handledAfter} after it joined again`,
    );
    report.check(`${name}: its late commit is refused with a typed error, which it shows`, refused, () => told([worker]));
    report.check(`${name}: it joins again`, rejoined, () => told([worker]));
    report.check(`${name}: it works again`, handledAfter > 0, () => told([worker]));
  }
  for (const worker of workers) if (!worker.isOver) worker.signal("SIGTERM");
  for (const worker of workers) {
    const how = await worker.ended();
    const wanted = killed.has(worker.n) ? "SIGKILL" : "exit 0";
    report.check(`${name}: worker ${worker.n} ends with ${wanted}`, how === wanted, () => `${how}: ${told([worker])}`);
    report.check(`${name}: worker ${worker.n} prints records only`, worker.strange.length === 0, () =>
      worker.strange.slice(0, 3).join("; "),
    );
  }
}

function told(workers: readonly GroupWorker[]): string {
  return workers
    .map(
      ({ n, said }) =>
        `worker ${n}: ${said
          .slice(-8)
          .map(({ line }) => line)
          .join(" | ")}`,
    )
    .join("; ");
}

/** Records that somebody has handled. */
function count(workers: readonly GroupWorker[], ends: readonly number[]): number {
  const seen = ends.map((end) => new Uint8Array(end));
  for (const { handled } of workers)
    for (const { partition, offset } of handled) if (seen[partition] !== undefined) (seen[partition] as Uint8Array)[offset] = 1;
  return seen.reduce((sum, of) => sum + of.reduce((all, one) => all + one, 0), 0);
}

async function until(timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await holds()) return true;
    if (performance.now() > deadline) return false;
    await sleep(250);
  }
}
