import { constants, setPriority } from "node:os";
import { parseOptions, type SimOptions, usage } from "./cli-options.ts";
import type { MakeBroker } from "./cluster/broker-under-test.ts";
import { plannedFaults } from "./cluster/run-seed.ts";
import { judge } from "./judge.ts";
import { runMany, work } from "./many.ts";
import { Totals } from "./totals.ts";

export type { Report } from "./judge.ts";
export { WORKER_FLAGS } from "./many.ts";

/** The command line of the simulator. @returns the exit code: 0 all passed · 1 a seed failed · 2 usage */
export async function simulate(args: readonly string[], makeBroker: MakeBroker): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") {
    process.stderr.write(`${options}\n${usage}`);
    return 2;
  }
  const { seed, seeds, worker } = options;
  if (options.background) setPriority(constants.priority.PRIORITY_LOW);
  if (worker !== undefined && seeds !== undefined) return work(options, seeds, worker, makeBroker);
  if (seeds !== undefined) return runMany(options, seeds);
  return runOne(options, seed ?? 0, makeBroker);
}

async function runOne({ shape, faults, trace, plan }: SimOptions, seed: number, makeBroker: MakeBroker): Promise<number> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  if (plan)
    for (const { number, kind, span, atMs, lastMs } of plannedFaults(seed, { shape, makeBroker }))
      print(`${number} ${kind} ${span} + ${atMs} ms for ${lastMs} ms`);
  const report = await judge(seed, { makeBroker, shape, faults, print: trace ? print : undefined });
  if ("failure" in report) {
    process.stderr.write(`seed ${seed} failed\n  ${report.failure}\n`);
    return 1;
  }
  const totals = new Totals();
  totals.add(report.result);
  const { user, system } = process.cpuUsage();
  totals.cpuMs = (user + system) / 1_000;
  process.stdout.write(`seed ${seed} passed, digest ${report.result.digest}\n${totals.text()}`);
  return 0;
}
