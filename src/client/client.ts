import { parseAddress } from "../base/address.ts";
import { MillraceError } from "../base/errors.ts";
import { Admin, type AdminOptions } from "./admin.ts";
import { Brokers } from "./brokers.ts";
import { Calls } from "./calls.ts";
import { Consumer } from "./consumer/consumer.ts";
import type { ConsumerOptions } from "./consumer/options.ts";
import { ClientCore } from "./core.ts";
import { Metadata } from "./metadata.ts";
import type { ClientPorts } from "./ports.ts";
import type { ProducerOptions } from "./producer/options.ts";
import { Producer } from "./producer/producer.ts";

export interface ClientOptions {
  /** "host:port" of some brokers; one that answers is enough. */
  readonly brokers: readonly string[];
}

/** A client of one cluster. Connects when first used. */
export class Client {
  readonly #core: ClientCore;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  #closed = false;

  /** @throws {MillraceError} INVALID_REQUEST when an address cannot be one */
  constructor(options: ClientOptions, ports: ClientPorts) {
    if (options.brokers.length === 0)
      throw new MillraceError("INVALID_REQUEST", "brokers must name at least one address", { field: "brokers" });
    for (const address of options.brokers) {
      if (parseAddress(address) === undefined)
        throw new MillraceError("INVALID_REQUEST", `brokers must be host:port: got ${address}`, { field: "brokers" });
    }
    const brokers = new Brokers(options.brokers, ports.rpc, ports.clock, ports.random);
    const calls = new Calls(brokers, ports);
    this.#core = new ClientCore(ports, brokers, calls, new Metadata(calls, brokers, ports.clock));
  }

  producer(options: ProducerOptions = {}): Producer {
    this.#checkOpen();
    const producer = new Producer(this.#core, options);
    this.#producers.add(producer);
    return producer;
  }

  consumer(options: ConsumerOptions = {}): Consumer {
    this.#checkOpen();
    const consumer = new Consumer(this.#core, options);
    this.#consumers.add(consumer);
    return consumer;
  }

  /** @param defaults for calls that do not say */
  admin(defaults: AdminOptions = {}): Admin {
    this.#checkOpen();
    return new Admin(this.#core, defaults);
  }

  /** Closes consumers, flushes producers for at most `timeoutMs` (default 30 s), then closes all connections. */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const consumer of this.#consumers) consumer.close();
    await Promise.all([...this.#producers].map((producer) => producer.close(options)));
    this.#core.brokers.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError("CLIENT_CLOSED", "The client is closed");
  }
}
