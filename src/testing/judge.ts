import type { SeedOptions } from "./cluster/run.ts";
import { runSeed, type SeedResult } from "./cluster/run-seed.ts";

/** What a worker tells its parent of one seed, and how much CPU it has used since it began. */
export type Report = { readonly seed: number; readonly cpuMs?: number } & (
  | { readonly result: SeedResult }
  /** Broken rows, each on a line of its own that it begins; or `error`, by name, which names a row in its message or is a bug. */
  | { readonly failure: string; readonly error?: string }
);

/** Runs a seed and says whether it passed: no row is broken, nothing was thrown, and it did something. */
export async function judge(seed: number, options: SeedOptions): Promise<Report> {
  try {
    const result = await unlessRejected(runSeed(seed, options));
    const broken = result.verdicts.flatMap(({ row, violations }) => violations.map((violation) => `${row}: ${violation}`));
    const lines = [...broken, ...result.nothingDone];
    return lines.length === 0 ? { seed, result } : { seed, failure: lines.join("\n  ") };
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
