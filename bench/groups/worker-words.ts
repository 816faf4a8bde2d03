import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export type ToWorker =
  | {
      readonly kind: "start";
      readonly brokers: readonly string[];
      readonly group: string;
      readonly topic: string;
      readonly count: number;
      readonly handlerMs: number;
      /** In each partition. */
      readonly records: number;
    }
  | { readonly kind: "gaps"; readonly from: number; readonly to: number }
  | { readonly kind: "stop" };

export type FromWorker =
  | {
      readonly kind: "held";
      readonly member: string;
      readonly granted: readonly number[];
      readonly asked: readonly number[];
      readonly at: number;
    }
  | { readonly kind: "broken"; readonly member: string; readonly why: string }
  | { readonly kind: "gaps"; readonly gaps: readonly number[] };

/** The process of whole clients, from outside. */
export class Workers {
  readonly #child: ChildProcess;
  #gaps: (gaps: readonly number[]) => void = () => {};

  constructor(hear: (word: Exclude<FromWorker, { kind: "gaps" }>) => void) {
    this.#child = fork(fileURLToPath(new URL("./worker.js", import.meta.url)));
    this.#child.on("message", (word: FromWorker) => {
      if (word.kind === "gaps") this.#gaps(word.gaps);
      else hear(word);
    });
    process.on("exit", () => this.#child.kill("SIGKILL"));
  }

  start(what: Omit<Extract<ToWorker, { kind: "start" }>, "kind">): void {
    this.#say({ kind: "start", ...what });
  }

  /** @see FromWorker */
  gaps(from: number, to: number): Promise<readonly number[]> {
    return new Promise((resolve) => {
      this.#gaps = resolve;
      this.#say({ kind: "gaps", from, to });
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#say({ kind: "stop" });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(timer);
  }

  #say(word: ToWorker): void {
    this.#child.send(word);
  }
}
