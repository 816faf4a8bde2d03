import type { Argv, CommandModule } from "yargs";
import { loadConfig } from "../../config/load.ts";
import { type BrokerFlags, brokerOptions, brokerSources } from "../broker-flags.ts";
import type { Terminal } from "../terminal.ts";

export function brokerCommand(terminal: Terminal): CommandModule<object, BrokerFlags> {
  return {
    command: "broker",
    describe: "Run one broker",
    builder: (yargs) =>
      brokerOptions(yargs)
        .example("$0 broker --id 1 --data /var/lib/millrace --seeds 1@127.0.0.1:7401", "")
        .epilogue(
          "Every setting can be given as --set KEY=VALUE, as MILLRACE_KEY in the environment, or as `key: value` in --config; flags win over the environment, the environment over the file. docs/configuration.md lists them, `millrace config print` shows those a broker would run with.",
        ) as Argv<BrokerFlags>,
    handler: async (flags) => {
      const config = loadConfig(brokerSources(flags));
      // Loaded only here, so that the other verbs do not load the broker.
      const { runBroker } = await import("../run-broker.ts");
      await runBroker(config, terminal);
    },
  };
}
