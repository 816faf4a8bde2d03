import { MillraceError } from "../../src/base/errors.ts";
import type { Timer } from "../../src/base/ports/clock.ts";
import type { StreamHandler } from "../../src/base/ports/rpc-server.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { LogService, publicMethods } from "../../src/protocol/methods.ts";
import { FakeCluster, type ServerSide, type Wire } from "../client/fake/cluster.ts";
import { SeededRandom, type Surroundings } from "../client/fake/world.ts";

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

/** One broker behind a real gRPC server, with the fake's strict rules: what the command line is tested against. */
export async function startFakeBroker(): Promise<{ address: string; cluster: FakeCluster; server: GrpcRpcServer }> {
  const clock = nodeClock({ keepAlive: false });
  const server = createRpcServer({ clock });
  const addresses: string[] = [];
  const cluster = new FakeCluster(new RealTime(), addresses);
  for (const { path, kind } of publicMethods) {
    if (path !== LogService.ProduceStream.path && path !== LogService.Subscribe.path) {
      if (kind === "unary") server.register(path, { kind, handle: async (request) => cluster.answer(path, request) });
      continue;
    }
    const handle: StreamHandler = (stream) => {
      const wire: Wire = {
        address: addresses[0] as string,
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
  addresses.push(await server.listen("127.0.0.1:0"));
  return { address: addresses[0] as string, cluster, server };
}
