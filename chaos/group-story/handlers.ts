import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Cluster } from "../cluster.ts";
import { DiskWatch } from "../disk-watch.ts";
import { type Report, sleep } from "../report.ts";

export interface SlowHandlersOptions {
  readonly cluster: Cluster;
  readonly report: Report;
  /** How long they take; longer than the session. */
  readonly handlerMs: number;
  readonly sessionMs: number;
  readonly timesJudged: boolean;
}

/** What a slow worker printed: see `slow-handler.ts`. */
interface Event {
  readonly event: "assigned" | "revoked" | "lost" | "began" | "ended" | "signal";
  readonly at: number;
  readonly partitions?: readonly number[];
  readonly partition?: number;
  readonly offset?: number;
  readonly code?: string;
  readonly aborted?: boolean;
}

const TOPIC = "slow-handlers";
const GROUP = "slow";
const PARTITIONS = 6;
const BEGIN_MS = 30_000;
const END_MS = 10_000;
/** Between the decision that a partition is lost and its signal, in another process. */
const SIGNAL_MS = 1_000;
const script = fileURLToPath(new URL("./slow-handler.js", import.meta.url));

/**
 * A worker whose handler waits and one whose handler blocks its thread, both for longer than the session, share a group with a quick one:
 * nobody's partitions move. Then the partitions are really lost, because somebody moves the group by force, and the signals fire.
 */
export async function slowHandlers(options: SlowHandlersOptions): Promise<void> {
  const { cluster, report, handlerMs, sessionMs } = options;
  const { groups } = cluster.admin;
  await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  // Everybody is there and settled before there is anything to handle.
  const workers = {
    awaits: new SlowWorker(cluster, "awaits", handlerMs),
    blocks: new SlowWorker(cluster, "blocks", handlerMs),
    quick: new SlowWorker(cluster, "quick", 0),
  };
  const all = Object.values(workers);
  // What the quick one handles has just been written, and waits for the disk before.
  const disk = await DiskWatch.start();
  const since = performance.now();
  try {
    const shared = async (): Promise<boolean> => {
      const { state, members } = await describe(cluster);
      return state === "stable" && members.length === all.length && all.every(({ held }) => held.length === PARTITIONS / all.length);
    };
    report.check("slow handlers: three workers share the partitions", await until(BEGIN_MS, shared), () =>
      JSON.stringify(all.map(({ held }) => held)),
    );
    const before = await describe(cluster);
    const events = all.map((worker) => worker.news.length);
    let over = false;
    const producing = produce(cluster, () => !over);
    const began = await until(
      BEGIN_MS,
      () =>
        all.every(({ events: { length } }) => length > 0) &&
        [workers.awaits, workers.blocks].every((worker) => worker.of("began").length > 0),
    );
    report.check("slow handlers: all are at work", began);
    const ended = (worker: SlowWorker): Event | undefined => worker.of("ended")[0];
    await until(handlerMs + END_MS, () => ended(workers.awaits) !== undefined && ended(workers.blocks) !== undefined);
    for (const worker of [workers.awaits, workers.blocks]) {
      const [first, last] = [worker.of("began")[0], ended(worker)];
      const took = (last?.at ?? 0) - (first?.at ?? 0);
      console.log(`slow handlers: the one that ${worker.what} took ${took} ms with a record; session timeout ${sessionMs} ms`);
      report.check(
        `slow handlers: the one that ${worker.what} takes longer than the session, to its end`,
        took >= handlerMs - 50 && took > sessionMs,
        () => `${took} ms`,
      );
      report.check(
        `slow handlers: the signal of the one that ${worker.what} has not fired`,
        last?.aborted === false && worker.of("signal").length === 0,
        () => JSON.stringify(worker.of("signal")),
      );
    }
    const after = await describe(cluster);
    report.check(
      "slow handlers: nobody's epoch or partitions have changed",
      before.text === after.text && after.members.length === all.length,
      () => `${before.text}; ${after.text}`,
    );
    report.check(
      "slow handlers: nobody was told of a partition that came or went",
      all.every((worker, i) => worker.news.length === events[i]),
      () => JSON.stringify(all.map(({ news }) => news)),
    );
    const pause = longestPause(workers.quick);
    console.log(
      `slow handlers: the quick one handled ${workers.quick.of("ended").length} records meanwhile, with ${pause} ms between two at most`,
    );
    console.log(`slow handlers: beside it ${disk.text(since, performance.now())}`);
    report.check("slow handlers: the quick one goes on meanwhile", workers.quick.of("ended").length > handlerMs / 100);

    await until(END_MS, () => workers.awaits.of("began").length > workers.awaits.of("ended").length);
    const atWork = workers.awaits
      .of("began")
      .filter(
        ({ partition, offset }) => !workers.awaits.of("ended").some((each) => each.partition === partition && each.offset === offset),
      );
    const lostAt = Date.now();
    await groups.seek(GROUP, "start", { force: true });
    const fired = (): readonly Event[] => workers.awaits.of("signal");
    await until(END_MS, () => fired().length >= atWork.length);
    const took = Math.max(...fired().map(({ at }) => at - lostAt));
    console.log(
      `slow handlers: removed from the group by force: ${fired().length} signals of ${atWork.length} handlers at work fired, the last after ${took} ms (${[...new Set(fired().map(({ code }) => code))].join(", ")})`,
    );
    report.check(
      "slow handlers: a signal fires for each handler at work when its partition is really lost",
      atWork.length > 0 && fired().length === atWork.length && fired().every(({ code }) => code === "UNKNOWN_MEMBER"),
      () => JSON.stringify(fired()),
    );
    if (options.timesJudged) report.check(`slow handlers: within ${SIGNAL_MS} ms`, took <= SIGNAL_MS, () => `${took} ms`);
    report.check(
      "slow handlers: everybody is told of it once, and joins again",
      await until(BEGIN_MS, () => all.every((worker) => worker.of("lost").length === 1 && joinedAgain(worker))),
      () => JSON.stringify(all.map(({ news }) => news)),
    );
    over = true;
    const failed = await producing;
    report.check("slow handlers: no send fails", failed === "", () => failed);
  } finally {
    await disk.stop();
    for (const worker of all) worker.end();
    await Promise.all(all.map((worker) => worker.ended));
  }
}

