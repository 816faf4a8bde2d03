import { counted } from "../../base/plural.ts";
import { type Client, connect, MillraceError } from "../../client-entry.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";
import type { DevFolder } from "./dev-folder.ts";
import { type DevBroker, type DevLayout, devBrokers } from "./layout.ts";
import { logTail } from "./spawn-broker.ts";

/** One broker may take so long to say how it is. */
const LOOK_MS = 3_000;
const LOOK_EVERY_MS = 100;
/** So often it is said what is still missing: a large log takes its time to be read, so the wait itself has no end. */
const SAY_EVERY_MS = 3_000;

/**
 * Resolves once every broker itself says that all of them are live and all is well, and prints the ready line; until then says on
 * stderr every few seconds which broker is not ready, and why.
 *
 * @throws {CommandFailed} when a broker dies meanwhile, with the end of its log
 */
export async function becomeReady(
  folder: DevFolder,
  layout: DevLayout,
  terminal: Pick<Terminal, "data" | "flush" | "say">,
  stopping: () => boolean,
): Promise<void> {
  const brokers = devBrokers(layout);
  const clients = brokers.map((broker) => ({ broker, client: connect({ brokers: [broker.address] }) }));
  let saidAt = performance.now();
  try {
    while (!stopping()) {
      for (const broker of brokers) refuseDead(folder, broker);
      const missing = (await Promise.all(clients.map(({ broker, client }) => notReady(broker, client, layout.brokers)))).flat();
      if (missing.length === 0) {
        await terminal.data(`millrace ready ${brokers.map((broker) => broker.address).join(",")}\n`);
        await terminal.flush();
        return;
      }
      if (performance.now() - saidAt >= SAY_EVERY_MS && !stopping()) {
        saidAt = performance.now();
        terminal.say(`waiting: ${missing.join("; ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  } finally {
    await Promise.all(clients.map(({ client }) => client.close({ timeoutMs: 1_000 })));
  }
}

function refuseDead(folder: DevFolder, broker: DevBroker): void {
  if (folder.pidOf(broker) !== undefined) return;
  throw new CommandFailed(ExitCode.failure, `broker ${broker.id} died while starting; the end of ${broker.logFile}:\n${logTail(broker)}`);
}

/** Why this broker is not ready, in its own words; nothing when it is. */
async function notReady(broker: DevBroker, client: Client, brokers: number): Promise<string[]> {
  try {
    const health = await client.admin().clusterHealth({ timeoutMs: LOOK_MS });
    if (!health.healthy) return [`broker ${broker.id} says: ${health.reasons.map((reason) => reason.text).join(", ") || "not healthy"}`];
    if (health.brokersLive === brokers) return [];
    return [`broker ${broker.id} sees ${health.brokersLive} of ${counted(brokers, "broker")}`];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return [`broker ${broker.id} is not ready: ${error.message} (its log: ${broker.logFile})`];
  }
}
