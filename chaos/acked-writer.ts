import type { Client } from "../src/client-entry.ts";
import { sleep } from "./report.ts";

/** Writes to every partition one record after the other, with the client's retries, and remembers where each was acknowledged. */
export class AckedWriter {
  readonly errors: string[] = [];
  acknowledged = 0;
  readonly #topic: string;
  /** By partition: value by offset. */
  readonly #acked: Map<number, string>[];
  readonly #producer;
  readonly #loops: Promise<void>[];
  #over = false;

  constructor(client: Client, topic: string, partitions: number, bytes: number, pauseMs: number) {
    this.#topic = topic;
    this.#acked = Array.from({ length: partitions }, () => new Map<number, string>());
    this.#producer = client.producer({ deliveryTimeoutMs: 600_000 });
    this.#loops = this.#acked.map((acked, partition) => this.#loop(partition, acked, bytes, pauseMs));
  }

  async #loop(partition: number, acked: Map<number, string>, bytes: number, pauseMs: number): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      const value = `${partition}/${n}`;
      try {
        const { offset } = await this.#producer.send({ topic: this.#topic, partition, value: value.padEnd(bytes, ".") });
        if (offset !== undefined) acked.set(offset, value);
        this.acknowledged++;
      } catch (error) {
        if (!this.#over) this.errors.push((error as Error).message);
        await sleep(50);
      }
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  /** Records acknowledged so far, by partition. */
  get sizes(): readonly number[] {
    return this.#acked.map(({ size }) => size);
  }

  /** Everything acknowledged so far lies where it was acknowledged, and no value lies twice. @returns what is wrong */
  async check(client: Client): Promise<string> {
    for (const [partition, acked] of this.#acked.entries()) {
      const wanted = new Map(acked);
      const last = Math.max(-1, ...wanted.keys());
      const seen = new Map<string, number>();
      if (last >= 0)
        await readUpTo(client, this.#topic, partition, last, (offset, value) => {
          const other = seen.get(value);
          if (other !== undefined) throw new Error(`${value} lies at ${other} and ${offset}`);
          seen.set(value, offset);
        });
      for (const [offset, value] of wanted)
        if (seen.get(value) !== offset)
          return `partition ${partition}: ${value} was acknowledged at ${offset}, and is at ${seen.get(value)}`;
    }
    return "";
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#loops);
    await this.#producer.close();
  }

  /** What was not acknowledged is given up. */
  async abandon(): Promise<void> {
    this.#over = true;
    await this.#producer.close({ timeoutMs: 1 }).catch(() => undefined);
  }
}

async function readUpTo(
  client: Client,
  topic: string,
  partition: number,
  last: number,
  found: (offset: number, value: string) => void,
): Promise<void> {
  const consumer = client.consumer();
  consumer.assign([{ topic, partition, from: "start", until: { offset: last + 1 } }]);
  await consumer.run({
    onBatch: (batch) => {
      for (const record of batch) {
        const value = Buffer.from(record.value ?? new Uint8Array(0)).toString();
        found(record.offset, value.replace(/\.+$/, ""));
      }
    },
  });
}
