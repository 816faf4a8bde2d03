import { createServer, type Server as NetServer, type Socket } from "node:net";
import { type ConnectionInjector, logVerbosity, type Server, ServerCredentials, setLogVerbosity } from "@grpc/grpc-js";
import type { HealthImplementation } from "grpc-health-check";
import { formatAddress, parseAddress } from "../base/address.ts";
import { MillraceError } from "../base/errors.ts";
import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import { ListenError } from "../base/ports/listen-error.ts";
import type { RpcMethod, RpcServer } from "../base/ports/rpc-server.ts";
import { silentTelemetry, type Telemetry } from "../base/ports/telemetry.ts";
import { defaultRpcServerLimits, type RpcServerLimits } from "../base/rpc-limits.ts";
import { publicMethods } from "../protocol/methods.ts";
import type { CallLength } from "./call-places.ts";
import type { RequestKind } from "./held-requests.ts";
import { assertWindows, raiseWindows } from "./http2-windows.ts";
import { OpenStreams } from "./open-streams.ts";
import { ServerCalls } from "./server-calls.ts";
import { HEALTH_CHECK, HEALTH_WATCH, StandardServer } from "./standard-server.ts";
import { addHealth, addReflection } from "./standard-services.ts";
import { asBuffer, identity } from "./status.ts";

/** Streams of requests that are not ours to register. */
const reflectionStreams = ["v1", "v1alpha"].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);

export interface RpcServerOptions {
  readonly clock: Clock;
  readonly telemetry?: Telemetry;
  readonly limits?: Partial<RpcServerLimits>;
  /** Default on. */
  readonly reflection?: boolean;
}

export interface GrpcRpcServer extends RpcServer {
  /** Calls whose stream still exists. */
  readonly openCalls: number;
  /** Sockets of clients that are open. */
  readonly connections: number;
}

/** The public API on grpc-js. Nothing outside `src/grpc` knows the engine. */
export function createRpcServer(options: RpcServerOptions): GrpcRpcServer {
  // Its own log is console.error, a line per odd header: callers would write the broker's stderr.
  setLogVerbosity(logVerbosity.NONE);
  return new GrpcServer(options);
}

