import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { root } from "./cluster.ts";

/** What ran, on what: the first line of every report. */
export function header(what: string, seed: number): string {
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${what}: seed ${seed}, commit ${commit()}, node ${process.version}, ${cpus()[0]?.model.trim() ?? "?"}, ${availableParallelism()} cores, ${memory} GiB, load ${loadavg()[0]?.toFixed(1)}`;
}

function commit(): string {
  try {
    const short = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
    const dirty = execFileSync("git", ["status", "--porcelain", "--", "src"], { cwd: root, encoding: "utf8" }) !== "";
    return `${short}${dirty ? " with changes" : ""}`;
  } catch {
    return "unknown";
  }
}

/** Checks of a run, counted as `.ci/run` counts. */
export class Report {
  passed = 0;
  failed = 0;

  /** One check; a failed one is printed with why. */
  check(name: string, ok: boolean, why: () => string = () => ""): boolean {
    if (ok) this.passed++;
    else {
      this.failed++;
      console.log(`FAIL  ${name}${why() === "" ? "" : `: ${why()}`}`);
    }
    return ok;
  }

  /** The closing line. @returns the exit code */
  close(): number {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}

/** p50, p99 and largest, by nearest rank: of 50 values p99 is the largest. */
export function percentiles(values: readonly number[]): { readonly p50: number; readonly p99: number; readonly max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export function percentilesText(values: readonly number[]): string {
  const { p50, p99, max } = percentiles(values);
  return `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, max ${max.toFixed(0)} ms (${values.length} samples)`;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
