import { type Shape, short, whole, withGroups } from "./cluster/shape.ts";

export const usage = `usage: npm run sim -- --seed N [--short] [--trace] [--plan] [--faults LIST] [--minimise]
                    one run. --trace: every event on stdout; --plan: the faults it planned;
                    --faults: only those of these numbers (3,17,21; none: no fault) come;
                    --minimise: finds few faults with which a failing seed still fails
       npm run sim -- --seeds N [--short] [--from F] [--keep-going] [--background]
                    N runs on all cores; stops at the first that fails, unless told to go on;
                    in the background: takes only what other processes leave
       --short: some seconds of three brokers; else at least a minute of one to seven
       --groups: with consumer groups in every seed
`;

/** What was asked for on the command line. */
export interface SimOptions {
  readonly shape: Shape;
  readonly seed: number | undefined;
  readonly seeds: number | undefined;
  readonly from: number;
  /** This process runs every so manieth seed, and reports to its parent. */
  readonly worker: number | undefined;
  readonly trace: boolean;
  readonly plan: boolean;
  readonly minimise: boolean;
  readonly keepGoing: boolean;
  readonly background: boolean;
  /** This worker runs the kept seeds too. */
  readonly kept: boolean;
  /** Numbers of the planned faults that come; undefined: all. */
  readonly faults: ReadonlySet<number> | undefined;
}

const flags = ["--short", "--groups", "--trace", "--plan", "--minimise", "--keep-going", "--background", "--kept"] as const;
const numbers = ["--seed", "--seeds", "--from", "--worker"] as const;

/** @returns what is wrong, in words, when anything is */
export function parseOptions(args: readonly string[]): SimOptions | string {
  const given = new Set<string>();
  const values = new Map<string, number>();
  let faults: ReadonlySet<number> | undefined;
  for (let at = 0; at < args.length; at++) {
    const name = args[at] ?? "";
    if (flags.some((flag) => flag === name)) given.add(name);
    else if (numbers.some((number) => number === name)) {
      const value = wholeNumber(args[++at]);
      if (value === undefined) return `${name} needs a whole number: got ${args[at] ?? "nothing"}`;
      values.set(name, value);
    } else if (name === "--faults") {
      const list = numberList(args[++at] ?? "");
      if (list === undefined) return `--faults needs numbers, or none: got ${args[at] ?? "nothing"}`;
      faults = list;
    } else return `unknown option ${name}`;
  }
  const [seed, seeds] = [values.get("--seed"), values.get("--seeds")];
  if ((seed === undefined) === (seeds === undefined)) return "one of --seed and --seeds must be given";
  const shape = given.has("--short") ? short : whole;
  return {
    shape: given.has("--groups") ? withGroups(shape) : shape,
    seed,
    seeds,
    from: values.get("--from") ?? 1,
    worker: values.get("--worker"),
    trace: given.has("--trace"),
    plan: given.has("--plan"),
    minimise: given.has("--minimise"),
    keepGoing: given.has("--keep-going"),
    background: given.has("--background"),
    kept: given.has("--kept"),
    faults,
  };
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined;
}

function numberList(text: string): ReadonlySet<number> | undefined {
  if (text === "none") return new Set();
  const list = text.split(",").map(wholeNumber);
  return list.every((number) => number !== undefined) ? new Set(list) : undefined;
}
