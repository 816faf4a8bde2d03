import type { Argv, CommandModule } from "yargs";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { alteredText, type ChangeFlags, changeOf, changeOptions, sourceName, topicSettings } from "./altered.ts";

interface Config extends ChangeFlags {
  readonly brokers?: string | undefined;
}

export function configCommand(terminal: Terminal): CommandModule<object, Config> {
  return {
    command: "config",
    describe: "Show or change what topics get when they have no setting of their own",
    builder: (yargs) =>
      changeOptions(yargs)
        .example("$0 cluster config", "")
        .example("$0 cluster config --set retention.ms=86400000", "")
        .epilogue(
          `Takes effect at once, on every topic that does not say otherwise. What each broker is started with is\nshown by \`millrace config print\`.\n\n${topicSettings}`,
        ) as Argv<Config>,
    handler: async (args) => {
      const { change, named } = changeOf(args);
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
