import { runProgram } from "../../src/cli/program.ts";

export interface RanHere {
  readonly code: number;
  /** What went to stdout. */
  readonly out: string;
  /** What went to stderr. */
  readonly talk: string;
}

/** Runs a command in this process: for those that need no process of their own. */
export async function run(args: readonly string[]): Promise<RanHere> {
  const out: Uint8Array[] = [];
  const talk: string[] = [];
  const code = await runProgram(args, {
    data: (bytes) => {
      out.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes.slice());
      return undefined;
    },
    flush: async () => undefined,
    say: (line) => void talk.push(`${line}\n`),
  });
  return { code, out: Buffer.concat(out).toString(), talk: talk.join("") };
}
