import type { Argv, CommandModule } from "yargs";
import { loadConfig } from "../../config/load.ts";
import { UNREADABLE } from "../../log/meta.ts";
import { type BrokerFlags, brokerOptions, brokerSources } from "../broker-flags.ts";
import { UsageError } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";

interface Flags extends BrokerFlags {
  readonly newIncarnation?: string;
}

const INCARNATION = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function brokerCommand(terminal: Terminal): CommandModule<object, Flags> {
  return {
    command: "broker",
    describe: "Run one broker",
    builder: (yargs) =>
      brokerOptions(yargs)
        .option("new-incarnation", {
          type: "string",
          requiresArg: true,
          describe:
            "For a data directory restored from a copy: the incarnation its meta.json names, or `unreadable`. What it holds is set aside, and the broker joins as a new disk; any other disk is used as it is",
        })
        .check(({ newIncarnation: named }) => {
          if (typeof named === "string" && named !== UNREADABLE && !INCARNATION.test(named))
            throw new UsageError(
              `--new-incarnation ${named}: name the "incarnation" of the meta.json in the data directory, or \`${UNREADABLE}\``,
            );
          return true;
        })
        .example("$0 broker --id 1 --data /var/lib/millrace --seeds 1@127.0.0.1:7401", "")
        .epilogue(
          "Every setting can be given as --set KEY=VALUE, as MILLRACE_KEY in the environment, or as `key: value` in --config; flags win over the environment, the environment over the file. docs/configuration.md lists them, `millrace config print` shows those a broker would run with.",
        ) as Argv<Flags>,
    handler: async (flags) => {
      const config = loadConfig(brokerSources(flags));
      // Loaded only here, so that the other verbs do not load the broker.
      const { runBroker } = await import("../run-broker.ts");
      await runBroker(config, terminal, flags.newIncarnation);
    },
  };
}
