import { Cluster } from "./cluster.ts";
import { CpuWatch } from "./cpu-watch.ts";
import { Draws } from "./draws.ts";
import { drawSeed, Flags } from "./flags.ts";
import { slowHandlers } from "./group-story/handlers.ts";
import { type StorySettings, tellStory } from "./group-story/story.ts";
import { flights } from "./input.ts";
import { header, Report } from "./report.ts";

/**
 * `npm run groups`: three workers `millrace consume -g` share a topic of flights; one is killed, one is stopped for a minute and goes on, a
 * broker is killed and started again, and a worker is added, each at a moment that follows from the seed. What every worker printed,
 * with its own clock, is judged: see `group-story/judge.ts`.
 *
 *   --runs N (10)   --records N (20,000)   --seed N to ask for a run again
 *   --file PATH     instead of the flights
 *   --handlers      instead: one handler that waits for a minute and one that blocks its thread for a minute, beside each other
 *   --quick         one run of 4,000 records with a session of 6 s and 10 s stopped, then the handlers with 10 s
 */
const QUICK_SESSION_MS = 6_000;
const SESSION_MS = 45_000;

const flags = new Flags(["runs", "records", "seed", "file"], ["quick", "handlers", "keep"]);
const quick = flags.has("quick");
const seed = flags.number("seed", drawSeed());
const runs = flags.has("handlers") ? 0 : flags.number("runs", quick ? 1 : 10);
const records = flags.number("records", quick ? 4_000 : 20_000);
const report = new Report();

const settings: StorySettings = {
  partitions: 8,
  handlerDelayMs: 50,
  sessionMs: quick ? QUICK_SESSION_MS : SESSION_MS,
  stoppedMs: quick ? 10_000 : 60_000,
  apartMs: quick ? 1_000 : 5_000,
  brokerOffMs: quick ? 1_000 : 3_000,
  timesJudged: !quick,
};

console.log(header("groups", seed));
const input = flights(records, seed, flags.text("file"));
const cpu = await CpuWatch.start();
// The session timeout, when it is not the default, is the only setting that differs from it.
const environment = quick ? { MILLRACE_GROUP_SESSION_TIMEOUT_MS: `${QUICK_SESSION_MS}`, MILLRACE_GROUP_HEARTBEAT_INTERVAL_MS: "1000" } : {};
const cluster = await Cluster.start({ keep: flags.has("keep"), environment });
try {
  await cluster.healthy();
  if (runs > 0)
    console.log(
      `input: ${input.name}, over ${settings.partitions} partitions in turn; workers: consume -g --handler-delay ${settings.handlerDelayMs}ms, session timeout ${settings.sessionMs / 1000} s`,
    );
  for (let run = 1; run <= runs; run++) {
    // Each run from a seed of its own, which asks for it alone: --runs 1 --seed N.
    const ofRun = seed + run - 1;
    await tellStory({
      cluster,
      report,
      cpu,
      settings,
      lines: input.lines,
      draws: new Draws(ofRun),
      name: `run ${run} (seed ${ofRun})`,
      run,
    });
  }
  if (quick || flags.has("handlers"))
    await slowHandlers({ cluster, report, handlerMs: quick ? 10_000 : 60_000, sessionMs: settings.sessionMs, timesJudged: !quick });
} catch (error) {
  report.check("groups", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
  await cpu.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());
