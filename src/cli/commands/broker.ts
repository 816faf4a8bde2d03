import type { Argv, CommandModule } from "yargs";
import { loadConfig } from "../../config/load.ts";
import { type BrokerFlags, brokerOptions, brokerSources } from "../broker-flags.ts";
import type { Terminal } from "../terminal.ts";

interface Flags extends BrokerFlags {
  readonly newIncarnation?: boolean;
}

export function brokerCommand(terminal: Terminal): CommandModule<object, Flags> {
  return {
    command: "broker",
    describe: "Run one broker",
    builder: (yargs) =>
      brokerOptions(yargs)
        .option("new-incarnation", {
          type: "boolean",
          describe: "Once, for a data directory restored from a copy: set what it holds aside and join as a new disk",
        })
        .example("$0 broker --id 1 --data /var/lib/millrace --seeds 1@127.0.0.1:7401", "")
        .epilogue(
          "Every setting can be given as --set KEY=VALUE, as MILLRACE_KEY in the environment, or as `key: value` in --config; flags win over the environment, the environment over the file. docs/configuration.md lists them, `millrace config print` shows those a broker would run with.",
        ) as Argv<Flags>,
    handler: async (flags) => {
      const config = loadConfig(brokerSources(flags));
      // Loaded only here, so that the other verbs do not load the broker.
      const { runBroker } = await import("../run-broker.ts");
      await runBroker(config, terminal, flags.newIncarnation === true);
    },
  };
}
