import { once } from "node:events";
import { type ClientHttp2Session, connect, type Http2Server, type Settings } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import type { ConnectionInjector, Server } from "@grpc/grpc-js";
import { invariant } from "../base/invariant.ts";
import { type GuardLimits, guardHttp2Server } from "./http2-guard.ts";

/** Bytes a caller may have under way on a connection. HTTP/2 itself starts with 64 KiB: one round trip per 64 KiB. */
export const CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024;
/**
 * The same on one stream. It is also what a stream may bring while nobody reads it (HTTP/2 has no way to take a window back), so 64 paused
 * streams keep half of `request.pending.max.bytes` by default. The largest request fits it, and the default of `stream.credit.bytes`: with less
 * a caller who keeps to its credit would wait.
 */
export const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;

/** What the HTTP/2 layer of a server is told beyond grpc-js's own options. */
export interface Http2Limits extends GuardLimits {
  readonly maxConcurrentStreams: number;
}

/** HTTP/2 resets a call that has so many times the headers a call may have; one that has fewer is told which limit it is over. */
const HEADERS_TAKEN = 2;

/**
 * Raises the receive windows of a grpc-js server, which has no option for it (`grpc-node.flow_control_window` is the client's;
 * https://github.com/grpc/grpc-node/pull/3058), and puts the guard around its HTTP/2 server. The only file that touches private
 * members of grpc-js: `commonServerOptions` and `createHttp2Server`. Call it before the server listens; `assertWindows` proves it.
 */
export function raiseWindows(server: Server, limits: Http2Limits): void {
  const options: unknown = Reflect.get(server, "commonServerOptions");
  invariant(typeof options === "object" && options !== null, "grpc-js changed: no commonServerOptions");
  const settings: Settings = {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxConcurrentStreams: limits.maxConcurrentStreams,
    maxHeaderListSize: HEADERS_TAKEN * limits.maxHeaderBytes,
    enablePush: false,
  };
  Object.assign(options, { settings, maxHeaderListPairs: HEADERS_TAKEN * limits.maxHeaderPairs });

  const create: unknown = Reflect.get(server, "createHttp2Server");
  invariant(typeof create === "function", "grpc-js changed: no createHttp2Server");
  const createRaised = (...args: unknown[]): Http2Server => {
    const http2Server: Http2Server = Reflect.apply(create, server, args);
    http2Server.on("session", (session) => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    guardHttp2Server(http2Server, limits);
    return http2Server;
  };
  Reflect.set(server, "createHttp2Server", createRaised);
}

/**
 * Connects to the server inside the process and looks at the windows it grants.
 * @throws {InvariantViolated} when they are not the raised ones (an update of grpc-js or Node undid the patch)
 */
export async function assertWindows(injector: ConnectionInjector): Promise<void> {
  const [near, far]: [Duplex, Duplex] = duplexPair();
  injector.injectConnection(far);
  const session = connect("http://127.0.0.1", { createConnection: () => near });
  try {
    await once(session, "remoteSettings");
    // The answer to a ping comes after the WINDOW_UPDATE of the connection.
    await ping(session);
    const stream = session.remoteSettings.initialWindowSize;
    const connection = session.state.remoteWindowSize;
    invariant(stream === STREAM_WINDOW_BYTES, () => `the server grants streams ${stream} bytes, not ${STREAM_WINDOW_BYTES}`);
    const granted = CONNECTION_WINDOW_BYTES;
    invariant(connection === granted, () => `the server grants connections ${connection} bytes, not ${granted}`);
  } finally {
    session.destroy();
    far.destroy();
  }
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)));
  });
}
