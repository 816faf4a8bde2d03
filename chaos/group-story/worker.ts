import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Handled, parseHandled, parseTold, RECORD_TEMPLATE, type Told } from "./history.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const END_MS = 30_000;

export interface WorkerSpec {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly group: string;
  readonly handlerDelayMs: number;
  readonly valueAt: (partition: number, offset: number) => string | undefined;
}

/** One real process of `millrace consume -g`, and what it printed and said. */
export class GroupWorker {
  readonly n: number;
  readonly handled: Handled[] = [];
  readonly told: Told[] = [];
  /** What it said to people, with the time it was read, milliseconds since 1970. */
  readonly said: { readonly at: number; readonly line: string }[] = [];
  /** Lines of its output that are no records. */
  readonly strange: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #isOver = false;

  constructor(n: number, { brokers, topic, group, handlerDelayMs, valueAt }: WorkerSpec) {
    this.n = n;
    const args = ["consume", topic, "-g", group, "--handler-delay", `${handlerDelayMs}ms`, "-f", RECORD_TEMPLATE];
    this.#child = spawn(process.execPath, [main, ...args, "--brokers", brokers.join(",")], { stdio: ["ignore", "pipe", "pipe"] });
    // Whatever ends us, one that is stopped among them.
    const atExit = (): void => void this.#child.kill("SIGKILL");
    process.on("exit", atExit);
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        process.off("exit", atExit);
        this.#isOver = true;
        resolve(signal ?? `exit ${code}`);
      });
    });
    onLine(this.#child.stdout, (line) => {
      const handled = parseHandled(line, n, valueAt);
      if (handled === undefined) this.strange.push(line);
      else this.handled.push(handled);
    });
    onLine(this.#child.stderr, (line) => {
      const at = Date.now();
      this.said.push({ at, line });
      const told = parseTold(line, n, at);
      if (told !== undefined) this.told.push(told);
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @returns the time of the signal, milliseconds since 1970 */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM"): number {
    const at = Date.now();
    this.#child.kill(name);
    return at;
  }

  /** @returns `exit N` or the signal's name */
  async ended(): Promise<string> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    try {
      return await this.#ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whole lines only: the last one of a process that is killed may be cut. */
function onLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) take(line);
  });
}
