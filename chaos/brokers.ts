import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { threadPoolEnvironment } from "../src/host/thread-pool.ts";

const main = fileURLToPath(new URL("../src/main.js", import.meta.url));
const END_MS = 40_000;

/** A line of a broker's log. */
export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface BrokersOptions {
  /** Logs go here, and data where `data` does not say otherwise. */
  readonly folder: string;
  /** Client port of the first; ten more for each further one. */
  readonly port: number;
  readonly count: number;
  /** `key=value`, for all. */
  readonly settings: readonly string[];
  readonly data?: (n: number) => string;
}

/** Brokers as an operator runs them, each `millrace broker` with settings of its own choice: for what `millrace dev` has no switch. */
export class Brokers {
  readonly addresses: readonly string[];
  readonly numbers: readonly number[];
  readonly #options: BrokersOptions;
  readonly #processes = new Map<number, ChildProcess>();
  readonly #ended = new Map<number, Promise<string>>();
  /** Ends that nobody asked for, by number. */
  readonly #surprises = new Map<number, string>();

  constructor(options: BrokersOptions) {
    this.#options = options;
    this.numbers = Array.from({ length: options.count }, (_, i) => i + 1);
    this.addresses = this.numbers.map((n) => this.#at(n, 0));
    process.on("exit", () => this.killAll());
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => process.exit(130));
  }

  /** Ends that nobody asked for. */
  get surprises(): readonly string[] {
    return [...this.#surprises].map(([n, how]) => `broker ${n}: ${how}`);
  }

  data(n: number): string {
    return this.#options.data?.(n) ?? join(this.#options.folder, `broker-${n}`);
  }
  adminAddress(n: number): string {
    return this.#at(n, 2);
  }

  start(n: number, flags: readonly string[] = []): void {
    const seeds = this.numbers.map((seed) => `${seed}@${this.#at(seed, 1)}`).join(",");
    const log = openSync(this.logFile(n), "a");
    const child = spawn(
      process.execPath,
      [
        ...[main, "broker", "--id", `${n}`, "--data", this.data(n), "--listen", this.#at(n, 0), "--peer-listen", this.#at(n, 1)],
        ...[
          "--admin-listen",
          this.#at(n, 2),
          "--seeds",
          seeds,
          ...this.#options.settings.flatMap((setting) => ["--set", setting]),
          ...flags,
        ],
      ],
      { stdio: ["ignore", log, log], env: threadPoolEnvironment(process.env) },
    );
    closeSync(log);
    this.#surprises.delete(n);
    this.#processes.set(n, child);
    this.#ended.set(
      n,
      new Promise((resolve) => {
        child.once("exit", (code, signal) => {
          const how = signal ?? `exit ${code}`;
          // Whoever ends it takes it from the list before.
          if (this.#processes.get(n) === child) this.#surprises.set(n, how);
          resolve(how);
        });
      }),
    );
  }

  /** Ends it by SIGTERM, or another signal, and waits. @returns `exit 0`, or the signal's name */
  async end(n: number, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<string> {
    const child = this.#processes.get(n);
    this.#processes.delete(n);
    child?.kill(signal);
    return this.#within(n, `broker ${n} did not end on ${signal}`);
  }

  /** How a broker ended that cannot start. @throws when it goes on */
  async refusal(n: number): Promise<string> {
    const how = await this.#within(n, `broker ${n} did not refuse to start`);
    this.#processes.delete(n);
    this.#surprises.delete(n);
    return how;
  }

  killAll(): void {
    for (const child of this.#processes.values()) child.kill("SIGKILL");
  }

  logFile(n: number): string {
    return join(this.#options.folder, `broker-${n}.log`);
  }

  /** Where its log ends now, in bytes. */
  mark(n: number): number {
    return existsSync(this.logFile(n)) ? statSync(this.logFile(n)).size : 0;
  }

  /** What it wrote since, as text. */
  said(n: number, mark = 0): string {
    return existsSync(this.logFile(n)) ? readFileSync(this.logFile(n)).subarray(mark).toString("utf8") : "";
  }

  /** What it logged since. */
  lines(n: number, mark = 0): readonly LogLine[] {
    return this.said(n, mark)
      .split("\n")
      .flatMap((line) => (line.startsWith("{") && line.endsWith("}") ? [JSON.parse(line) as LogLine] : []));
  }

  #at(n: number, which: number): string {
    return `127.0.0.1:${this.#options.port + 10 * (n - 1) + which}`;
  }

  async #within(n: number, otherwise: string): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(otherwise)), END_MS);
    });
    try {
      return await Promise.race([this.#ended.get(n) ?? Promise.resolve("not running"), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
