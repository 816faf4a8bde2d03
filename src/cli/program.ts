import yargs, { type Argv } from "yargs";
import { describeError } from "./describe-error.ts";
import { CommandFailed, ExitCode, UsageError } from "./exit-code.ts";
import { processTerminal, ReaderGone, type Terminal } from "./terminal.ts";
import { droppedWord, explained, Misread, refusedValue } from "./usage-mistake.ts";

/**
 * Every verb, in the order of the help, with where it is defined: one is loaded only when it is asked for, or when its help is, so
 * that a small question does not wait for the modules of a broker.
 */
const commands = {
  broker: async (program, terminal) => program.command((await import("./commands/broker.ts")).brokerCommand(terminal)),
  dev: async (program, terminal) => program.command((await import("./commands/dev.ts")).devCommand(terminal)),
  topic: async (program, terminal) => program.command((await import("./commands/topic.ts")).topicCommand(terminal)),
  produce: async (program, terminal) => program.command((await import("./commands/produce.ts")).produceCommand(terminal)),
  consume: async (program, terminal) => program.command((await import("./commands/consume.ts")).consumeCommand(terminal)),
  group: async (program, terminal) => program.command((await import("./commands/group.ts")).groupCommand(terminal)),
  cluster: async (program, terminal) => program.command((await import("./commands/cluster.ts")).clusterCommand(terminal)),
  partition: async (program, terminal) => program.command((await import("./commands/partition.ts")).partitionCommand(terminal)),
  recover: async (program, terminal) => program.command((await import("./commands/recover.ts")).recoverCommand(terminal)),
  check: async (program, terminal) => program.command((await import("./commands/check.ts")).checkCommand(terminal)),
  config: async (program, terminal) => program.command((await import("./commands/config.ts")).configCommand(terminal)),
  debug: async (program, terminal) => program.command((await import("./commands/debug.ts")).debugCommand(terminal)),
  completion: async (program, terminal) =>
    program.command((await import("./commands/completion.ts")).completionCommand(terminal, helpText)),
  version: async (program, terminal) => program.command((await import("./commands/version.ts")).versionCommand(terminal)),
} as const satisfies Readonly<Record<string, (program: Argv, terminal: Terminal) => Promise<Argv>>>;

type Verb = keyof typeof commands;

export const verbs = Object.keys(commands) as readonly Verb[];

/** The verbs a command line may mean: the one it names, or all when it names none. A word after `--brokers` is no verb. */
function asked(args: readonly string[]): readonly Verb[] {
  const first = args.find((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--brokers");
  const named = verbs.filter((verb) => verb === first);
  return named.length === 0 ? verbs : named;
}

/** Width help is printed in: the same everywhere. */
const HELP_COLUMNS = 100;

/** Runs one command line. @param args without node and script @returns the exit code (design §10) */
export async function runProgram(args: readonly string[], terminal: Terminal = processTerminal()): Promise<ExitCode> {
  try {
    await parse(args, terminal);
    await terminal.flush();
    return ExitCode.ok;
  } catch (thrown) {
    const error = await toldBetter(thrown, args);
    if (error instanceof ReaderGone) return ExitCode.ok;
    // What was done and shown before it failed.
    await shown(terminal);
    const { line, exitCode } = describeError(error);
    terminal.say(`millrace: ${line}`);
    // A mistake inside a file is not one of the command line.
    if (exitCode === ExitCode.usage && (error instanceof UsageError || !(error instanceof CommandFailed)))
      terminal.say("See `millrace --help`, or --help after a command.");
    return exitCode;
  }
}

/** A mistake on the command line, with the word that is wrong. */
async function toldBetter(thrown: unknown, args: readonly string[]): Promise<unknown> {
  if (thrown instanceof Misread) return explained(thrown.message, args, helpText);
  return thrown instanceof UsageError ? refusedValue(thrown, args, helpText) : thrown;
}

/** Shows what waits to be shown, if it can be: what the command failed of is what must be said, which may be this. */
async function shown(terminal: Terminal): Promise<void> {
  try {
    await terminal.flush();
  } catch (error) {
    if (!(error instanceof ReaderGone || error instanceof CommandFailed)) throw error;
  }
}

/** Help that was made: the same words always have the same, and laying it out is slow. */
const helpMade = new Map<string, string>();

/** What `--help` prints after some words of a command. */
async function helpText(words: readonly string[]): Promise<string> {
  const made = helpMade.get(words.join(" "));
  if (made !== undefined) return made;
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
  helpMade.set(words.join(" "), text);
  return text;
}

async function parse(args: readonly string[], terminal: Terminal): Promise<void> {
  let help = "";
  const program = yargs()
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
    .group(["brokers", "help"], "Everywhere:");
  const words = args[0] === "--version" ? ["version"] : [...args];
  for (const verb of asked(words)) await commands[verb](program, terminal);
  await program
    .check((given, options) => saidOnce(given, options) && allRead(args, options))
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
      if (error !== undefined && error.name !== "YError") throw error;
      throw new Misread(error?.message ?? message);
    })
    .parse(words, {}, (_error, _argv, output) => {
      help = output;
    });
  if (help !== "") await terminal.data(`${help}\n`);
}

/** @throws {UsageError} */
function allRead(args: readonly string[], options: unknown): true {
  const flags: unknown = typeof options === "object" && options !== null ? Reflect.get(options, "boolean") : undefined;
  const dropped = droppedWord(args, Array.isArray(flags) ? flags : []);
  if (dropped !== undefined) throw new UsageError(dropped);
  return true;
}

/** yargs makes a list of what is said twice, for which no option but those of lists is meant. @throws {UsageError} */
function saidOnce(given: Readonly<Record<string, unknown>>, options: unknown): true {
  const lists = typeof options === "object" && options !== null ? Reflect.get(options, "array") : undefined;
  for (const [key, value] of Object.entries(given))
    if (key !== "_" && key.length > 1 && Array.isArray(value) && !(Array.isArray(lists) && lists.includes(key)))
      throw new UsageError(`--${key} is given twice: say it once`);
  return true;
}
