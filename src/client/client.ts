import { parseAddress } from "../base/address.ts";
import { MillraceError } from "../base/errors.ts";
import { Admin } from "./admin.ts";
import type { AdminOptions } from "./admin-calls.ts";
import { Brokers } from "./brokers.ts";
import { Calls } from "./calls.ts";
import { Consumer } from "./consumer/consumer.ts";
import type { ConsumerOptions } from "./consumer/options.ts";
import { ClientCore } from "./core.ts";
import { GroupConsumer } from "./group/group-consumer.ts";
import type { GroupConsumerOptions } from "./group/options.ts";
import { METADATA_REFRESH_MS, Metadata, REFRESH_MS_MIN } from "./metadata.ts";
import type { ClientPorts } from "./ports.ts";
import type { ProducerOptions } from "./producer/options.ts";
import { Producer } from "./producer/producer.ts";

const DAY_MS = 86_400_000;

export interface ClientOptions {
  /** "host:port" of some brokers; one that answers is enough. */
  readonly brokers: readonly string[];
  /**
   * A topic that is written to or read is asked for again when what is known of it is older, milliseconds: so running producers and
   * consumers find partitions that were added. Errors ask at once; consumers look every 5 s at least. Default 30 s.
   */
  readonly metadataRefreshMs?: number;
}

/** A client of one cluster. Connects when first used. */
export class Client {
  readonly #core: ClientCore;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  readonly #members = new Set<GroupConsumer>();
  #closed = false;

  /** @throws {MillraceError} INVALID_REQUEST when an address cannot be one */
  constructor(options: ClientOptions, ports: ClientPorts) {
    if (options.brokers.length === 0)
      throw new MillraceError("INVALID_REQUEST", "brokers must name at least one address", { field: "brokers" });
    for (const address of options.brokers) {
      if (parseAddress(address) === undefined)
        throw new MillraceError("INVALID_REQUEST", `brokers must be host:port: got ${address}`, { field: "brokers" });
    }
    const refreshMs = options.metadataRefreshMs ?? METADATA_REFRESH_MS;
    if (!Number.isSafeInteger(refreshMs) || refreshMs < REFRESH_MS_MIN || refreshMs > DAY_MS)
      throw new MillraceError(
        "INVALID_REQUEST",
        `Client option metadataRefreshMs must be a whole number from ${REFRESH_MS_MIN} to ${DAY_MS}: got ${refreshMs}`,
        { field: "metadataRefreshMs" },
      );
    const brokers = new Brokers(options.brokers, ports.rpc, ports.clock, ports.random);
    const calls = new Calls(brokers, ports);
    this.#core = new ClientCore(ports, brokers, calls, new Metadata(calls, brokers, ports.clock, refreshMs));
  }

  producer(options: ProducerOptions = {}): Producer {
    this.#checkOpen();
    const producer: Producer = new Producer(this.#core, options, () => this.#producers.delete(producer));
    this.#producers.add(producer);
    return producer;
  }

  /** With `group`: a member of that consumer group. Otherwise one that reads what it is told to. @throws {MillraceError} INVALID_REQUEST */
  consumer(options: GroupConsumerOptions): GroupConsumer;
  consumer(options?: ConsumerOptions): Consumer;
  consumer(options: ConsumerOptions | GroupConsumerOptions = {}): Consumer | GroupConsumer {
    this.#checkOpen();
    if ("group" in options) {
      const member: GroupConsumer = new GroupConsumer(this.#core, options, () => this.#members.delete(member));
      this.#members.add(member);
      return member;
    }
    const consumer: Consumer = new Consumer(this.#core, options, () => this.#consumers.delete(consumer));
    this.#consumers.add(consumer);
    return consumer;
  }

  /** @param defaults for calls that do not say */
  admin(defaults: AdminOptions = {}): Admin {
    this.#checkOpen();
    return new Admin(this.#core, defaults);
  }

  /**
   * Leaves groups, closes consumers, and flushes producers, for at most `timeoutMs` each (default 30 s); then closes all connections. Called by a
   * handler or a callback of a group consumer it resolves before that one has left, as its own `close` does.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const consumer of this.#consumers) consumer.close();
    const members = [...this.#members];
    const isInside = members.some((member) => member.isInside);
    await Promise.all(members.map((member) => member.close(options)));
    await Promise.all([...this.#producers].map((producer) => producer.close(options)));
    // What it called this from goes on, and is to be committed.
    const closed = Promise.all(members.map((member) => member.ended)).then(() => this.#core.brokers.close());
    if (!isInside) await closed;
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError("CLIENT_CLOSED", "The client is closed");
  }
}
