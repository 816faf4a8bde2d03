import { silentTelemetry } from "./base/ports/telemetry.ts";
import { Client, type ClientOptions, type ClientPorts } from "./client/index.ts";
import { GzipDeflate, GzipInflate } from "./compression/gzip.ts";
import { createRpcClient } from "./grpc/rpc-client.ts";
import { nodeCallScope } from "./host/call-scope.ts";
import { nodeClock } from "./host/clock.ts";
import { nodeRandom } from "./host/random.ts";
import { nodeSideThreads } from "./host/side-thread.ts";

/** `millrace/client`: the client with the machine's clock, randomness and gRPC. */
export * from "./client/index.ts";

export interface ConnectOptions extends ClientOptions {
  /** Replaces single ports: `telemetry` hears what the client logs and counts; tests may bring their own of each. */
  readonly ports?: Partial<ClientPorts>;
}

/**
 * A client of the cluster one of whose brokers is in `brokers`. Connects when first used.
 *
 * @throws {MillraceError} INVALID_REQUEST when an address cannot be one
 */
export function connect(options: ConnectOptions): Client {
  const ports: ClientPorts = {
    rpc: createRpcClient(),
    clock: nodeClock(),
    random: nodeRandom,
    telemetry: silentTelemetry,
    inflate: new GzipInflate(),
    deflate: new GzipDeflate(),
    scopes: nodeCallScope,
    // The thread makes connections of its own, the way this one does unless somebody replaced that.
    ...(options.ports?.rpc === undefined ? { threads: nodeSideThreads(new URL("./client-worker.js", import.meta.url)) } : {}),
    ...options.ports,
  };
  const { ports: _, ...rest } = options;
  return new Client(rest, ports);
}
