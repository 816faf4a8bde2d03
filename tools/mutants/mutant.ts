import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { groupCheckers } from "../../src/testing/checkers/groups/index.ts";
import { checkers } from "../../src/testing/checkers/index.ts";
import { RaftInvariants } from "../../src/testing/checkers/raft/raft-invariants.ts";
import { undamaged } from "../../src/testing/checkers/undamaged.ts";
import { applyPatch, type FilePatch, PatchError, parsePatch } from "./patch.ts";

/** Where the patches are. */
export const MUTANTS = "mutants";

/** A seed of the simulator, and whether it is a short one. */
export interface Seed {
  readonly seed: number;
  readonly short: boolean;
}

/** One deliberate mistake in the product. */
export interface Mutant {
  /** File name without `.patch`. */
  readonly name: string;
  /** What is wrong then, in one line. */
  readonly breaks: string;
  /** Rows of docs/reliability.md; one of them must refuse it. */
  readonly rows: readonly string[];
  /** A seed that caught it once. What it means changes with the simulator: it is tried first, no more. */
  readonly seed: Seed | undefined;
  readonly patch: readonly FilePatch[];
}

/** Rows that a run judges: by the invariants of the inside, by the history, and that it comes to rest at all. */
export const judgedRows: ReadonlySet<string> = new Set([
  ...new RaftInvariants().verdicts().map(({ row }) => row),
  ...[...checkers, ...groupCheckers].map(({ row }) => row),
  undamaged(new Map(), 0, []).row,
  "V1",
]);

const HEADER = /^(Breaks|Rows|Seed): (.+)$/;

/** @throws {PatchError} */
export function parseMutant(name: string, text: string): Mutant {
  const [header = "", diff] = split(text);
  if (diff === undefined) throw new PatchError("no diff follows its header");
  const fields = new Map<string, string>();
  for (const line of header.split("\n").filter((each) => each !== "")) {
    const [, field, value] = HEADER.exec(line) ?? [];
    if (field === undefined || value === undefined) throw new PatchError(`not a line of a header (Breaks, Rows, Seed): ${line}`);
    if (fields.has(field)) throw new PatchError(`says ${field} twice`);
    fields.set(field, value.trim());
  }
  const breaks = fields.get("Breaks");
  const rows = fields.get("Rows")?.split(" ") ?? [];
  const seed = fields.get("Seed");
  if (breaks === undefined) throw new PatchError('does not say what it breaks ("Breaks: …")');
  if (rows.length === 0) throw new PatchError('does not say which row must catch it ("Rows: …")');
  for (const row of rows) if (!judgedRows.has(row)) throw new PatchError(`no run judges a row ${row}`);
  if (seed !== undefined && !/^\d{1,9}(?: short)?$/.test(seed)) throw new PatchError(`no seed: ${seed}`);
  const hint = seed === undefined ? undefined : { seed: Number.parseInt(seed, 10), short: seed.endsWith("short") };
  return { name, breaks, rows, seed: hint, patch: parsePatch(diff) };
}

function split(text: string): [header: string, diff: string | undefined] {
  const at = text.startsWith("--- ") ? 0 : text.indexOf("\n--- ") + 1;
  return at === 0 && !text.startsWith("--- ") ? [text, undefined] : [text.slice(0, at), text.slice(at)];
}

/** Names of all mutants, sorted. */
export function mutantNames(root: string): readonly string[] {
  const folder = join(root, MUTANTS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".patch"))
    .map((file) => file.slice(0, -".patch".length))
    .sort();
}

export function patchPath(root: string, name: string): string {
  return join(root, MUTANTS, `${name}.patch`);
}

/** @throws {PatchError} that names the mutant */
export function readMutant(root: string, name: string): Mutant {
  try {
    return parseMutant(name, readFileSync(patchPath(root, name), "utf8"));
  } catch (error) {
    throw new PatchError(`mutant ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The changed sources by path. @throws {PatchError} that names the mutant when its patch does not apply to the present sources */
export function mutate(root: string, mutant: Mutant): ReadonlyMap<string, string> {
  const read = (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined);
  try {
    for (const { path } of mutant.patch) {
      if (!/^src\/(?!testing\/).+\.ts$/.test(path)) throw new PatchError(`${path} is no source of the product`);
    }
    return applyPatch(mutant.patch, read);
  } catch (error) {
    throw new PatchError(`mutant ${mutant.name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
