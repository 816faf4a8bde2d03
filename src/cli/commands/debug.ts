import type { Argv, CommandModule } from "yargs";
import type { Terminal } from "../terminal.ts";
import { bundleCommand } from "./debug-bundle.ts";
import { logDumpCommand } from "./debug-log-dump.ts";
import { scrubCommand } from "./debug-scrub.ts";

/** One file per verb: `debug-VERB.ts`. */
export function debugCommand(terminal: Terminal): CommandModule {
  return {
    command: "debug",
    describe: "Look inside: what to send to somebody who helps",
    builder: (yargs: Argv) =>
      yargs
        .command(bundleCommand(terminal))
        .command(logDumpCommand(terminal))
        .command(scrubCommand(terminal))
        .demandCommand(1, "Say what to do: bundle, log-dump, scrub"),
    handler: () => undefined,
  };
}
