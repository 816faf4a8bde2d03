import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import type { SimOptions } from "./cli-options.ts";
import type { MakeBroker } from "./cluster/broker-under-test.ts";
import { flagsOf, type Shape } from "./cluster/shape.ts";
import { judge, type Report } from "./judge.ts";
import { keptSeeds } from "./kept-seeds.ts";
import { reusePages } from "./sim/disk/pages.ts";
import { Totals } from "./totals.ts";

/**
 * Workers run on one thread each: every core has one, so helpers of the collector would only take the other's. A wider young space
 * lets most of what an event made die before it is looked at; a collection of the whole heap is put off, because compiled code whose
 * brokers are gone goes with it and is compiled again for the next ones.
 */
export const WORKER_FLAGS = ["--single-threaded-gc", "--max-semi-space-size=64", "--heap-growing-percent=900"];

/** Of an error's stack: brokers make thousands of errors that are expected, and a seed that fails is run again by itself, with all of it. */
export const WORKER_STACK_FRAMES = 3;

/** Runs every `stride`-th seed, the first worker those that were kept before, and tells the parent of each. @returns the exit code */
export async function work(options: SimOptions, seeds: number, stride: number, makeBroker: MakeBroker): Promise<number> {
  const { from, shape, keepGoing } = options;
  Error.stackTraceLimit = WORKER_STACK_FRAMES;
  let failed = false;
  const mine = Array.from({ length: Math.ceil(seeds / stride) }, (_, i) => from + i * stride);
  for (const seed of [...(options.kept ? keptSeeds(shape) : []), ...mine]) {
    const report = await judge(seed, { makeBroker, shape });
    reusePages();
    const { user, system } = process.cpuUsage();
    await new Promise((resolve) => process.send?.({ ...report, cpuMs: (user + system) / 1_000 } satisfies Report, resolve));
    failed ||= "failure" in report;
    if (failed && !keepGoing) break;
  }
  process.disconnect?.();
  return failed ? 1 : 0;
}

/** Seeds on all cores, each worker its share. @returns the exit code */
export function runMany({ from, shape, keepGoing }: SimOptions, seeds: number): Promise<number> {
  const workers = Math.min(seeds, availableParallelism());
  const totals = new Totals(shape);
  const cpuMs = new Map<number, number>();
  const began = process.hrtime.bigint();
  const all = seeds + keptSeeds(shape).length;
  const given = [...(keepGoing ? ["--keep-going"] : []), ...flagsOf(shape), "--worker", String(workers)];
  return new Promise((resolve) => {
    let open = workers;
    let failed = false;
    const children = Array.from({ length: workers }, (_, i) => {
      const mine = [...given, ...(i === 0 ? ["--kept"] : []), "--from", String(from + i), "--seeds", String(seeds - i)];
      const child = fork(process.argv[1] ?? "", mine, { execArgv: [...process.execArgv, ...WORKER_FLAGS] });
      child.on("message", (report: Report) => {
        if (failed && !keepGoing) return;
        cpuMs.set(i, report.cpuMs ?? 0);
        if ("result" in report) {
          totals.add(report.result);
          for (const line of report.result.outOfBounds) process.stderr.write(`seed ${report.seed} is out of bounds: ${line}\n`);
          if (totals.seeds % 100 === 0) process.stderr.write(`${totals.seeds} of ${all} seeds\n`);
          return;
        }
        failed = true;
        process.stderr.write(`seed ${report.seed} failed\n  ${report.failure}\nreproduce: ${commandFor(report.seed, shape)} --trace\n`);
        if (!keepGoing) for (const other of children) other.kill();
      });
      child.on("exit", () => {
        if (--open > 0) return;
        const seconds = Number((process.hrtime.bigint() - began) / 1_000_000n) / 1_000;
        totals.cpuMs = [...cpuMs.values()].reduce((sum, ms) => sum + ms, 0);
        process.stdout.write(`${totals.text()}${seconds.toFixed(1)} s of real time\n`);
        const missing = failed ? [] : totals.missing(all);
        for (const line of missing) process.stderr.write(`${line}\n`);
        resolve(failed || missing.length > 0 ? 1 : 0);
      });
      return child;
    });
  });
}

/** The command that runs this seed again. */
export function commandFor(seed: number, shape: Shape): string {
  return ["npm run sim -- --seed", seed, ...flagsOf(shape)].join(" ");
}
