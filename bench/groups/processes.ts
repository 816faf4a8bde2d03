import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "../../chaos/report.ts";

const PATIENCE_MS = 30_000;
let hz: number | undefined;

/** CPU seconds a process has used. */
export function cpuSeconds(pid: number): number {
  hz ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / hz;
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;
}

export interface Memory {
  /** Objects, and buffers outside of the heap, after a collection. */
  readonly heapBytes: number;
  readonly rssBytes: number;
}

/** Brokers that collect garbage and say what is left, when they are asked by a signal. */
export class Collected {
  readonly #folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));

  /** For the brokers. */
  get environment(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `--import=${new URL("../../chaos/bad-input/gc-on-signal.js", import.meta.url).href}`,
      BAD_INPUT_MEMORY_FOLDER: this.#folder,
    };
  }

  async memory(pid: number): Promise<Memory> {
    const file = join(this.#folder, `${pid}.json`);
    rmSync(file, { force: true });
    process.kill(pid, "SIGUSR2");
    for (const deadline = performance.now() + PATIENCE_MS; !existsSync(file); await sleep(20))
      if (performance.now() > deadline) throw new Error(`process ${pid} does not answer a signal`);
    const { heapBytes } = JSON.parse(readFileSync(file, "utf8")) as { readonly heapBytes: number };
    return { heapBytes, rssBytes: residentBytes(pid) };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
