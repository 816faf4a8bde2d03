import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { LogService } from "../../src/protocol/methods.ts";
import { FetchRequest, FetchResponse, ProduceRequest, ProduceResponse } from "../../src/protocol/public.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { callAgain } from "./again.ts";

const PAUSE_MS = 20;
const TIMEOUT_MS = 30_000;

/** Another client, which behaves: on each broker it produces, reads back what it produced, and pauses; every failure is kept. */
export class Bystander {
  readonly errors: string[] = [];
  calls = 0;
  /** Of one call since `mark`, milliseconds. */
  longestMs = 0;
  readonly #channels: readonly RpcChannel[];
  readonly #loops: readonly Promise<void>[];
  #over = false;

  constructor(addresses: readonly string[], topic: string) {
    this.#channels = addresses.map((address) => createRpcClient().channel(address));
    this.#loops = this.#channels.map((channel, at) => this.#live(channel, topic, at));
  }

  mark(): void {
    this.longestMs = 0;
    this.errors.length = 0;
    this.calls = 0;
  }

  async close(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#loops);
    for (const channel of this.#channels) channel.close();
  }

  async #live(channel: RpcChannel, topic: string, at: number): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      const began = performance.now();
      try {
        await this.#once(channel, topic, at, `${at}/${n}`);
        this.calls++;
      } catch (error) {
        this.errors.push(`broker ${at + 1}: ${(error as Error).message}`);
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #once(channel: RpcChannel, topic: string, partition: number, value: string): Promise<void> {
    const builder = new RecordSetBuilder();
    builder.append(undefined, value, [], 0);
    const produce = ProduceRequest.encode({ topic, partition, records: builder.take() });
    const produced = await callAgain(channel, LogService.Produce.path, produce, TIMEOUT_MS);
    const { baseOffset: offset } = ProduceResponse.decode(produced);
    const fetched = FetchResponse.decode(
      await callAgain(channel, LogService.Fetch.path, FetchRequest.encode({ topic, partition, offset, maxBytes: 1 }), TIMEOUT_MS),
    );
    const read = fetched.batches[0]?.records;
    if (read === undefined || !Buffer.from(read).includes(value)) throw new Error(`${value} at ${offset} was not read back`);
  }
}