function joinedAgain({ news }: SlowWorker): boolean {
  const lost = news.findIndex(({ event }) => event === "lost");
  return news.slice(lost + 1).some(({ event }) => event === "assigned");
}

class SlowWorker {
  readonly what: "awaits" | "blocks" | "quick";
  readonly events: Event[] = [];
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  constructor(cluster: Cluster, what: SlowWorker["what"], ms: number) {
    this.what = what;
    this.#child = spawn(process.execPath, [script, cluster.addresses.join(","), TOPIC, GROUP, what, `${ms}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    // Whatever ends us.
    const atExit = (): void => void this.#child.kill("SIGKILL");
    process.on("exit", atExit);
    this.ended = new Promise((resolve) => {
      this.#child.once("close", () => {
        process.off("exit", atExit);
        resolve();
      });
    });
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) this.events.push(JSON.parse(line) as Event);
    });
  }

  of(event: Event["event"]): readonly Event[] {
    return this.events.filter((each) => each.event === event);
  }

  /** What it heard of partitions that come and go. */
  get news(): readonly Event[] {
    return this.events.filter(({ event }) => event === "assigned" || event === "revoked" || event === "lost");
  }

  get held(): readonly number[] {
    let held: number[] = [];
    for (const { event, partitions = [] } of this.news)
      held = event === "assigned" ? [...held, ...partitions] : held.filter((partition) => !partitions.includes(partition));
    return held;
  }

  end(): void {
    this.#child.kill("SIGTERM");
    setTimeout(() => this.#child.kill("SIGKILL"), END_MS).unref();
  }
}

async function describe(
  cluster: Cluster,
): Promise<{ readonly state: string; readonly members: readonly unknown[]; readonly text: string }> {
  const outcome = await cluster.cli(["group", "describe", GROUP, "--format", "json"]);
  if (outcome.exitCode !== 0) return { state: "", members: [], text: outcome.stderr };
  const { state, epoch, members } = JSON.parse(outcome.stdout.toString("utf8")) as { state: string; epoch: number; members: unknown[] };
  return { state, members, text: JSON.stringify({ epoch, members }) };
}

/** A record to each partition ten times a second. @returns why a send failed */
async function produce(cluster: Cluster, goOn: () => boolean): Promise<string> {
  const client = cluster.client();
  const producer = client.producer();
  let failed = "";
  while (goOn()) {
    for (let partition = 0; partition < PARTITIONS; partition++)
      producer.send({ topic: TOPIC, partition, value: "x" }).catch((error: Error) => {
        failed ||= error.message;
      });
    await sleep(100);
  }
  await producer.flush();
  await client.close();
  return failed;
}

function longestPause(worker: SlowWorker): number {
  const times = worker.of("ended").map(({ at }) => at);
  return Math.max(0, ...times.slice(1).map((at, i) => at - (times[i] as number)));
}

async function until(timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) return false;
    await sleep(100);
  }
  return true;
}
