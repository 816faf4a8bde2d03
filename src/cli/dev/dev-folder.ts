import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { type DevBroker, type DevLayout, devBrokers, layoutFile } from "./layout.ts";
import { isAlive } from "./processes.ts";

/** What `dev.json` holds: how the cluster is laid out, and who looks after it. */
export interface DevState extends DevLayout {
  /** Process of `millrace dev`; 0 when none runs. */
  readonly pid: number;
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

  /** @returns undefined when there is no cluster in it */
  read(): DevState | undefined {
    const state = readJson(layoutFile(this.folder));
    if (state === undefined) return undefined;
    const { brokers, port, pid } = state;
    if (typeof brokers !== "number" || typeof port !== "number" || typeof pid !== "number") {
      throw new CommandFailed(ExitCode.failure, `${layoutFile(this.folder)} is not what \`millrace dev\` writes; remove it`);
    }
    return { folder: this.folder, brokers, port, pid };
  }

  write(state: DevState): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    writeJson(layoutFile(this.folder), { brokers: state.brokers, port: state.port, pid: state.pid });
    this.#claimed = state.pid;
  }

  /** Whether there is no folder any more, or another one, or nothing in it that says that it is one of ours. */
  get gone(): boolean {
    return !existsSync(layoutFile(this.folder)) || this.#isAnother;
  }

  get #isAnother(): boolean {
    const written = readJson(layoutFile(this.folder))?.["pid"];
    return this.#claimed !== undefined && written !== undefined && written !== this.#claimed;
  }

  /** Process id of a broker that is alive: the one that is written down, else the last one that was seen here. */
  pidOf(broker: DevBroker): number | undefined {
    const written = this.#isAnother ? undefined : readJson(broker.stateFile)?.["pid"];
    const pid = [written, this.#seen.get(broker.id)].find((one) => typeof one === "number" && isAlive(one, broker.data));
    if (typeof pid !== "number") return undefined;
    this.#seen.set(broker.id, pid);
    return pid;
  }

  writePid(broker: DevBroker, pid: number): void {
    this.#seen.set(broker.id, pid);
    writeJson(broker.stateFile, { pid });
  }

  removePid(broker: DevBroker): void {
    this.#seen.delete(broker.id);
    if (!this.#isAnother) rmSync(broker.stateFile, { force: true });
  }

  /** Those alive, with their process ids. */
  alive(layout: DevLayout): readonly { readonly broker: DevBroker; readonly pid: number }[] {
    return devBrokers(layout).flatMap((broker) => {
      const pid = this.pidOf(broker);
      return pid === undefined ? [] : [{ broker, pid }];
    });
  }
}

function readJson(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** In one step, so that a reader never sees half of it. */
function writeJson(path: string, value: object): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
