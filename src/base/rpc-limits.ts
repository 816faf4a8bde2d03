import { limits } from "./limits.ts";

const MiB = 1024 * 1024;

/** Every limit of the HTTP/2 and gRPC layers, with its default. */
export interface RpcServerLimits {
  /** One request message. */
  readonly requestBytesMax: number;
  /** Connections at the same time; further ones are closed at once. */
  readonly connectionsMax: number;
  /** Calls at the same time per connection. */
  readonly streamsPerConnectionMax: number;
  /** Calls at the same time over all connections. */
  readonly callsMax: number;
  /** Headers of one call. */
  readonly headerBytesMax: number;
  readonly headerPairsMax: number;
  /** Memory of one HTTP/2 session, MiB: new calls are refused above it. */
  readonly sessionMiBMax: number;
  /** Time a new connection has to begin to speak HTTP/2. */
  readonly prefaceTimeoutMs: number;
  /** Time a caller has to send all of its request; not of methods that take a stream of requests. */
  readonly requestTimeoutMs: number;
  /** Time a caller has to take an answer that is complete. */
  readonly answerTimeoutMs: number;
  /** Bytes of requests that are held, half or whole, over all connections; the call that brings more is refused. */
  readonly requestPendingBytesMax: number;
  /** Time a caller has to stop sending once it was answered. */
  readonly lingerMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const defaultRpcServerLimits: RpcServerLimits = {
  requestBytesMax: limits["request.max.bytes"].value,
  connectionsMax: 4096,
  streamsPerConnectionMax: 1000,
  callsMax: 65_536,
  headerBytesMax: limits["request.headers.max.bytes"].value,
  headerPairsMax: limits["request.headers.max"].value,
  sessionMiBMax: limits["connection.memory.max.bytes"].value / MiB,
  prefaceTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  answerTimeoutMs: 60_000,
  requestPendingBytesMax: 512 * MiB,
  lingerMs: limits["client.linger.ms"].value,
  keepaliveTimeMs: limits["client.keepalive.ms"].value,
  keepaliveTimeoutMs: limits["client.keepalive.timeout.ms"].value,
};
