import { runProgram } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

export interface RanHere {
  readonly code: number;
  /** What went to stdout. */
  readonly out: string;
  /** What went to stderr. */
  readonly talk: string;
}

/** Runs a command in this process: for those that need no process of their own. */
export function run(args: readonly string[]): Promise<RanHere> {
  return begin(args).ended;
}

export interface RunningHere {
  readonly ended: Promise<RanHere>;
  /** Resolves once stdout or stderr shows it; rejects when the command ended without. */
  said(what: RegExp): Promise<void>;
}

/** The same, while it runs: `process.emit("SIGINT")` is Ctrl-C to it. */
export function begin(args: readonly string[]): RunningHere {
  const out: Uint8Array[] = [];
  const talk: string[] = [];
  let over = false;
  const shown = (): string => Buffer.concat(out).toString() + talk.join("");
  const ended = (async () => {
    const code = await runProgram(args, terminal(out, talk));
    over = true;
    return { code, out: Buffer.concat(out).toString(), talk: talk.join("") };
  })();
  const said = async (what: RegExp): Promise<void> => {
    while (!what.test(shown())) {
      if (over) throw new Error(`ended without ${what}: ${shown()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return { ended, said };
}

function terminal(out: Uint8Array[], talk: string[]): Terminal {
  return {
    data: (bytes) => {
      out.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes.slice());
      return undefined;
    },
    flush: async () => undefined,
    say: (line) => void talk.push(`${line}\n`),
  };
}
