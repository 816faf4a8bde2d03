import { fork } from "node:child_process";
import { join } from "node:path";
import { type Report, WORKER_FLAGS } from "../../src/testing/cli.ts";
import type { Mutant, Seed } from "./mutant.ts";

/** A mutant must be caught within these, short seeds and whole ones together (2,000 seeds or 10 minutes of CPU). */
export const SEEDS_MAX = 2_000;
/** Short seeds come first: a mistake that shows often is caught in one of them within seconds. */
export const SHORT_SEEDS = 60;
export const CPU_MS_MAX = 600_000;
/** A worker that says nothing for so long hangs in one seed. */
const SILENT_MS_MAX = 600_000;

/** How a seed ended that did not pass. */
export type Ending =
  | { readonly by: "row"; readonly row: string; readonly message: string }
  /** An `invariant()` of the product noticed: it may not be there to notice the next bug. */
  | { readonly by: "assertion"; readonly message: string }
  | { readonly by: "exception"; readonly message: string };

/** What became of one mutant. */
export interface Hunted {
  readonly mutant: Mutant;
  /** The first seed that an expected row refused; undefined: none of those tried. */
  readonly caught: (Seed & { readonly row: string; readonly message: string }) | undefined;
  /** Seeds run, and how many of them were short ones. */
  readonly seeds: number;
  readonly shortSeeds: number;
  readonly cpuMs: number;
  /** Seeds that failed in another way than expected, by how. */
  readonly others: ReadonlyMap<string, { readonly times: number; readonly seed: number; readonly message: string }>;
}

const ROW = /^(?:\w*Error: )?([A-Z]\d+)(?: \(|:)/;

/** How a failed seed failed. A line that begins with a row was said by an invariant or a checker. @param rows those looked for first */
export function endingOf({ failure, error }: { readonly failure: string; readonly error?: string }, rows: readonly string[]): Ending {
  const lines = failure.split("\n").map((line) => line.trim());
  const said = (error === undefined ? lines : lines.slice(0, 1)).flatMap((line) => {
    const row = ROW.exec(line)?.[1];
    return row === undefined ? [] : [{ by: "row" as const, row, message: line.replace(/^\w*Error: /, "") }];
  });
  const ending = said.find(({ row }) => rows.includes(row)) ?? said[0];
  if (ending !== undefined && error !== "InvariantViolated") return ending;
  return { by: error === "InvariantViolated" ? "assertion" : "exception", message: lines[0] ?? "" };
}

/** Seeds `from`, `from + 1` …, so many of them. */
export interface Span {
  readonly from: number;
  readonly seeds: number;
  readonly short: boolean;
}

/** Runs seeds of a built mutant, one span after the other, until an expected row refuses one. @param folder of the built mutant */
export async function hunt(mutant: Mutant, folder: string, spans: readonly Span[]): Promise<Hunted> {
  const tally = new Tally(mutant);
  for (const span of spans) if (!tally.over) await runSeeds(folder, span, hasGroups(mutant) ? ["--groups"] : [], tally);
  return tally.result;
}

class Tally {
  readonly #mutant: Mutant;
  #caught: Hunted["caught"];
  #seeds = 0;
  #shortSeeds = 0;
  #short = false;
  #cpuMs = 0;
  #cpuMsBefore = 0;
  readonly #others = new Map<string, { times: number; readonly seed: number; readonly message: string }>();

  constructor(mutant: Mutant) {
    this.#mutant = mutant;
  }

  get over(): boolean {
    return this.#caught !== undefined || this.#cpuMs >= CPU_MS_MAX;
  }

  get result(): Hunted {
    return {
      mutant: this.#mutant,
      caught: this.#caught,
      seeds: this.#seeds,
      shortSeeds: this.#shortSeeds,
      cpuMs: this.#cpuMs,
      others: this.#others,
    };
  }

  /** Another process begins at no CPU used. */
  begin({ short }: Span): void {
    this.#cpuMsBefore = this.#cpuMs;
    this.#short = short;
  }

  take(report: Report): void {
    if (this.over) return;
    this.#seeds++;
    if (this.#short) this.#shortSeeds++;
    this.#cpuMs = this.#cpuMsBefore + (report.cpuMs ?? 0);
    if (!("failure" in report)) return;
    const ending = endingOf(report, this.#mutant.rows);
    if (ending.by === "row" && this.#mutant.rows.includes(ending.row)) this.#caught = { seed: report.seed, short: this.#short, ...ending };
    else this.#note(ending.by === "row" ? ending.row : ending.by, report.seed, ending.message);
  }

  /** Its process died in the middle of a seed. */
  died(message: string): void {
    this.#note("exception", 0, message);
  }

  #note(how: string, seed: number, message: string): void {
    const known = this.#others.get(how);
    if (known === undefined) this.#others.set(how, { times: 1, seed, message });
    else known.times++;
  }
}

/** Rows of consumer groups judge only runs that have some: these are looked for in seeds that all do. */
function hasGroups({ rows }: Mutant): boolean {
  return rows.every((row) => row.startsWith("C"));
}

function runSeeds(folder: string, span: Span, flags: readonly string[], tally: Tally): Promise<void> {
  tally.begin(span);
  const shape = span.short ? ["--short"] : [];
  const args = [...shape, ...flags, "--worker", "1", "--from", String(span.from), "--seeds", String(span.seeds), "--keep-going"];
  const child = fork(join(folder, "src/testing/main.js"), args, { execArgv: WORKER_FLAGS, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let said = "";
  child.stderr?.on("data", (piece: Buffer) => {
    said = (said + piece.toString()).slice(-4_000);
  });
  return new Promise((resolve) => {
    let silent: NodeJS.Timeout | undefined;
    const listen = () => {
      clearTimeout(silent);
      silent = setTimeout(() => {
        tally.died(`no seed ended within ${SILENT_MS_MAX / 1_000} s`);
        child.kill("SIGKILL");
      }, SILENT_MS_MAX);
    };
    listen();
    child.on("message", (report: Report) => {
      listen();
      tally.take(report);
      if (tally.over) child.kill();
    });
    child.on("exit", (code, signal) => {
      clearTimeout(silent);
      if (!tally.over && signal === null && code !== 0 && code !== 1) tally.died(`ended with ${code}: ${said.trim().split("\n")[0]}`);
      resolve();
    });
  });
}
