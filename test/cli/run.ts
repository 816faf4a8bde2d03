import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs the compiled command in a process of its own. */
export function millrace(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const { MILLRACE_BROKERS: _, ...env } = process.env;
    const child = spawn(process.execPath, [main, ...args], { env: { ...env, ...options.env }, cwd: options.cwd ?? process.cwd() });
    const out: Buffer[] = [];
    const talk: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => out.push(piece));
    child.stderr.on("data", (piece: Buffer) => talk.push(piece));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(talk).toString() }));
    // A command that ends before it read everything is no mistake here.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? new Uint8Array(0));
  });
}
