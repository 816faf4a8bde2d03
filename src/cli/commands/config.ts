import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { ConfigError, type ConfigProblem } from "../../config/config-error.ts";
import { listenWarnings } from "../../config/conflicts.ts";
import { type EffectiveSetting, explainConfig } from "../../config/describe.ts";
import { checkConfig } from "../../config/load.ts";
import { type BrokerFlags, brokerOptions, brokerSources, readConfigFile } from "../broker-flags.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { formatOption } from "../flags.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export function configCommand(terminal: Terminal): CommandModule {
  return {
    command: "config",
    describe: "Show the settings a broker would run with, and check a file of settings",
    builder: (yargs: Argv) =>
      yargs.command(printCommand(terminal)).command(lintCommand(terminal)).demandCommand(1, "Say what to do: print or lint"),
    handler: () => undefined,
  };
}

interface Print extends BrokerFlags {
  readonly changed: boolean;
  readonly format: "text" | "json";
}

function printCommand(terminal: Terminal): CommandModule<object, Print> {
  return {
    command: "print",
    describe: "Show every setting: value, default, where the value comes from, what it is for",
    builder: (yargs) =>
      brokerOptions(yargs)
        .option("changed", { type: "boolean", default: false, describe: "Only those that were given" })
        .option("format", formatOption)
        .example("$0 config print --config broker.yaml --changed", "")
        .epilogue(
          "Takes what `millrace broker` takes, and reads the same environment. Nothing is started, and required settings may be missing.",
        ) as Argv<Print>,
    handler: async (args) => {
      const { values, problems } = checkConfig(brokerSources(args), false);
      if (problems.length > 0) throw new ConfigError(problems);
      const rows = explainConfig(values).filter(({ source }) => !args.changed || (source !== "default" && source !== "missing"));
      if (args.format === "json") for (const row of rows) await terminal.data(`${JSON.stringify(settingJson(row))}\n`);
      else await terminal.data(settingsText(rows));
    },
  };
}

/** Sizes and times stand as they may be written, so that a value can be given back as it is. */
function settingJson(row: EffectiveSetting) {
  const { key, value = null, default: usual = null, source, doc, range, scope, required, reloadable, environment } = row;
  return { key, value, default: usual, source, doc, range, scope, required, reloadable, environment };
}

function settingsText(rows: readonly EffectiveSetting[]): string {
  return table(
    ["SETTING", "VALUE", "DEFAULT", "SOURCE", "MEANING"],
    rows.map((row) => [row.key, row.value ?? "-", row.default ?? "-", row.source, row.doc]),
  );
}

interface Lint {
  readonly file: string;
  readonly format: "text" | "json";
}

function lintCommand(terminal: Terminal): CommandModule<object, Lint> {
  return {
    command: "lint <file>",
    describe: "Name every mistake in a file of settings; exit 2 when there is one",
    builder: (yargs) =>
      yargs
        .positional("file", { type: "string", demandOption: true, describe: "YAML file, as `millrace broker --config` takes it" })
        .option("format", formatOption)
        .hide("brokers")
        .epilogue(
          "Only the file is looked at, not flags nor environment: settings it leaves out are no mistake, even required ones.",
        ) as Argv<Lint>,
    handler: async ({ file, format }) => {
      const text = readConfigFile("file", file);
      const { problems, given, warnings } = lint({ name: file, text });
      for (const warning of warnings) terminal.say(`warning: ${warning}`);
      if (format === "json") for (const problem of problems) await terminal.data(`${JSON.stringify(problem)}\n`);
      if (problems.length > 0) {
        await terminal.flush();
        const lines = format === "json" ? [] : new ConfigError(problems).message.split("\n").map((line) => `  ${line}`);
        throw new CommandFailed(ExitCode.usage, [`${file} has ${counted(problems.length, "mistake")}`, ...lines].join("\n"));
      }
      if (format === "text") await terminal.data(`${file}: ${counted(given, "setting")}, no mistakes\n`);
    },
  };
}

interface Linted {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
  /** Settings the file gives. */
  readonly given: number;
}

function lint(file: { readonly name: string; readonly text: string }): Linted {
  try {
    const { values, problems } = checkConfig({ file }, false);
    const given = explainConfig(values).filter(({ source }) => source.startsWith(file.name)).length;
    return { problems, warnings: problems.length > 0 ? [] : listenWarnings(values), given };
  } catch (error) {
    // No YAML, or not a list of settings: there is nothing further to look at.
    if (error instanceof ConfigError) return { problems: error.problems, warnings: [], given: 0 };
    throw error;
  }
}
