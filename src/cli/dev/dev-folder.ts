import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { type DevBroker, type DevLayout, devBrokers, layoutFile } from "./layout.ts";
import { isAlive } from "./processes.ts";

/** What `dev.json` holds: how the cluster is laid out, and who looks after it. */
export interface DevState extends DevLayout {
  /** Process of `millrace dev`; 0 when none runs. */
  readonly pid: number;
}

/** The folder of a development cluster: `dev.json`, and of each broker a data directory, a log and a file with its process id. */
export class DevFolder {
  readonly folder: string;

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
  }

  /** Process id of a broker that is alive. */
  pidOf(broker: DevBroker): number | undefined {
    const pid = readJson(broker.stateFile)?.["pid"];
    return typeof pid === "number" && isAlive(pid, broker.data) ? pid : undefined;
  }

  writePid(broker: DevBroker, pid: number): void {
    writeJson(broker.stateFile, { pid });
  }

  removePid(broker: DevBroker): void {
    rmSync(broker.stateFile, { force: true });
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
