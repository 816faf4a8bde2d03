import { parseAddress } from "../base/address.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { type Client, connect } from "../client-entry.ts";
import { UsageError } from "./exit-code.ts";

export const DEFAULT_BROKERS = "127.0.0.1:7400";

/** @param given value of --brokers @throws {UsageError} */
export function parseBrokers(given: string | undefined): string[] {
  const text = given ?? process.env["MILLRACE_BROKERS"] ?? DEFAULT_BROKERS;
  const source = given === undefined && process.env["MILLRACE_BROKERS"] !== undefined ? "MILLRACE_BROKERS" : "--brokers";
  const brokers = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (brokers.length === 0) throw new UsageError(`${source} must name at least one broker: HOST:PORT,…`);
  for (const broker of brokers)
    if (parseAddress(broker) === undefined) throw new UsageError(`${source} must be HOST:PORT,…: got "${broker}"`);
  return brokers;
}

/** A person waits: shorter than the client's own default, and shorter still when nobody is there. */
export const ADMIN = { timeoutMs: 10_000, reachMs: 1_500 } as const;

/**
 * Runs `work` with a client and closes it after, whatever happens.
 *
 * @param telemetry hears what the client logs
 */
export async function withClient<T>(brokers: string | undefined, work: (client: Client) => Promise<T>, telemetry?: Telemetry): Promise<T> {
  const client = connect({ brokers: parseBrokers(brokers), ...(telemetry === undefined ? {} : { ports: { telemetry } }) });
  try {
    return await work(client);
  } finally {
    await client.close({ timeoutMs: 5_000 });
  }
}
