import assert from "node:assert/strict";
import { MillraceError } from "../../src/base/errors.ts";
import type { ClientStream } from "../../src/base/ports/rpc-client.ts";
import type { MessageInput } from "../../src/protocol/codec/index.ts";
import {
  type ProduceResult,
  ProduceStreamRequest,
  ProduceStreamResponse,
  SubscribeRequest,
  SubscribeResponse,
} from "../../src/protocol/public.ts";
import type { Cluster } from "./harness.ts";
import { valuesOf } from "./values.ts";

type Waits = Pick<Cluster, "until">;

/** A stream to a broker, from the caller's side; how each of them is waited for and ended. */
export abstract class OpenStream {
  closed = false;
  error: Error | undefined;
  readonly #cluster: Waits;
  readonly #stream: ClientStream;

  constructor(cluster: Waits, stream: ClientStream) {
    this.#cluster = cluster;
    this.#stream = stream;
    stream.handlers = {
      message: (bytes) => this.take(bytes),
      drain() {},
      closed: (error) => {
        this.closed = true;
        this.error = error;
      },
    };
  }

  /** One message of the broker's. */
  protected abstract take(bytes: Uint8Array): void;

  protected write(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }
  end(): void {
    this.#stream.end();
  }
  cancel(): void {
    this.#stream.cancel();
  }

  /** Until it holds or the stream ends, which only a stream without an error may. */
  protected async come(holds: () => boolean, what: string): Promise<void> {
    await this.#cluster.until(() => holds() || this.closed, what);
    assert.equal(this.error, undefined);
  }

  /** @returns the code it ended with; undefined: none */
  async over(): Promise<string | undefined> {
    await this.#cluster.until(() => this.closed, `${this.constructor.name} ends`);
    return this.error instanceof MillraceError ? this.error.code : this.error?.message;
  }
}

/** One bidi produce stream, its answers in the order they came. */
export class ProduceStream extends OpenStream {
  readonly results: ProduceResult[] = [];
  creditBytes = 0;

  protected take(bytes: Uint8Array): void {
    const response = ProduceStreamResponse.decode(bytes);
    if (response.creditBytes > 0) this.creditBytes = response.creditBytes;
    this.results.push(...response.results);
  }

  send(request: MessageInput<typeof ProduceStreamRequest>): void {
    this.write(ProduceStreamRequest.encode(request));
  }
  async answered(count: number): Promise<readonly ProduceResult[]> {
    await this.come(() => this.results.length >= count, `${count} results on a produce stream`);
    assert.equal(this.results.length, count);
    return this.results;
  }
}

/** One subscription; what it delivered, by partition. */
export class SubscribeStream extends OpenStream {
  readonly values = new Map<number, string[]>();
  readonly ended = new Set<number>();
  readonly responses: SubscribeResponse[] = [];

  constructor(cluster: Waits, stream: ClientStream, request: MessageInput<typeof SubscribeRequest>) {
    super(cluster, stream);
    this.write(SubscribeRequest.encode(request));
    this.end();
  }

  protected take(bytes: Uint8Array): void {
    const response = SubscribeResponse.decode(bytes);
    this.responses.push(response);
    this.of(response.partition).push(...valuesOf(response.batches));
    if (response.done) this.ended.add(response.partition);
  }

  of(partition: number): string[] {
    let values = this.values.get(partition);
    if (values === undefined) {
      values = [];
      this.values.set(partition, values);
    }
    return values;
  }
  async has(partition: number, count: number): Promise<readonly string[]> {
    await this.come(() => this.of(partition).length >= count, `${count} records on a subscription`);
    return this.of(partition);
  }
}
