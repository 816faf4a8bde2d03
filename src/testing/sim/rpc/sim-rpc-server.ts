import { MillraceError } from "../../../base/errors.ts";
import { invariant } from "../../../base/invariant.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import { RpcFailure } from "../../../base/ports/rpc-client.ts";
import type { RpcMethod, RpcServer } from "../../../base/ports/rpc-server.ts";
import type { Endpoint } from "../network/endpoint.ts";
import type { SimNetwork } from "../network/network.ts";
import type { SimProcess } from "../process.ts";
import { frameBytes, type RpcFrame } from "./frames.ts";
import { ServerCall } from "./server-call.ts";

/** The `RpcServer` port of one process. A handler that throws anything but a `MillraceError` ends the simulation: that is a bug. */
export class SimRpcServer implements RpcServer {
  readonly #network: SimNetwork;
  readonly #process: SimProcess;
  readonly #clock: Clock;
  readonly #methods = new Map<string, RpcMethod>();
  readonly #serving = new Map<string, boolean>();
  readonly #connections = new Set<ServerConnection>();
  #listening: { close(): void } | undefined;
  #closing = false;

  constructor(network: SimNetwork, process: SimProcess, clock: Clock) {
    this.#network = network;
    this.#process = process;
    this.#clock = clock;
  }

  register(path: string, method: RpcMethod): void {
    invariant(this.#listening === undefined, () => `${path} is registered after listen`);
    invariant(!this.#methods.has(path), () => `${path} is registered twice`);
    this.#methods.set(path, method);
  }

  /** A simulated stream holds no more than its window; nothing is added up. */
  readonly unsentBytes = 0;

  setServing(service: string, serving: boolean): void {
    this.#serving.set(service, serving);
  }

  /** As `grpc.health.v1` would answer. */
  isServing(service: string): boolean {
    return this.#serving.get(service) === true;
  }

  listen(address: string): Promise<string> {
    return this.#process.promise((resolve, reject) => {
      try {
        this.#listening = this.#network.listen(this.#process, address, (endpoint) => {
          this.#connections.add(new ServerConnection(endpoint, this.#clock, (path) => this.#methodFor(path)));
        });
        resolve(address);
      } catch (error) {
        reject(error as Error);
      }
    });
  }

  close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#listening?.close();
    return this.#process.promise((resolve) => {
      let over = false;
      const finish = () => {
        if (over) return;
        over = true;
        for (const connection of this.#connections) connection.hangUp();
        this.#connections.clear();
        resolve();
      };
      const look = () => {
        if (over) return;
        if ([...this.#connections].every((connection) => connection.openCalls === 0)) finish();
        else this.#process.after(1, "waits for open calls", look);
      };
      this.#process.after(graceMs, "ends open calls", finish);
      look();
    });
  }

  #methodFor(path: string): RpcMethod | RpcFailure {
    // As HTTP/2 refuses a stream after GOAWAY: it was certainly not looked at.
    if (this.#closing) return new RpcFailure("UNAVAILABLE", "Stream refused by server", true);
    return this.#methods.get(path) ?? new RpcFailure("UNIMPLEMENTED", `The server does not implement ${path}`, false);
  }
}

/** One client's connection. */
class ServerConnection {
  readonly #endpoint: Endpoint;
  readonly #clock: Clock;
  readonly #methodFor: (path: string) => RpcMethod | RpcFailure;
  readonly #calls = new Map<number, ServerCall>();

  constructor(endpoint: Endpoint, clock: Clock, methodFor: (path: string) => RpcMethod | RpcFailure) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#methodFor = methodFor;
    endpoint.handlers = {
      message: (message) => {
        invariant(message.type === "rpc", "a broker talked where calls arrive");
        this.#frame(message.frame);
      },
      drain() {},
      closed: () => {
        for (const call of [...this.#calls.values()]) call.cancel();
        this.#calls.clear();
      },
    };
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  hangUp(): void {
    for (const call of [...this.#calls.values()]) call.cancel();
    this.#endpoint.close("server closed");
  }

  #frame(frame: RpcFrame): void {
    if (frame.kind === "call") this.#open(frame);
    else this.#calls.get(frame.id)?.frame(frame);
  }

  #open(frame: Extract<RpcFrame, { kind: "call" }>): void {
    const method = this.#methodFor(frame.path);
    if (method instanceof RpcFailure) {
      this.#send({ kind: "status", id: frame.id, error: method });
      return;
    }
    if (frame.timeoutMs !== undefined && frame.timeoutMs <= 0) {
      const error = new MillraceError("DEADLINE_PASSED", `Cannot serve ${frame.path}: its deadline had passed when it arrived`);
      this.#send({ kind: "status", id: frame.id, error });
      return;
    }
    const call = new ServerCall(
      frame,
      method,
      this.#endpoint,
      this.#clock,
      (out) => this.#send(out),
      () => this.#calls.delete(frame.id),
    );
    this.#calls.set(frame.id, call);
    call.start();
  }

  #send(frame: RpcFrame): void {
    this.#endpoint.send({ type: "rpc", frame, bytes: frameBytes(frame) });
  }
}
