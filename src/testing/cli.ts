import { constants, setPriority } from "node:os";
import { parseOptions, type SimOptions, usage } from "./cli-options.ts";
import type { MakeBroker } from "./cluster/broker-under-test.ts";
import { plannedFaults } from "./cluster/run-seed.ts";
import { judge, type Report } from "./judge.ts";
import { commandFor, runMany, work } from "./many.ts";
import { failureOf, minimise } from "./minimise.ts";
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

async function runOne(options: SimOptions, seed: number, makeBroker: MakeBroker): Promise<number> {
  const { shape, faults, trace, plan } = options;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  if (plan)
    for (const { number, kind, span, atMs, lastMs } of plannedFaults(seed, { shape, makeBroker }))
      print(`${number} ${kind} ${span} + ${atMs} ms for ${lastMs} ms`);
  const fired: number[] = [];
  const report = await judge(seed, { makeBroker, shape, faults, print: trace ? print : undefined, fired: (number) => fired.push(number) });
  if ("failure" in report) {
    process.stderr.write(`seed ${seed} failed\n  ${report.failure}\n`);
    if (options.minimise) await shorten(options, seed, makeBroker, report, fired);
    return 1;
  }
  for (const line of report.result.outOfBounds) print(`out of bounds: ${line}`);
  const totals = new Totals(shape);
  totals.add(report.result);
  const { user, system } = process.cpuUsage();
  totals.cpuMs = (user + system) / 1_000;
  print(`seed ${seed} passed, digest ${report.result.digest}\n${totals.text()}`.trimEnd());
  return 0;
}

/** Prints the command that fails in the same way with as few faults as can be found. */
async function shorten(
  { shape }: SimOptions,
  seed: number,
  makeBroker: MakeBroker,
  report: Report,
  fired: readonly number[],
): Promise<void> {
  const failure = failureOf(report);
  let runs = 0;
  const kept = await minimise(fired, async (numbers) => {
    const fails = failureOf(await judge(seed, { makeBroker, shape, faults: new Set(numbers) })) === failure;
    process.stderr.write(`run ${++runs}: ${numbers.length} faults, ${fails ? "fails" : "passes, or fails in another way"}\n`);
    return fails;
  });
  const list = kept.length === 0 ? "none" : kept.join(",");
  process.stdout.write(`${kept.length} of ${fired.length} faults do: ${commandFor(seed, shape)} --faults ${list}\n`);
}
