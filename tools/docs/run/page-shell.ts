import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** Reads names of files from descriptor 3, runs each in this very shell, and writes its exit code to descriptor 4. */
const DRIVER = `shopt -s expand_aliases
set -o pipefail
while IFS= read -r file <&3; do
  eval "$(cat "$file")" >"$file.out" 2>&1 </dev/null 3<&- 4>&-
  echo "$?" >&4
done`;

/** No command of a page takes longer. */
const COMMAND_MS = 60_000;

export interface Outcome {
  /** Undefined: it did not end in time, or ended the shell. */
  readonly exitCode: number | undefined;
  /** What a terminal would have shown. */
  readonly output: string;
}

/** One bash for a whole page, so that variables, aliases and jobs in the background last from one command to the next. */
export class PageShell {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #commands: Writable;
  readonly #codes: AsyncIterator<string>;
  #count = 0;

  /** @param folder for files of its own */
  constructor(options: { readonly cwd: string; readonly folder: string; readonly env: Readonly<Record<string, string | undefined>> }) {
    this.#folder = options.folder;
    // A group of its own: what a page leaves behind ends with it.
    this.#child = spawn("bash", ["-c", DRIVER], {
      cwd: options.cwd,
      env: options.env,
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    const [, , , commands, codes] = this.#child.stdio;
    this.#commands = commands as Writable;
    this.#commands.on("error", () => undefined);
    this.#codes = createInterface({ input: codes as Readable })[Symbol.asyncIterator]();
  }

  async run(command: string): Promise<Outcome> {
    const file = join(this.#folder, `command-${++this.#count}`);
    writeFileSync(file, command);
    this.#commands.write(`${file}\n`);
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<undefined>((resolve) => {
      late = setTimeout(() => resolve(undefined), COMMAND_MS);
    });
    const answer = await Promise.race([this.#codes.next(), timeout]);
    clearTimeout(late);
    const exitCode = answer === undefined || answer.done === true ? undefined : Number(answer.value);
    if (exitCode === undefined) this.end();
    return { exitCode, output: outputOf(`${file}.out`) };
  }

  /** Ends the shell and what it started. */
  end(): void {
    this.#commands.end();
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It has ended, and all it started has too.
    }
  }
}

function outputOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
