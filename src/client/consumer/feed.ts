import { MillraceError } from "../../base/errors.ts";
import { type ClientStream, RpcFailure } from "../../base/ports/rpc-client.ts";
import { LogService } from "../../protocol/methods.ts";
import { Compression, SubscribeRequest, SubscribeResponse } from "../../protocol/public.ts";
import type { Brokers } from "../brokers.ts";
import { asMillraceError } from "../errors.ts";
import type { AssignedPartition } from "./assigned-partition.ts";

/** Who is told what a feed brings: the consumer. */
export interface FeedOwner {
  arrived(part: AssignedPartition, message: SubscribeResponse): void;
  /** The feed is over; its partitions have none now. `error` undefined: it was meant to end. */
  broke(feed: Feed, parts: readonly AssignedPartition[], error: MillraceError | undefined): void;
}

/** One `Subscribe` stream to one broker for partitions of one topic, by its id. It ends at its first error; another one goes on from where it was. */
export class Feed {
  readonly address: string;
  readonly topic: string;
  readonly #brokers: Brokers;
  readonly #owner: FeedOwner;
  readonly #parts = new Map<number, AssignedPartition>();
  readonly #stream: ClientStream;
  #held = false;
  #closed = false;

  constructor(address: string, topic: string, parts: readonly AssignedPartition[], brokers: Brokers, owner: FeedOwner, inflates: boolean) {
    this.address = address;
    this.topic = topic;
    this.#brokers = brokers;
    this.#owner = owner;
    for (const part of parts) {
      this.#parts.set(part.partition, part);
      part.feed = this;
      part.address = address;
    }
    this.#stream = brokers.channel(address).openStream(LogService.Subscribe.path, "server-stream");
    this.#stream.handlers = {
      message: (bytes) => this.#received(bytes),
      drain: () => undefined,
      closed: (error) => this.#ended(error === undefined ? this.#early() : asMillraceError(error, address), error instanceof RpcFailure),
    };
    this.#stream.write(
      SubscribeRequest.encode({
        topic,
        topicId: parts[0]?.topicId,
        partitions: parts.map(({ partition, next, lastTerm, untilOffset }) => ({ partition, offset: next, lastTerm, untilOffset })),
        accept: inflates ? [Compression.none, Compression.gzip] : [Compression.none],
      }),
    );
    this.#stream.end();
  }

  /** Stops or goes on reading; HTTP/2 flow control holds the broker. */
  hold(held: boolean): void {
    if (held === this.#held || this.#closed) return;
    this.#held = held;
    if (held) this.#stream.pause();
    else this.#stream.resume();
  }

  /** Ends the stream; its partitions have no feed then. */
  cancel(): void {
    if (this.#closed) return;
    this.#stream.cancel();
    this.#ended(undefined, false);
  }

  #received(bytes: Uint8Array): void {
    if (this.#closed) return;
    let message: SubscribeResponse;
    try {
      message = SubscribeResponse.decode(bytes);
    } catch (error) {
      this.#stream.cancel();
      this.#ended(new MillraceError("CONNECTION_LOST", `${this.address} sent something unreadable: ${String(error)}`), true);
      return;
    }
    this.#brokers.answered(this.address);
    const part = this.#parts.get(message.partition);
    if (part === undefined || part.gone) return;
    part.failures = 0;
    this.#owner.arrived(part, message);
  }

  /** A stream may end without an error only when all its partitions reached their end. */
  #early(): MillraceError | undefined {
    for (const part of this.#parts.values()) {
      if (!part.received && !part.gone) return new MillraceError("CONNECTION_LOST", `${this.address} ended the stream early`);
    }
    return undefined;
  }

  #ended(error: MillraceError | undefined, silent: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    if (silent) this.#brokers.failed(this.address);
    const parts = [...this.#parts.values()];
    for (const part of parts) part.feed = undefined;
    this.#owner.broke(this, parts, error);
  }
}