class GrpcServer implements GrpcRpcServer {
  readonly #limits: RpcServerLimits;
  readonly #server: Server;
  readonly #calls: ServerCalls;
  readonly #health: HealthImplementation;
  readonly #registered = new Set<string>();
  readonly #serving = new Set<string>();
  /** Methods that take a stream of requests, which may stay open for ever. */
  readonly #streaming = new Map<string, RequestKind>(reflectionStreams.map((path) => [path, "other stream"]));
  readonly #lengths = new Map<string, CallLength>([
    [HEALTH_CHECK, "probe"],
    [HEALTH_WATCH, "long"],
  ]);
  readonly #sockets = new Set<Socket>();
  #listener: NetServer | undefined;
  #closing = false;

  constructor(options: RpcServerOptions) {
    this.#limits = { ...defaultRpcServerLimits, ...options.limits };
    this.#server = new StandardServer(grpcOptions(this.#limits), (service) => service === "" || this.#serving.has(service));
    const streams = new OpenStreams();
    raiseWindows(this.#server, {
      maxConcurrentStreams: this.#limits.streamsPerConnectionMax,
      maxHeaderBytes: this.#limits.headerBytesMax,
      maxHeaderPairs: this.#limits.headerPairsMax,
      callsMax: this.#limits.callsMax,
      callLength: (path) => this.#lengths.get(path) ?? "short",
      prefaceTimeoutMs: this.#limits.prefaceTimeoutMs,
      requestTimeoutMs: this.#limits.requestTimeoutMs,
      requestPendingBytesMax: this.#limits.requestPendingBytesMax,
      requestBytesMax: this.#limits.requestBytesMax,
      lingerMs: this.#limits.lingerMs,
      requestKind: (path) => this.#streaming.get(path) ?? "call",
      streams,
    });
    this.#calls = new ServerCalls(options.clock, options.telemetry ?? silentTelemetry, streams, this.#limits.answerTimeoutMs);
    this.#health = addHealth(this.#server);
    if (options.reflection ?? true) addReflection(this.#server);
  }

  get openCalls(): number {
    return this.#calls.open;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get unsentBytes(): number {
    return this.#calls.unsentBytes;
  }

  register(path: string, method: RpcMethod): void {
    invariant(this.#listener === undefined, () => `methods are registered before listen: ${path}`);
    invariant(!this.#registered.has(path), () => `a method is registered once: ${path}`);
    this.#registered.add(path);
    if (method.kind === "bidi") this.#streaming.set(path, "stream");
    if (method.kind !== "unary" || method.waits === true) this.#lengths.set(path, "long");
    if (method.kind === "unary") this.#server.register(path, this.#calls.unary(path, method.handle), asBuffer, identity, "unary");
    else if (method.kind === "server-stream") {
      this.#server.register(path, this.#calls.serverStream(path, method.handle), asBuffer, identity, "serverStream");
    } else this.#server.register(path, this.#calls.bidi(path, method.handle), asBuffer, identity, "bidi");
  }

  setServing(service: string, serving: boolean): void {
    this.#serving.add(service);
    this.#health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
  }

  async listen(address: string): Promise<string> {
    const place = parseAddress(address);
    if (place === undefined) throw new ListenError("EINVAL", address);
    this.#registerMissing();
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    await assertWindows(injector);
    const listener = createServer({ noDelay: true }, (socket) => this.#accept(socket, injector));
    listener.maxConnections = this.#limits.connectionsMax;
    const port = await bind(listener, place.host, place.port, address);
    this.#listener = listener;
    return formatAddress({ host: place.host, port });
  }

  async close(graceMs: number): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    for (const service of ["", ...this.#serving]) this.#health.setStatus(service, "NOT_SERVING");
    const unbound = new Promise<void>((resolve) => {
      if (this.#listener === undefined) resolve();
      else this.#listener.close(() => resolve());
    });
    await this.#drain(graceMs);
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await unbound;
  }

  /**
   * GOAWAY on every connection; done when the last open call is, or after `graceMs`. grpc-js's own word is not enough: since Node 24 the
   * HTTP/2 server closes its sessions itself, which `tryShutdown` takes for "all calls are over".
   */
  #drain(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#server.tryShutdown(() => {
        void this.#calls.idle().then(() => {
          clearTimeout(timer);
          // The last reply has still to leave its socket.
          setImmediate(() => setImmediate(resolve));
        });
      });
    });
  }

  #accept(socket: Socket, injector: ConnectionInjector): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    injector.injectConnection(socket);
  }

  /** Calls that are part of the design but not of this version are refused by name (design §8). */
  #registerMissing(): void {
    for (const { path, kind } of publicMethods) {
      if (this.#registered.has(path)) continue;
      const missing = new MillraceError("NOT_IMPLEMENTED", `Cannot call ${path}: this version does not have it yet`, { method: path });
      if (kind === "unary") this.register(path, { kind, handle: () => Promise.reject(missing) });
      else this.register(path, { kind, handle: (stream) => stream.end(missing) });
    }
  }
}

function bind(listener: NetServer, host: string, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(error.code ?? "UNKNOWN", address)));
    listener.listen({ host, port }, () => {
      listener.removeAllListeners("error");
      // Errors of accept(2), such as EMFILE: that connection is not made, the listener goes on.
      listener.on("error", () => {});
      const bound = listener.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}

function grpcOptions(limits: RpcServerLimits): Record<string, number> {
  return {
    "grpc.max_receive_message_length": limits.requestBytesMax,
    // What we send is bounded by what the caller asked for.
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": limits.streamsPerConnectionMax,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc-node.max_session_memory": limits.sessionMiBMax,
    "grpc.enable_channelz": 0,
  };
}
