import type { Argv, CommandModule } from "yargs";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { formatOption, pairsFlag } from "../flags.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { alteredText, sourceName, topicSettings } from "./altered.ts";

interface Config {
  readonly brokers?: string | undefined;
  readonly format: string;
  readonly config?: string[] | undefined;
  readonly reset?: string[] | undefined;
  readonly validateOnly?: boolean | undefined;
}

export function configCommand(terminal: Terminal): CommandModule<object, Config> {
  return {
    command: "config",
    describe: "Show or change what topics get when they have no setting of their own",
    builder: (yargs) =>
      yargs
        .option("config", {
          alias: "set",
          type: "string",
          array: true,
          requiresArg: true,
          describe: "KEY=VALUE of a setting; may be given again",
        })
        .option("reset", {
          type: "string",
          array: true,
          requiresArg: true,
          describe: "KEY that goes back to its default; may be given again",
        })
        .option("validate-only", { type: "boolean", default: false, describe: "Check everything, change nothing" })
        .option("format", formatOption)
        .example("$0 cluster config", "")
        .example("$0 cluster config --set retention.ms=86400000", "")
        .epilogue(
          `Takes effect at once, on every topic that does not say otherwise. What each broker is started with is\nshown by \`millrace config print\`.\n\n${topicSettings}`,
        ) as Argv<Config>,
    handler: async (args) => {
      const change = { set: pairsFlag("--config", args.config), reset: [...new Set(args.reset)], validateOnly: args.validateOnly };
      const named = [...Object.keys(change.set), ...change.reset];
      const twice = change.reset.find((key) => Object.hasOwn(change.set, key));
      if (twice !== undefined) throw new UsageError(`${twice} is both set and reset: say one of them`);
      if (named.length === 0 && args.validateOnly) throw new UsageError("Say what to check: --config KEY=VALUE or --reset KEY");
      await withClient(args.brokers, async (client) => {
        const admin = client.admin(ADMIN);
        const before = await admin.clusterConfigs();
        if (named.length === 0) {
          const rows = before.map(({ key, value, source }) => ({ key, value, source: sourceName(source) }));
          if (args.format === "json") await terminal.data(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
          else
            await terminal.data(
              table(
                ["SETTING", "VALUE", "SOURCE"],
                rows.map((row) => [row.key, row.value, row.source]),
              ),
            );
          return;
        }
        const after = await admin.alterClusterConfigs(change);
        if (args.validateOnly) terminal.say("the cluster could be altered so; nothing was changed");
        else await terminal.data(alteredText(args.format, named, before, after));
      });
    },
  };
}
