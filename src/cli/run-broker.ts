import type { ProcessConfig } from "../config/load.ts";
import { CommandFailed, ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one broker on the real ports until it is told to stop. */
export async function runBroker(config: ProcessConfig, _terminal: Terminal): Promise<void> {
  throw new CommandFailed(ExitCode.failure, `broker ${config.broker.brokerId}: this build has no broker yet`);
}
