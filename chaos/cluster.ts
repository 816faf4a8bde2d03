import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevFolder } from "../src/cli/dev/dev-folder.ts";
import { type DevBroker, type DevLayout, devBrokers } from "../src/cli/dev/layout.ts";
import { isAlive, signal, waitFor } from "../src/cli/dev/processes.ts";
import { type Client, connect } from "../src/client-entry.ts";
import { freePort } from "./free-ports.ts";

/** The root of the clone: commands are run there, as a reader would. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
const main = fileURLToPath(new URL("../src/main.js", import.meta.url));

const READY_MS = 90_000;
const DIED_MS = 10_000;
const STOP_MS = 40_000;
const RESTART_MS = 60_000;

/** What a command of ours printed. */
export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ClusterOptions {
  readonly brokers?: number;
  /** Kept after `stop`, for who wants to look. */
  readonly keep?: boolean;
  /** Added to the environment of the brokers. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Three real broker processes on this machine, started by `millrace dev` with data in a temporary folder, on ports nobody uses.
 * Processes are known by number and command line, and only those are ever signalled.
 */
export class Cluster {
  readonly folder: string;
  readonly layout: DevLayout;
  readonly brokers: readonly DevBroker[];
  readonly addresses: readonly string[];
  readonly #dev: DevFolder;
  #keep: boolean;
  readonly #environment: Readonly<Record<string, string>>;
  /** As `millrace dev` printed it, by broker. */
  readonly #startCommands = new Map<number, string>();
  #supervisor: ChildProcess | undefined;
  #admin: Client;
  #stopped = false;
  readonly #atExit = (): void => this.#killAll();
  readonly #atSignal = (): void => {
    console.log("stopped by a signal; no result");
    this.#killAll();
    process.exit(130);
  };

  private constructor(folder: string, port: number, options: ClusterOptions) {
    this.folder = folder;
    this.layout = { folder, brokers: options.brokers ?? 3, port };
    this.brokers = devBrokers(this.layout);
    this.addresses = this.brokers.map((broker) => broker.address);
    this.#dev = new DevFolder(folder);
    this.#keep = options.keep ?? false;
    this.#environment = options.environment ?? {};
    this.#admin = this.client();
    process.on("exit", this.#atExit);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, this.#atSignal);
  }

  /** Starts all and waits for the ready line. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), "millrace-chaos-"));
    const cluster = new Cluster(folder, await freePort(options.brokers ?? 3), options);
    await cluster.startAll();
    return cluster;
  }

  /** `millrace dev` on the same data, the first time or again. Resolves at its ready line. */
  async startAll(): Promise<void> {
    const log = openSync(join(this.folder, "dev.log"), "a");
    const child = spawn(
      process.execPath,
      [main, "dev", "--brokers", `${this.layout.brokers}`, "--data", this.folder, "--port", `${this.layout.port}`],
      { cwd: root, stdio: ["ignore", "pipe", log], env: { ...process.env, ...this.#environment } },
    );
    this.#supervisor = child;
    let text = "";
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ready line within ${READY_MS} ms:\n${text}${this.devLog()}`)), READY_MS);
        child.once("exit", (code) => reject(new Error(`millrace dev ended (${code}) before its ready line:\n${text}${this.devLog()}`)));
        child.stdout?.on("data", (chunk: Buffer) => {
          text += chunk.toString("utf8");
          writeSync(log, chunk);
          for (const [, id, command] of text.matchAll(/^broker (\d+) .*start again: (.*)$/gm)) {
            this.#startCommands.set(Number(id), command as string);
          }
          if (!/^millrace ready /m.test(text)) return;
          clearTimeout(timer);
          resolve();
        });
      });
    } finally {
      child.removeAllListeners("exit");
      child.once("exit", () => closeSync(log));
    }
  }

  devLog(): string {
    return readFileSync(join(this.folder, "dev.log"), "utf8");
  }

  /** A client of its own, which knows all brokers. */
  client(): Client {
    return connect({ brokers: this.addresses ?? [] });
  }

  get admin(): ReturnType<Client["admin"]> {
    return this.#admin.admin({ timeoutMs: 10_000 });
  }

  broker(id: number): DevBroker {
    const broker = this.brokers[id - 1];
    if (broker === undefined) throw new Error(`no broker ${id}`);
    return broker;
  }

  /** Process id; undefined when it is dead. */
  pid(id: number): number | undefined {
    return this.#dev.pidOf(this.broker(id));
  }

  /** SIGKILL, and its death awaited. @returns the time of the signal, `performance.now()` */
  async kill(ids: readonly number[]): Promise<number> {
    const pids = ids.map((id) => this.pid(id));
    const at = performance.now();
    for (const pid of pids) if (pid !== undefined) signal(pid, "SIGKILL");
    for (const id of ids) if (!(await waitFor(() => this.pid(id) === undefined, DIED_MS))) throw new Error(`broker ${id} outlived SIGKILL`);
    return at;
  }

  /** SIGTERM, and its end awaited. @returns milliseconds it took */
  async terminate(id: number): Promise<number> {
    const pid = this.pid(id);
    if (pid === undefined) throw new Error(`broker ${id} does not run`);
    const at = performance.now();
    signal(pid, "SIGTERM");
    if (!(await waitFor(() => this.pid(id) === undefined, STOP_MS))) throw new Error(`broker ${id} did not stop on SIGTERM`);
    return performance.now() - at;
  }

  /** Kills the brokers and `millrace dev` itself, as when somebody pulls the plug of the session. */
  async killEverything(): Promise<void> {
    const supervisor = this.#supervisor;
    supervisor?.kill("SIGKILL");
    await this.kill(this.brokers.map((broker) => broker.id));
    if (supervisor?.pid !== undefined && !(await waitFor(() => !isAlive(supervisor.pid as number, "dev"), DIED_MS))) {
      throw new Error("millrace dev outlived SIGKILL");
    }
  }

  /** How `millrace dev` said that this broker is started again. */
  startCommand(id: number): string {
    const command = this.#startCommands.get(id);
    if (command === undefined) throw new Error(`millrace dev printed no command for broker ${id}`);
    return command;
  }

  /** Runs the printed command, letter for letter, at the root of the clone. Resolves when the broker listens. */
  async startAgain(id: number): Promise<void> {
    const outcome = await run("/bin/sh", ["-c", this.startCommand(id)], RESTART_MS);
    if (outcome.exitCode !== 0) throw new Error(`${this.startCommand(id)} ended with ${outcome.exitCode}:\n${outcome.stderr}`);
  }

  /** The same without npx, which alone takes as long as a broker to start. */
  async startAgainDirectly(id: number): Promise<void> {
    const outcome = await this.cli(["dev", "start", `${id}`, "--data", this.folder], RESTART_MS, this.#environment);
    if (outcome.exitCode !== 0) throw new Error(`millrace dev start ${id} ended with ${outcome.exitCode}:\n${outcome.stderr}`);
  }

  /** Runs `millrace ARGS` against this cluster. */
  cli(
    args: readonly string[],
    timeoutMs: number = RESTART_MS,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CommandOutcome> {
    return run(process.execPath, [main, ...args], timeoutMs, { ...environment, MILLRACE_BROKERS: this.addresses.join(",") });
  }

  /** `millrace cluster health --wait`, asked of every broker through the client: each must say that all are live and all is well. */
  async healthy(timeoutMs: number = READY_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const clients = this.addresses.map((address) => connect({ brokers: [address] }));
    let said = "";
    try {
      for (const [index, client] of clients.entries()) {
        for (;;) {
          try {
            const health = await client.admin({ timeoutMs: 2_000 }).clusterHealth();
            if (health.healthy && health.brokersLive === this.layout.brokers) break;
            said = health.reasons.map((reason) => reason.text).join("; ") || `${health.brokersLive} brokers live`;
          } catch (error) {
            said = (error as Error).message;
          }
          if (performance.now() > deadline) throw new Error(`not healthy after ${timeoutMs} ms: broker ${index + 1}: ${said}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    } finally {
      await Promise.all(clients.map((client) => client.close({ timeoutMs: 1_000 })));
    }
  }

  /** The controller's broker id, as soon as somebody knows it. */
  async controller(): Promise<number> {
    return this.#eventually("a controller", async () => (await this.admin.describeCluster()).controllerId);
  }

  /** Leader and term of each partition, in order; leader 0 where none is known. */
  async leaders(topic: string): Promise<readonly { readonly leader: number; readonly term: number }[]> {
    const [description] = await this.admin.describeTopics([topic]);
    return (description?.partitions ?? []).map((partition) => ({ leader: partition.leaderId, term: partition.leaderTerm }));
  }

  async #eventually(what: string, ask: () => Promise<number>): Promise<number> {
    const deadline = performance.now() + 30_000;
    let last = "";
    while (performance.now() < deadline) {
      try {
        const found = await ask();
        if (found > 0) return found;
      } catch (error) {
        last = (error as Error).message;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${what} did not appear within 30 s ${last}`);
  }

  /** All that a broker logged, over its restarts. */
  brokerLog(id: number): string {
    const { logFile } = this.broker(id);
    return existsSync(logFile) ? readFileSync(logFile, "utf8") : "";
  }

  /** What brokers logged as an error: a broker that dies of a bug says so, and nothing else should. */
  complaints(): readonly string[] {
    return this.brokers.flatMap(({ id }) =>
      this.brokerLog(id)
        .split("\n")
        .filter((line) => line.includes('"level":"error"') || line.includes('"level":"fatal"'))
        .map((line) => `broker ${id}: ${line.slice(0, 500)}`),
    );
  }

  /** What a failed run leaves is worth a look: the data stays. @returns where */
  keepData(): string {
    this.#keep = true;
    return this.folder;
  }

  /** Stops all, cleanly when they can, and removes the data. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#admin.close({ timeoutMs: 1_000 });
    const supervisor = this.#supervisor;
    if (supervisor?.exitCode === null && supervisor.signalCode === null) {
      const ended = new Promise<void>((resolve) => supervisor.once("exit", () => resolve()));
      supervisor.kill("SIGTERM");
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
    }
    this.#killAll();
    process.off("exit", this.#atExit);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, this.#atSignal);
    if (!this.#keep) rmSync(this.folder, { recursive: true, force: true });
  }

  #killAll(): void {
    this.#supervisor?.kill("SIGKILL");
    for (const { pid } of this.#dev.alive(this.layout)) signal(pid, "SIGKILL");
  }
}

/** Runs a command to its end; one that takes too long is killed. */
export function run(
  program: string,
  args: readonly string[],
  timeoutMs: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const out: Buffer[] = [];
    const talk: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => talk.push(chunk));
    child.once("error", reject);
    child.once("close", (exitCode) => resolve({ exitCode, stdout: Buffer.concat(out), stderr: Buffer.concat(talk).toString("utf8") }));
  });
}
