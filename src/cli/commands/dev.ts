import type { Argv, CommandModule } from "yargs";
import { DevFolder, type DevState } from "../dev/dev-folder.ts";
import { type DevBroker, devBroker } from "../dev/layout.ts";
import { isListening, logTail, spawnBroker } from "../dev/spawn-broker.ts";
import { startCommand, stopBrokers, superviseDev } from "../dev/supervisor.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { wholeFlag } from "../flags.ts";
import type { Terminal } from "../terminal.ts";

const FOLDER = "./.millrace";
/** A broker that was started listens within this, or its log says why not. */
const START_MS = 30_000;

interface Dev {
  readonly brokers?: string | undefined;
  readonly data: string;
  readonly port: string;
}

interface One {
  readonly data: string;
  readonly id: string;
}

const dataOption = {
  type: "string",
  default: FOLDER,
  requiresArg: true,
  describe: "Folder of the cluster: data, logs, process ids",
} as const;

export function devCommand(terminal: Terminal): CommandModule<object, Dev> {
  return {
    command: "dev",
    describe: "Run a cluster on this machine until Ctrl-C",
    builder: (yargs) =>
      yargs
        .command(startOne(terminal))
        .command(stopOne(terminal))
        .option("brokers", { type: "string", requiresArg: true, describe: "Number of brokers [3]" })
        .option("data", dataOption)
        .option("port", {
          type: "string",
          default: "7400",
          requiresArg: true,
          describe: "Client port of broker 1; broker N has 10·(N-1) more",
        })
        .example("$0 dev --brokers 1 --data ./one --port 9400", "")
        .epilogue(
          "Prints `millrace ready HOST:PORT,…` once all is well. Data stays in the folder: the next start goes on with it.",
        ) as Argv<Dev>,
    handler: async (args) => {
      const brokers = wholeFlag("--brokers", args.brokers, 1, 100) ?? 3;
      const port = wholeFlag("--port", args.port, 1, 65_535 - 10 * brokers) as number;
      const folder = new DevFolder(args.data);
      await superviseDev(folder, { folder: folder.folder, brokers, port }, terminal);
    },
  };
}

function startOne(terminal: Terminal): CommandModule<object, One> {
  return {
    command: "start <id>",
    describe: "Start broker N of the cluster in this folder again",
    builder: (yargs) =>
      yargs
        .positional("id", { type: "string", demandOption: true, describe: "Number of the broker, from 1" })
        .option("data", dataOption)
        .hide("brokers")
        .hide("port") as Argv<One>,
    handler: async (args) => {
      const { folder, state, broker } = find(args);
      const running = folder.pidOf(broker);
      if (running !== undefined) throw new CommandFailed(ExitCode.failure, `broker ${broker.id} runs already, as pid ${running}`);
      const pid = spawnBroker(folder, state, broker);
      const deadline = performance.now() + START_MS;
      while (!(await isListening(broker.address))) {
        if (folder.pidOf(broker) === undefined) {
          throw new CommandFailed(
            ExitCode.failure,
            `broker ${broker.id} died while starting; the end of ${broker.logFile}:\n${logTail(broker)}`,
          );
        }
        if (performance.now() >= deadline)
          throw new CommandFailed(ExitCode.failure, `broker ${broker.id} (pid ${pid}) does not listen yet; see ${broker.logFile}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await terminal.data(`broker ${broker.id}  ${broker.address}  pid ${pid}\n`);
    },
  };
}

function stopOne(terminal: Terminal): CommandModule<object, One> {
  return {
    command: "stop <id>",
    describe: "Stop broker N of the cluster in this folder",
    builder: (yargs) =>
      yargs
        .positional("id", { type: "string", demandOption: true, describe: "Number of the broker, from 1" })
        .option("data", dataOption)
        .hide("brokers")
        .hide("port") as Argv<One>,
    handler: async (args) => {
      const { folder, broker } = find(args);
      const pid = folder.pidOf(broker);
      if (pid === undefined) throw new CommandFailed(ExitCode.absent, `broker ${broker.id} does not run`);
      await stopBrokers(folder, [broker], terminal);
      await terminal.data(`broker ${broker.id} (pid ${pid}) stopped; start it again: ${startCommand(folder, broker)}\n`);
    },
  };
}

/** @throws {CommandFailed} when there is no such broker */
function find(args: One): { readonly folder: DevFolder; readonly state: DevState; readonly broker: DevBroker } {
  const folder = new DevFolder(args.data);
  const state = folder.read();
  if (state === undefined) throw new CommandFailed(ExitCode.absent, `there is no cluster in ${folder.folder}; \`millrace dev\` makes one`);
  const id = wholeFlag("the number of a broker", args.id, 1, 1_000_000_000) as number;
  if (id > state.brokers) {
    const which = state.brokers === 1 ? "only broker 1" : `brokers 1 to ${state.brokers}`;
    throw new CommandFailed(ExitCode.absent, `there is no broker ${id}: the cluster in ${folder.folder} has ${which}`);
  }
  return { folder, state, broker: devBroker(state, id) };
}
