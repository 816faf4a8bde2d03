import type { CommandModule } from "yargs";
import type { Terminal } from "../terminal.ts";
import { packageVersion } from "../version.ts";

export function versionCommand(terminal: Terminal): CommandModule {
  return {
    command: "version",
    describe: "Print the version of Millrace and of Node; so does --version",
    handler: async () => {
      await terminal.data(`millrace ${packageVersion()} (Node ${process.versions.node})\n`);
    },
  };
}
