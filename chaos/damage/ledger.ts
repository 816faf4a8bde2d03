import { createHash } from "node:crypto";
import type { Client } from "../../src/client-entry.ts";
import type { Draws } from "../draws.ts";

/** What was acknowledged, by place and content, so that it can be asked back byte for byte. */
export class Ledger {
  readonly #topic: string;
  readonly #client: Client;
  readonly #draws: Draws;
  /** By partition: digest of the value at each offset. */
  readonly #acked: readonly Map<number, string>[];

  constructor(client: Client, topic: string, partitions: number, draws: Draws) {
    this.#client = client;
    this.#topic = topic;
    this.#draws = draws;
    this.#acked = Array.from({ length: partitions }, () => new Map<number, string>());
  }

  get records(): number {
    return this.#acked.reduce((sum, { size }) => sum + size, 0);
  }

  /** So many records of so many bytes to each partition, a batch each, acknowledged by all (`acks=all`). @throws what a send failed of */
  async write(records: number, bytes: number): Promise<void> {
    const producer = this.#client.producer({ batchBytesMax: bytes });
    const sent: Promise<void>[] = [];
    for (let n = 0; n < records; n++) {
      for (const [partition, acked] of this.#acked.entries()) {
        const value = this.#bytes(bytes);
        sent.push(
          producer.send({ topic: this.#topic, partition, value }).then(({ offset }) => {
            if (offset !== undefined) acked.set(offset, digest(value));
          }),
        );
      }
      if (producer.isFull) await producer.ready();
    }
    await Promise.all(sent);
    await producer.close();
  }

  /** Reads one partition from the start and compares. @returns what is wrong, "" for nothing */
  async check(partition: number): Promise<string> {
    const wanted = this.#acked[partition] ?? new Map<number, string>();
    const last = Math.max(-1, ...wanted.keys());
    if (last < 0) return "";
    const seen = new Map<number, string>();
    const consumer = this.#client.consumer();
    consumer.assign([{ topic: this.#topic, partition, from: "start", until: { offset: last + 1 } }]);
    await consumer.run({
      onBatch: (batch) => {
        for (const record of batch) {
          if (seen.has(record.offset)) throw new Error(`offset ${record.offset} of partition ${partition} came twice`);
          seen.set(record.offset, digest(record.value ?? new Uint8Array(0)));
        }
      },
    });
    const wrong = [...wanted].filter(([offset, is]) => seen.get(offset) !== is).map(([offset]) => offset);
    if (wrong.length > 0)
      return `partition ${partition}: ${wrong.length} of ${wanted.size} acknowledged records are not what is read, from ${wrong[0]} on`;
    return seen.size === last + 1 ? "" : `partition ${partition}: ${seen.size} records up to offset ${last}`;
  }

  #bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    // Different everywhere, so that nothing in the wrong place passes for the right one; drawing each word would take longer than writing it.
    const step = Math.floor(this.#draws.next() * 2 ** 32) | 1;
    let word = Math.floor(this.#draws.next() * 2 ** 32);
    for (let at = 0; at + 4 <= length; at += 4) {
      word = (Math.imul(word, 0x9e3779b1) + step) >>> 0;
      bytes.writeUInt32LE(word, at);
    }
    return bytes;
  }
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
