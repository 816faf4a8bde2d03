import { invariant } from "../../../base/invariant.ts";
import {
  type Connection,
  type ConnectionHandlers,
  type Listener,
  PEER_MESSAGE_BYTES_MAX,
  type Transport,
} from "../../../base/ports/transport.ts";
import type { SimProcess } from "../process.ts";
import type { Endpoint } from "./endpoint.ts";
import type { SimNetwork } from "./network.ts";

/** Length and kind in front of each body. */
const HEADER_BYTES = 5;

/** The `Transport` port of one process on one simulated host. */
export class SimTransport implements Transport {
  readonly #network: SimNetwork;
  readonly #process: SimProcess;
  readonly #host: string;

  constructor(network: SimNetwork, process: SimProcess, host: string) {
    this.#network = network;
    this.#process = process;
    this.#host = host;
  }

  listen(address: string, accept: (connection: Connection) => void): Promise<Listener> {
    return this.#process.promise((resolve, reject) => {
      try {
        const listening = this.#network.listen(this.#process, address, (endpoint) => accept(new SimConnection(endpoint)));
        resolve({ address, close: async () => listening.close() });
      } catch (error) {
        reject(error as Error);
      }
    });
  }

  dial(address: string, timeoutMs: number): Promise<Connection> {
    return this.#process.promise((resolve, reject) => {
      this.#network.dial(this.#process, this.#host, address, timeoutMs, (endpoint) => resolve(new SimConnection(endpoint)), reject);
    });
  }
}

const ignore: ConnectionHandlers = { message() {}, drain() {}, closed() {} };

class SimConnection implements Connection {
  handlers: ConnectionHandlers = ignore;
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    endpoint.handlers = {
      message: (message) => {
        invariant(message.type === "peer", "a call arrived where brokers talk");
        this.handlers.message(message.kind, message.chunks[0] ?? new Uint8Array(0));
      },
      drain: () => this.handlers.drain(),
      closed: (reason) => this.handlers.closed(reason),
    };
  }

  get remote(): string {
    return this.#endpoint.remote;
  }

  get unsentBytes(): number {
    return this.#endpoint.unsentBytes;
  }

  send(kind: number, chunks: readonly Uint8Array[]): void {
    let bytes = HEADER_BYTES;
    for (const chunk of chunks) bytes += chunk.length;
    invariant(
      bytes - HEADER_BYTES <= PEER_MESSAGE_BYTES_MAX,
      () => `a peer message holds at most ${PEER_MESSAGE_BYTES_MAX} bytes: got ${bytes - HEADER_BYTES}`,
    );
    invariant(Number.isInteger(kind) && kind >= 0 && kind <= 255, () => `a message kind is 0 to 255: got ${kind}`);
    this.#endpoint.send({ type: "peer", kind, chunks: [...chunks], bytes });
  }

  pause(): void {
    this.#endpoint.pause();
  }

  resume(): void {
    this.#endpoint.resume();
  }

  close(reason: string): void {
    this.#endpoint.close(reason);
  }
}
