import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { type DevBroker, type DevLayout, devBrokers, layoutFile } from "./layout.ts";
import { isAlive, startOf, waitFor } from "./processes.ts";

/** Whoever claims a folder is done within milliseconds; a lock that stays so long, in milliseconds, was left by one that was killed. */
const LOCK_MS = 2_000;

/** What `dev.json` holds: how the cluster is laid out, and who looks after it. */
export interface DevState extends DevLayout {
  /** Process of `millrace dev`; 0 when none runs. */
  readonly pid: number;
  /** Which process of that number, as `startOf` says; undefined where the system does not tell. */
  readonly started?: string | undefined;
}

/**
 * The folder of a development cluster: `dev.json`, and of each broker a data directory, a log and a file with its process id. Process ids
 * that were seen are remembered: somebody may delete the folder, and the brokers must be found all the same. What stands in a folder that was
 * made anew under the path is another cluster's.
 */
export class DevFolder {
  readonly folder: string;
  readonly #seen = new Map<number, number>();
  /** Who looks after the folder, as this one wrote it. */
  #claimed: number | undefined;

  constructor(folder: string) {
    this.folder = resolve(folder);
  }

  /** @returns undefined when there is no cluster in it @throws {CommandFailed} it cannot be read, or is none of ours */
  read(): DevState | undefined {
    const file = layoutFile(this.folder);
    const found = readJson(file);
    if (found.absent === "ENOENT") return undefined;
    if (found.absent !== undefined) {
      throw new CommandFailed(ExitCode.failure, `cannot read ${file} (${found.absent}): see what it is, or choose another --data`);
    }
    if (found.json === undefined) return undefined;
    const { brokers, port, pid, started } = found.json;
    if (typeof brokers !== "number" || typeof port !== "number" || typeof pid !== "number") {
      throw new CommandFailed(ExitCode.failure, `${file} is not what \`millrace dev\` writes; remove it`);
    }
    return { folder: this.folder, brokers, port, pid, started: typeof started === "string" ? started : undefined };
  }

  write({ brokers, port, pid }: DevState): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    writeJson(layoutFile(this.folder), { brokers, port, pid, started: startOf(pid) });
    this.#claimed = pid;
  }

  /**
   * Writes, and nobody else at the same moment.
   * @param look last, with nobody else claiming the folder; throws when it is somebody's
   */
  async claim(state: DevState, look: () => void): Promise<void> {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const lock = join(this.folder, "dev.lock");
    while (!makeNew(lock)) {
      const theirs = idOf(lock);
      if (await waitFor(() => idOf(lock) !== theirs, LOCK_MS)) continue;
      rmSync(lock, { force: true });
    }
    try {
      look();
      this.write(state);
    } finally {
      rmSync(lock, { force: true });
    }
  }

  /** The process that looks after the folder, when it is alive and not this one. @throws {CommandFailed} as `read` */
  get keeper(): number | undefined {
    const state = this.read();
    if (state === undefined || state.pid === 0 || state.pid === process.pid || !isAlive(state.pid, "dev")) return undefined;
    // The number may be another one's by now, and its command line have that word too: `npm run dev`.
    const now = startOf(state.pid);
    return state.started === undefined || now === undefined || now === state.started ? state.pid : undefined;
  }

  /** Whether there is no folder any more, or another one, or nothing in it that says that it is one of ours. */
  get gone(): boolean {
    const { absent } = readJson(layoutFile(this.folder));
    return (absent !== undefined && isNothing(absent)) || this.#isAnother;
  }

  get #isAnother(): boolean {
    const written = readJson(layoutFile(this.folder)).json?.["pid"];
    return this.#claimed !== undefined && written !== undefined && written !== this.#claimed;
  }

  /**
   * Process id of a broker that is alive: the last one that was seen here, else the one that is written down. What cannot be read does not
   * keep those that were seen from being found.
   */
  pidOf(broker: DevBroker): number | undefined {
    const written = this.#isAnother ? undefined : readJson(broker.stateFile).json?.["pid"];
    const pid = [this.#seen.get(broker.id), written].find((one) => typeof one === "number" && isAlive(one, broker.data));
    if (typeof pid !== "number") return undefined;
    this.#seen.set(broker.id, pid);
    return pid;
  }

  writePid(broker: DevBroker, pid: number): void {
    this.#seen.set(broker.id, pid);
    if (!this.#isAnother) writeJson(broker.stateFile, { pid });
  }

  removePid(broker: DevBroker): void {
    this.#seen.delete(broker.id);
    if (this.#isAnother) return;
    try {
      rmSync(broker.stateFile, { force: true });
    } catch {
      // It names a process that is gone, and whoever reads it sees that.
    }
  }

  /** Those alive, with their process ids. */
  alive(layout: DevLayout): readonly { readonly broker: DevBroker; readonly pid: number }[] {
    return devBrokers(layout).flatMap((broker) => {
      const pid = this.pidOf(broker);
      return pid === undefined ? [] : [{ broker, pid }];
    });
  }
}

interface Read {
  /** Undefined too when it holds something else. */
  readonly json?: Readonly<Record<string, unknown>> | undefined;
  /** Why nothing was read: code of the system. */
  readonly absent?: string | undefined;
}

/** Never throws for what somebody did to the file: who looks after processes must not end of it. */
function readJson(path: string): Read {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    return { json: typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : undefined };
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { absent: code };
  }
}

/** No file is there: none at all, a file stands in place of its folder, or a folder in its own. */
function isNothing(code: string): boolean {
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR";
}

/** @returns whether there was none */
function makeNew(path: string): boolean {
  try {
    writeFileSync(path, "", { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

/** Tells a file from a later one of its name. @returns undefined: there is none */
function idOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino} ${stat.mtimeMs}`;
}

/** In one step, so that a reader never sees half of it. */
function writeJson(path: string, value: object): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
