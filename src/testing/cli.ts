import { fork } from "node:child_process";
import { availableParallelism, constants, setPriority } from "node:os";
import type { MakeBroker } from "./cluster/broker-under-test.ts";
import { runSeed, type SeedResult } from "./cluster/run-seed.ts";
import { reusePages } from "./sim/disk/pages.ts";
import { Totals } from "./totals.ts";

const usage = `usage: npm run sim -- --seed N [--trace]     one run, its trace on stdout
       npm run sim -- --seeds N [--from F] [--keep-going] [--background]
                                             N runs on all cores; stops at the first that fails, unless told to go on;
                                             in the background: takes only what other processes leave
`;

/** What a worker tells its parent of one seed, and how much CPU it has used since it began. */
export type Report = { readonly seed: number; readonly cpuMs?: number } & (
  | { readonly result: SeedResult }
  /** Broken rows, each on a line of its own that it begins; or `error`, by name, which names a row in its message or is a bug. */
  | { readonly failure: string; readonly error?: string }
);

/**
 * Workers run on one thread each: every core has one, so helpers of the collector would only take the other's. A wider young space
 * lets most of what an event made die before it is looked at; a collection of the whole heap is put off, because compiled code whose
 * brokers are gone goes with it and is compiled again for the next ones.
 */
export const WORKER_FLAGS = ["--single-threaded-gc", "--max-semi-space-size=64", "--heap-growing-percent=900"];

/** The command line of the simulator. @returns the exit code: 0 all passed · 1 a seed failed · 2 usage */
export async function simulate(args: readonly string[], makeBroker: MakeBroker): Promise<number> {
  const seed = numberAfter(args, "--seed");
  const seeds = numberAfter(args, "--seeds");
  const from = numberAfter(args, "--from") ?? 1;
  const stride = numberAfter(args, "--worker");
  const keepGoing = args.includes("--keep-going");
  if (args.includes("--background")) setPriority(constants.priority.PRIORITY_LOW);
  if (stride !== undefined && seeds !== undefined) return work(from, seeds, stride, keepGoing, makeBroker);
  if (seeds !== undefined) return runMany(from, seeds, keepGoing);
  if (seed !== undefined) return runOne(seed, args.includes("--trace"), makeBroker);
  process.stderr.write(usage);
  return 2;
}

function numberAfter(args: readonly string[], flag: string): number | undefined {
  const at = args.indexOf(flag);
  const value = at < 0 ? Number.NaN : Number(args[at + 1]);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

async function judged(seed: number, makeBroker: MakeBroker, print?: (line: string) => void): Promise<Report> {
  try {
    const result = await unlessRejected(runSeed(seed, { makeBroker, print }));
    const broken = result.verdicts.flatMap(({ row, violations }) => violations.map((violation) => `${row}: ${violation}`));
    return broken.length === 0 ? { seed, result } : { seed, failure: broken.join("\n  ") };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { seed, failure: text, error: error instanceof Error ? error.name : "unknown" };
  }
}

/** A rejection nobody handles is a bug of the code under test: it ends the seed. */
function unlessRejected<T>(work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const rejected = (reason: unknown) => reject(reason instanceof Error ? reason : new Error(String(reason)));
    process.on("unhandledRejection", rejected);
    work.then(resolve, reject).finally(() => process.off("unhandledRejection", rejected));
  });
}

async function runOne(seed: number, trace: boolean, makeBroker: MakeBroker): Promise<number> {
  const report = await judged(seed, makeBroker, trace ? (line) => process.stdout.write(`${line}\n`) : undefined);
  if ("failure" in report) {
    process.stderr.write(`seed ${seed} failed\n  ${report.failure}\n`);
    return 1;
  }
  const totals = new Totals();
  totals.add(report.result);
  process.stdout.write(`seed ${seed} passed, digest ${report.result.digest}\n${totals.text()}`);
  return 0;
}

/** Runs every `stride`-th seed and tells the parent of each. */
async function work(from: number, seeds: number, stride: number, keepGoing: boolean, makeBroker: MakeBroker): Promise<number> {
  let failed = false;
  for (let seed = from; seed < from + seeds; seed += stride) {
    const report = await judged(seed, makeBroker);
    reusePages();
    const { user, system } = process.cpuUsage();
    await new Promise((resolve) => process.send?.({ ...report, cpuMs: (user + system) / 1_000 } satisfies Report, resolve));
    failed ||= "failure" in report;
    if (failed && !keepGoing) break;
  }
  process.disconnect?.();
  return failed ? 1 : 0;
}

function runMany(from: number, seeds: number, keepGoing: boolean): Promise<number> {
  const workers = Math.min(seeds, availableParallelism());
  const totals = new Totals();
  const began = process.hrtime.bigint();
  return new Promise((resolve) => {
    let open = workers;
    let failed = false;
    const children = Array.from({ length: workers }, (_, i) => {
      const mine = seeds - i;
      const given = [
        ...(keepGoing ? ["--keep-going"] : []),
        "--worker",
        String(workers),
        "--from",
        String(from + i),
        "--seeds",
        String(mine),
      ];
      const child = fork(process.argv[1] ?? "", given, { execArgv: [...process.execArgv, ...WORKER_FLAGS] });
      child.on("message", (report: Report) => {
        if (failed && !keepGoing) return;
        if ("result" in report) {
          totals.add(report.result);
          if (totals.seeds % 100 === 0) process.stderr.write(`${totals.seeds} of ${seeds} seeds\n`);
          return;
        }
        failed = true;
        process.stderr.write(`seed ${report.seed} failed\n  ${report.failure}\nreproduce: npm run sim -- --seed ${report.seed} --trace\n`);
        if (!keepGoing) for (const other of children) other.kill();
      });
      child.on("exit", () => {
        if (--open > 0) return;
        const seconds = Number((process.hrtime.bigint() - began) / 1_000_000n) / 1_000;
        process.stdout.write(`${totals.text()}${seconds.toFixed(1)} s of real time\n`);
        const missing = failed ? [] : totals.missing(seeds);
        for (const line of missing) process.stderr.write(`${line}\n`);
        resolve(failed || missing.length > 0 ? 1 : 0);
      });
      return child;
    });
  });
}
