import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** A cluster that does not say so after this long is not coming. */
const READY_MS = 45_000;
const STOP_MS = 20_000;
/** Ports the brokers of one page may use: ten each. */
const PORTS = 40;

/** What `npm start` of a page runs: the cluster of its folder, on ports of its own, until the page ends. */
export class DevCluster {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = "";

  constructor(options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly port: number; readonly args: readonly string[] }) {
    this.#child = spawn("npm", ["start", "--silent", "--", ...options.args, "--port", `${options.port}`], {
      cwd: options.cwd,
      env: options.env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const heard = (piece: Buffer): void => {
      this.#output += piece.toString();
    };
    this.#child.stdout?.on("data", heard);
    this.#child.stderr?.on("data", heard);
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
  }

  get output(): string {
    return this.#output;
  }

  /** @returns whether it printed the ready line in time */
  async ready(): Promise<boolean> {
    const deadline = Date.now() + READY_MS;
    while (!/^millrace ready /m.test(this.#output)) {
      if (this.#child.exitCode !== null || Date.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return true;
  }

  /** Ctrl-C, as a person would. */
  async stop(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) {
      signal(-this.#child.pid, "SIGINT");
      const late = setTimeout(() => signal(-(this.#child.pid ?? 0), "SIGKILL"), STOP_MS);
      await this.#ended;
      clearTimeout(late);
    }
  }
}

/** Brokers have sessions of their own: those a folder still names when its page is over, whoever started them. */
export function killBrokers(cwd: string): void {
  for (const pid of brokersOf(join(cwd, ".millrace"))) signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (pid === 0) return;
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

/** Process ids that the folder still names: a broker that stopped removed its own. */
function brokersOf(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^broker-\d+\.json$/.test(name))
      .map((name) => (JSON.parse(readFileSync(join(folder, name), "utf8")) as { pid: number }).pid);
  } catch {
    return [];
  }
}

/** @returns the first port, from `from` on in steps, above which there is room for a cluster */
export async function freePorts(from: number): Promise<number> {
  for (let port = from; port < 65_000; port += 100) {
    const tried = await Promise.all(Array.from({ length: PORTS }, (_, more) => isFree(port + more)));
    if (tried.every(Boolean)) return port;
  }
  throw new Error(`no ${PORTS} free ports above ${from}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
