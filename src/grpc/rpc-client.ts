import { Client, connectivityState, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { formatAddress, parseAddress } from "../base/address.ts";
import { MillraceError } from "../base/errors.ts";
import { type CallOptions, type ClientStream, type RpcChannel, type RpcClient, RpcFailure } from "../base/ports/rpc-client.ts";
import { GrpcClientStream } from "./client-stream.ts";
import { asBuffer, failureOf, identity } from "./status.ts";

const MiB = 1024 * 1024;

export interface RpcClientOptions {
  /** One reply message. Default 64 MiB. */
  readonly replyBytesMax?: number;
  /** Bytes a server may have under way, per stream and connection. Default 8 MiB. */
  readonly windowBytes?: number;
  /**
   * A call that has no connection after so many milliseconds is given up as never sent. grpc-js would keep it until its deadline, and a stream
   * has none: an address behind which packets are dropped, or that accepts and never speaks, would hold it for minutes. Default 2,000.
   */
  readonly connectTimeoutMs?: number;
}

/** Calls brokers through grpc-js. Each channel is one connection of its own. */
export function createRpcClient(options: RpcClientOptions = {}): RpcClient {
  return { channel: (address) => new GrpcChannel(address, options) };
}

class GrpcChannel implements RpcChannel {
  readonly address: string;
  readonly #client: Client;
  /** Ends the calls that are open. */
  readonly #open = new Set<() => void>();
  #closed = false;
  /** How often it got a connection. */
  #connected = 0;
  readonly #connectTimeoutMs: number;

  constructor(address: string, options: RpcClientOptions) {
    const place = parseAddress(address);
    if (place === undefined)
      throw new MillraceError("INVALID_REQUEST", `Cannot use "${address}" as an address: give host:port`, { field: "address" });
    this.address = address;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 2_000;
    this.#client = new Client(`dns:${formatAddress(place)}`, credentials.createInsecure(), channelOptions(options));
    this.#watch();
  }

  #watch(): void {
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state === connectivityState.READY) this.#connected++;
    if (state !== connectivityState.SHUTDOWN) this.#client.getChannel().watchConnectivityState(state, Infinity, () => this.#watch());
  }

  /** Runs `giveUp` when no connection came for too long: the call that begins now has certainly not left. @returns forgets it */
  #unlessConnected(giveUp: (failure: RpcFailure) => void): () => void {
    if (this.#client.getChannel().getConnectivityState(false) === connectivityState.READY) return () => {};
    const before = this.#connected;
    const timer = setTimeout(() => {
      if (this.#connected === before)
        giveUp(new RpcFailure("UNAVAILABLE", `No connection to ${this.address} within ${this.#connectTimeoutMs} ms`, true));
    }, this.#connectTimeoutMs);
    timer.unref();
    return () => clearTimeout(timer);
  }

  unary(path: string, request: Uint8Array, { timeoutMs, signal }: CallOptions): Promise<Uint8Array> {
    if (this.#closed) return Promise.reject(closedFailure(this.address));
    if (signal?.aborted) return Promise.reject(new RpcFailure("CANCELLED", "The call was aborted before it was sent", true));
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply?: Buffer): void => {
        forget();
        this.#open.delete(cancel);
        signal?.removeEventListener("abort", cancel);
        if (error !== null) reject(failureOf(error));
        else resolve(reply ?? new Uint8Array(0));
      };
      const deadline = Date.now() + timeoutMs;
      const call = this.#client.makeUnaryRequest(path, asBuffer, identity, request, new Metadata(), { deadline }, done);
      const cancel = (): void => call.cancel();
      const forget = this.#unlessConnected((failure) => {
        reject(failure);
        call.cancel();
      });
      this.#open.add(cancel);
      signal?.addEventListener("abort", cancel);
    });
  }

  openStream(path: string, _kind: "server-stream" | "bidi", options?: { readonly timeoutMs?: number }): ClientStream {
    if (this.#closed) return closedStream(closedFailure(this.address));
    const deadline = options?.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
    const call = this.#client.makeBidiStreamRequest(path, asBuffer, identity, new Metadata(), deadline);
    const cancel = (): void => stream.cancel();
    const stream = new GrpcClientStream(call, () => {
      forget();
      this.#open.delete(cancel);
    });
    const forget = this.#unlessConnected((failure) => stream.fail(failure));
    this.#open.add(cancel);
    return stream;
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#open) cancel();
    this.#client.close();
  }
}

/** A stream that never was: its end is told in the next turn, when the caller has set its handlers. */
function closedStream(failure: RpcFailure): ClientStream {
  const stream: ClientStream = {
    handlers: { message() {}, drain() {}, closed() {} },
    write: () => true,
    end() {},
    pause() {},
    resume() {},
    cancel() {},
  };
  setImmediate(() => stream.handlers.closed(failure));
  return stream;
}

function closedFailure(address: string): RpcFailure {
  return new RpcFailure("UNAVAILABLE", `The channel to ${address} is closed`, true);
}

function channelOptions({ replyBytesMax = 64 * MiB, windowBytes = 8 * MiB }: RpcClientOptions): Record<string, number> {
  return {
    "grpc.max_receive_message_length": replyBytesMax,
    "grpc.max_send_message_length": -1,
    "grpc-node.flow_control_window": windowBytes,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    // Retries are the client's, with producer id and sequence; those of the channel would buffer whole streams.
    "grpc.enable_retries": 0,
    // Two channels to one address are two connections.
    "grpc.use_local_subchannel_pool": 1,
    // A broker that comes back is used within a moment.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_channelz": 0,
  };
}
