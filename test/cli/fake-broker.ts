import { MillraceError } from "../../src/base/errors.ts";
import type { Timer } from "../../src/base/ports/clock.ts";
import type { StreamHandler } from "../../src/base/ports/rpc-server.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { LogService, publicMethods } from "../../src/protocol/methods.ts";
import type { ServerSide, Wire } from "../client/fake/cluster.ts";
import { SeededRandom, type Surroundings } from "../client/fake/world.ts";
import { CliCluster } from "./cli-cluster.ts";

class RealTime implements Surroundings {
  readonly random = new SeededRandom(1);
  readonly #clock = nodeClock({ keepAlive: false });
  get now(): number {
    return this.#clock.monotonic();
  }
  wall(): number {
    return this.#clock.wall();
  }
  after(delayMs: number, fire: () => void): Timer {
    return this.#clock.after(delayMs, fire);
  }
}

export interface FakeBrokers {
  readonly addresses: readonly string[];
  readonly cluster: CliCluster;
  readonly servers: readonly GrpcRpcServer[];
}

/** Brokers behind real gRPC servers, with the fake's strict rules: what the command line is tested against. */
export async function startFakeBrokers(brokers: number): Promise<FakeBrokers> {
  const addresses: string[] = [];
  const cluster = new CliCluster(new RealTime(), addresses);
  const servers = Array.from({ length: brokers }, (_, i) => serve(cluster, () => addresses[i] as string));
  for (const server of servers) addresses.push(await server.listen("127.0.0.1:0"));
  return { addresses, cluster, servers };
}

/** A broker again where one was closed, with the same records. */
export async function startAgain(cluster: CliCluster, address: string): Promise<GrpcRpcServer> {
  const server = serve(cluster, () => address);
  await server.listen(address);
  return server;
}

/** One of them. */
export async function startFakeBroker(): Promise<{ address: string; cluster: CliCluster; server: GrpcRpcServer }> {
  const { addresses, cluster, servers } = await startFakeBrokers(1);
  return { address: addresses[0] as string, cluster, server: servers[0] as GrpcRpcServer };
}

function serve(cluster: CliCluster, address: () => string): GrpcRpcServer {
  const server = createRpcServer({ clock: nodeClock({ keepAlive: false }) });
  for (const { path, kind } of publicMethods) {
    if (path !== LogService.ProduceStream.path && path !== LogService.Subscribe.path) {
      if (kind === "unary") server.register(path, { kind, handle: async (request) => cluster.answerAt(address(), path, request) });
      continue;
    }
    const handle: StreamHandler = (stream) => {
      const wire: Wire = {
        address: address(),
        reply: (message) => void stream.write(message),
        endFromServer: (error) => stream.end(error instanceof MillraceError ? error : undefined),
        break: () => stream.end(),
      };
      const side: ServerSide = cluster.serve(path, wire);
      stream.handlers = { message: (bytes) => side.received(bytes.slice()), ended: () => side.halfClosed(), drain: () => undefined };
      stream.call.onCancel(() => side.gone());
    };
    server.register(path, kind === "bidi" ? { kind, handle } : { kind: "server-stream", handle });
  }
  return server;
}
