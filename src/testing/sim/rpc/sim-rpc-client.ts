import { invariant } from "../../../base/invariant.ts";
import { type CallOptions, type ClientStream, type RpcChannel, type RpcClient, RpcFailure } from "../../../base/ports/rpc-client.ts";
import type { Endpoint } from "../network/endpoint.ts";
import type { SimNetwork } from "../network/network.ts";
import type { SimProcess } from "../process.ts";
import { ClientCall } from "./client-call.ts";
import { type CallError, type CallKind, frameBytes, type RpcFrame } from "./frames.ts";

const CONNECT_TIMEOUT_MS = 20_000;
/** After a failed connect, calls fail at once for so long (grpc-js: `initial_reconnect_backoff_ms`). */
const BACKOFF_MS = 100;

/** The `RpcClient` port of one process on one host. */
export class SimRpcClient implements RpcClient {
  readonly #network: SimNetwork;
  readonly #process: SimProcess;
  readonly #host: string;

  constructor(network: SimNetwork, process: SimProcess, host: string) {
    this.#network = network;
    this.#process = process;
    this.#host = host;
  }

  channel(address: string): RpcChannel {
    return new SimChannel(this.#network, this.#process, this.#host, address);
  }
}

type Connecting =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly attempt: { cancel(): void } }
  | { readonly kind: "connected"; readonly endpoint: Endpoint }
  | { readonly kind: "backoff"; readonly until: number }
  | { readonly kind: "closed" };

class SimChannel implements RpcChannel {
  readonly address: string;
  readonly #network: SimNetwork;
  readonly #process: SimProcess;
  readonly #host: string;
  #state: Connecting = { kind: "idle" };
  readonly #calls = new Map<number, ClientCall>();
  /** Frames of calls made before there was a connection. */
  #waiting: RpcFrame[] = [];
  #nextId = 1;

  constructor(network: SimNetwork, process: SimProcess, host: string, address: string) {
    this.#network = network;
    this.#process = process;
    this.#host = host;
    this.address = address;
  }

  unary(path: string, request: Uint8Array, { timeoutMs, signal }: CallOptions): Promise<Uint8Array> {
    return this.#process.promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new RpcFailure("CANCELLED", "The call was aborted before it was sent", true));
        return;
      }
      let reply: Uint8Array | undefined;
      const call = this.#open(path, "unary", timeoutMs);
      const abort = () => call.cancel();
      signal?.addEventListener("abort", abort);
      call.handlers = {
        message: (body) => {
          reply = body;
        },
        drain() {},
        closed: (error) => {
          signal?.removeEventListener("abort", abort);
          if (error !== undefined) reject(error);
          else if (reply === undefined) reject(new RpcFailure("INTERNAL", "The call ended without a reply", false));
          else resolve(reply);
        },
      };
      call.write(request);
      call.end();
    });
  }

  openStream(path: string, kind: "server-stream" | "bidi", options?: { readonly timeoutMs?: number }): ClientStream {
    return this.#open(path, kind, options?.timeoutMs);
  }

  close(): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    for (const call of [...this.#calls.values()]) call.cancel();
    this.#state = { kind: "closed" };
    if (state.kind === "connecting") state.attempt.cancel();
    if (state.kind === "connected") state.endpoint.close("channel closed");
  }

  #open(path: string, kind: CallKind, timeoutMs: number | undefined): ClientCall {
    const id = this.#nextId++;
    const call = new ClientCall(
      this.#process,
      id,
      path,
      timeoutMs,
      (frame) => this.#send(frame),
      () => this.#calls.delete(id),
    );
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#process.soon(`refuses ${path}`, () => call.over(refusal));
      return call;
    }
    this.#calls.set(id, call);
    this.#send({ kind: "call", id, path, call: kind, timeoutMs });
    return call;
  }

  /** Why a call cannot even be tried now. */
  #refusal(): RpcFailure | undefined {
    if (this.#state.kind === "closed") return new RpcFailure("UNAVAILABLE", `The channel to ${this.address} is closed`, true);
    if (this.#state.kind === "backoff" && this.#process.scheduler.now < this.#state.until) return this.#noConnection();
    return undefined;
  }

  #noConnection(): RpcFailure {
    return new RpcFailure("UNAVAILABLE", `No connection established to ${this.address}`, true);
  }

  #send(frame: RpcFrame): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    if (state.kind === "connected") {
      state.endpoint.send({ type: "rpc", frame, bytes: frameBytes(frame) });
      return;
    }
    // Whatever else a call had to say is lost with its connection.
    if (state.kind !== "connecting" && frame.kind !== "call") return;
    this.#waiting.push(frame);
    if (state.kind !== "connecting") this.#connect();
  }

  #connect(): void {
    const attempt = this.#network.dial(
      this.#process,
      this.#host,
      this.address,
      CONNECT_TIMEOUT_MS,
      (endpoint) => this.#connected(endpoint),
      () => {
        this.#waiting = [];
        this.#state = { kind: "backoff", until: this.#process.scheduler.now + BACKOFF_MS };
        this.#endAll(this.#noConnection());
      },
    );
    this.#state = { kind: "connecting", attempt };
  }

  #connected(endpoint: Endpoint): void {
    this.#state = { kind: "connected", endpoint };
    endpoint.handlers = {
      message: (message) => {
        invariant(message.type === "rpc", "a broker talked where calls are answered");
        this.#calls.get(message.frame.id)?.frame(message.frame);
      },
      drain() {},
      closed: (reason) => {
        if (this.#state.kind !== "closed") this.#state = { kind: "idle" };
        this.#endAll(new RpcFailure("UNAVAILABLE", `Connection to ${this.address} lost: ${reason}`, false));
      },
    };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const frame of waiting) if (this.#calls.has(frame.id)) this.#send(frame);
  }

  #endAll(error: CallError): void {
    for (const call of [...this.#calls.values()]) call.lost(error);
  }
}
