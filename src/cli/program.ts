import yargs from "yargs";
import { nearest } from "../cluster/nearest.ts";
import { brokerCommand } from "./commands/broker.ts";
import { checkCommand } from "./commands/check.ts";
import { clusterCommand } from "./commands/cluster.ts";
import { completionCommand } from "./commands/completion.ts";
import { configCommand } from "./commands/config.ts";
import { consumeCommand } from "./commands/consume.ts";
import { devCommand } from "./commands/dev.ts";
import { partitionCommand } from "./commands/partition.ts";
import { produceCommand } from "./commands/produce.ts";
import { topicCommand } from "./commands/topic.ts";
import { versionCommand } from "./commands/version.ts";
import { describeError } from "./describe-error.ts";
import { CommandFailed, ExitCode, UsageError } from "./exit-code.ts";
import { processTerminal, ReaderGone, type Terminal } from "./terminal.ts";

/** Every verb, in the order of the help. */
export const verbs = [
  "broker",
  "dev",
  "topic",
  "produce",
  "consume",
  "cluster",
  "partition",
  "check",
  "config",
  "completion",
  "version",
] as const;

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
    // A mistake inside a file is not one of the command line.
    if (exitCode === ExitCode.usage && (error instanceof UsageError || !(error instanceof CommandFailed)))
      terminal.say("See `millrace --help`, or --help after a command.");
    return exitCode;
  }
}

/** What `--help` prints after some words of a command. */
async function helpText(words: readonly string[]): Promise<string> {
  let text = "";
  const terminal: Terminal = {
    data: (piece) => {
      text += piece.toString();
      return undefined;
    },
    flush: async () => undefined,
    say: () => undefined,
  };
  await parse([...words, "--help"], terminal);
  return text;
}

async function parse(args: readonly string[], terminal: Terminal): Promise<void> {
  let help = "";
  await yargs()
    .scriptName("millrace")
    // Our own texts are English, so those of yargs are too, whatever the locale.
    .locale("en")
    .usage("$0 COMMAND: a partitioned, replicated commit log over gRPC")
    .option("brokers", {
      type: "string",
      requiresArg: true,
      global: true,
      describe: "HOST:PORT,… of some brokers [MILLRACE_BROKERS, or 127.0.0.1:7400]",
    })
    .group(["brokers", "help"], "Everywhere:")
    .command(brokerCommand(terminal))
    .command(devCommand(terminal))
    .command(topicCommand(terminal))
    .command(produceCommand(terminal))
    .command(consumeCommand(terminal))
    .command(clusterCommand(terminal))
    .command(partitionCommand(terminal))
    .command(checkCommand(terminal))
    .command(configCommand(terminal))
    .command(completionCommand(terminal, helpText))
    .command(versionCommand(terminal))
    .demandCommand(1, "Say what to do: one of the commands")
    .strict()
    .strictCommands()
    .epilogue(
      "`millrace COMMAND --help` says more. Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failure, 2 usage, 3 not found or unhealthy.",
    )
    .parserConfiguration({ "parse-numbers": false, "parse-positional-numbers": false, "greedy-arrays": false })
    // It is a command; below, the flag everybody tries first means the same.
    .version(false)
    .help()
    .wrap(HELP_COLUMNS)
    .exitProcess(false)
    .fail((message, error) => {
      // What an option's own reader throws comes back as an error of yargs.
      throw error === undefined || error.name === "YError" ? new UsageError(plain(error?.message ?? message)) : error;
    })
    .parse(args[0] === "--version" ? ["version"] : [...args], {}, (_error, _argv, output) => {
      help = output;
    });
  if (help !== "") await terminal.data(`${help}\n`);
}

/** The words of yargs for a person; a mistyped verb is answered with the one that was meant. */
function plain(message: string): string {
  const verb = /^Unknown commands?: ([^\s,]+)/.exec(message)?.[1];
  if (verb === undefined) return message.replace("non-option arguments", "arguments");
  const near = verbs.some((known) => known === verb) ? undefined : nearest(verb, verbs);
  return `Unknown command: ${verb}${near === undefined ? "" : `; did you mean ${near}?`}`;
}
