import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { buildMutant } from "./mutants/build.ts";
import { type Hunted, hunt, SEEDS_MAX, SHORT_SEEDS, type Span } from "./mutants/hunt.ts";
import { type Mutant, mutantNames, patchPath, readMutant } from "./mutants/mutant.ts";
import { MUTANTS_PAGE, seedsOf, withResults } from "./mutants/page.ts";
import { PatchError } from "./mutants/patch.ts";

const usage = `usage: npm run mutant -- NAME … [--short N] [--seeds N] [--from F] [--write]
                                                                      builds mutants and runs seeds until an expected row refuses one:
                                                                      short ones, then whole ones
       npm run mutant -- --all [--write]                              all of them, each from seed 1: what docs/mutants.md shows
       npm run mutant -- --tenth K                                    every tenth one, K from 0 to 9, or "commit": by the commit's hash
       npm run mutant -- --list
A mutant whose header has a seed begins with it, unless it is run with --from, --all or --write. --write notes what caught it in the page and
the seed in its header. Exit code: 0 all caught by a row they name, 1 one was not, 2 usage.
`;

/** Which seeds are run: the one in the header of the patch, short ones, whole ones. */
interface Plan {
  readonly hinted: boolean;
  readonly from: number;
  readonly seeds: number;
  readonly shortSeeds: number;
}

function spansOf({ seed }: Mutant, { hinted, from, seeds, shortSeeds }: Plan): readonly Span[] {
  return [
    ...(hinted && seed !== undefined ? [{ from: seed.seed, seeds: 1, short: seed.short }] : []),
    ...(shortSeeds > 0 ? [{ from, seeds: shortSeeds, short: true }] : []),
    ...(seeds > 0 ? [{ from, seeds, short: false }] : []),
  ];
}

async function main(args: readonly string[]): Promise<number> {
  const root = process.cwd();
  const valued = new Set(["--seeds", "--short", "--from", "--tenth"]);
  const names = args.filter((arg, at) => !arg.startsWith("--") && !valued.has(args[at - 1] ?? ""));
  const after = (flag: string) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
  const number = (flag: string) => (/^\d+$/.test(after(flag) ?? "") ? Number(after(flag)) : undefined);
  const known = mutantNames(root);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) return complain(`no mutant ${unknown.join(", ")} in mutants/`);
  const mutants = known.map((name) => readMutant(root, name));
  if (args.includes("--list")) {
    for (const { name, rows, breaks } of mutants) console.log(`${name}  ${rows.join(" ")}  ${breaks}`);
    return 0;
  }
  const tenth = args.includes("--tenth") ? tenthOf(after("--tenth") ?? "") : undefined;
  if (args.includes("--tenth") && tenth === undefined) return complain(usage);
  const chosen = mutants.filter(({ name }, at) => args.includes("--all") || at % 10 === tenth || names.includes(name));
  if (chosen.length === 0) return complain(usage);
  // What the page says is from seed 1 on.
  const hinted = !["--all", "--from", "--write"].some((flag) => args.includes(flag));
  const shortSeeds = number("--short") ?? SHORT_SEEDS;
  const results = await huntAll(root, chosen, {
    hinted,
    from: number("--from") ?? 1,
    seeds: number("--seeds") ?? SEEDS_MAX - shortSeeds,
    shortSeeds,
  });
  if (args.includes("--write")) write(root, mutants, results);
  const passed = results.filter(({ caught }) => caught !== undefined).length;
  console.log(`${passed} passed, ${results.length - passed} failed`);
  return passed === results.length ? 0 : 1;
}

function complain(text: string): number {
  process.stderr.write(`${text.trimEnd()}\n`);
  return 2;
}

/** @returns 0 to 9; by the commit's hash each commit has its own, and always the same one */
function tenthOf(word: string): number | undefined {
  if (word === "commit") return Number.parseInt(git("rev-parse", "HEAD").slice(0, 8), 16) % 10;
  return /^\d$/.test(word) ? Number(word) : undefined;
}

function git(...args: readonly string[]): string {
  return execFileSync("git", args, { encoding: "utf8" }).trim();
}

/** As many at a time as there are cores. */
async function huntAll(root: string, mutants: readonly Mutant[], plan: Plan): Promise<readonly Hunted[]> {
  const results: Hunted[] = [];
  const left = [...mutants];
  const work = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const result = await hunt(mutant, buildMutant(root, mutant), spansOf(mutant, plan));
      console.log(said(result));
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: Math.min(mutants.length, availableParallelism()) }, work));
  return results;
}

function said(result: Hunted): string {
  const { mutant, caught, cpuMs, others } = result;
  const cost = `${seedsOf(result)}, ${(cpuMs / 1_000).toFixed(1)} s of CPU`;
  const besides = [...others].map(([how, { times, seed, message }]) => `\n      ${how} ${times} times, first in seed ${seed}: ${message}`);
  const what =
    caught === undefined
      ? `NOT CAUGHT by ${mutant.rows.join(" or ")} (${cost})`
      : `caught by ${caught.row} in ${caught.short ? "short " : ""}seed ${caught.seed} (${cost})`;
  return `${caught === undefined ? "FAIL" : "ok  "}  ${mutant.name}  ${what}${caught === undefined ? "" : `\n      ${caught.message}`}${besides.join("")}`;
}

function write(root: string, mutants: readonly Mutant[], results: readonly Hunted[]): void {
  const page = join(root, MUTANTS_PAGE);
  writeFileSync(page, withResults(readFileSync(page, "utf8"), mutants, results, git("rev-parse", "--short", "HEAD")));
  for (const { mutant, caught } of results) {
    if (caught === undefined) continue;
    const path = patchPath(root, mutant.name);
    const text = readFileSync(path, "utf8").replace(/^Seed: .*\n/m, "");
    writeFileSync(
      path,
      text.replace(/^Rows: .*\n/m, (rows) => `${rows}Seed: ${caught.seed}${caught.short ? " short" : ""}\n`),
    );
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof PatchError)) throw error;
  process.exitCode = complain(error.message);
}
