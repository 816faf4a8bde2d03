import yargs from "yargs";
import { brokerCommand } from "./commands/broker.ts";
import { clusterCommand } from "./commands/cluster.ts";
import { consumeCommand } from "./commands/consume.ts";
import { devCommand } from "./commands/dev.ts";
import { partitionCommand } from "./commands/partition.ts";
import { produceCommand } from "./commands/produce.ts";
import { topicCommand } from "./commands/topic.ts";
import { versionCommand } from "./commands/version.ts";
import { describeError } from "./describe-error.ts";
import { ExitCode, UsageError } from "./exit-code.ts";
import { processTerminal, ReaderGone, type Terminal } from "./terminal.ts";
import { packageVersion } from "./version.ts";

/** Width help is printed in: the same everywhere. */
const HELP_COLUMNS = 100;

/** Runs one command line. @param args without node and script @returns the exit code (design §10) */
export async function runProgram(args: readonly string[], terminal: Terminal = processTerminal()): Promise<ExitCode> {
  try {
    await parse(args, terminal);
    await terminal.flush();
    return ExitCode.ok;
  } catch (error) {
    if (error instanceof ReaderGone) return ExitCode.ok;
    const { line, exitCode } = describeError(error);
    terminal.say(`millrace: ${line}`);
    if (error instanceof UsageError) terminal.say("See `millrace --help`, or --help after a command.");
    return exitCode;
  }
}

async function parse(args: readonly string[], terminal: Terminal): Promise<void> {
  await yargs([...args])
    .scriptName("millrace")
    .usage("$0 COMMAND: a partitioned, replicated commit log over gRPC")
    .option("brokers", {
      type: "string",
      requiresArg: true,
      global: true,
      describe: "HOST:PORT,… of some brokers [MILLRACE_BROKERS, or 127.0.0.1:7400]",
    })
    .command(brokerCommand(terminal))
    .command(devCommand(terminal))
    .command(topicCommand(terminal))
    .command(produceCommand(terminal))
    .command(consumeCommand(terminal))
    .command(clusterCommand(terminal))
    .command(partitionCommand(terminal))
    .command(versionCommand(terminal))
    .demandCommand(1, "Say what to do: one of the commands")
    .strict()
    .parserConfiguration({ "parse-numbers": false, "parse-positional-numbers": false, "greedy-arrays": false })
    .version(packageVersion())
    .help()
    .wrap(HELP_COLUMNS)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    })
    .parseAsync();
}
