import type { Client } from "../src/client-entry.ts";
import type { HistoryRow, ReadRecord } from "../src/testing/checkers/history.ts";
import { digestOf } from "./compare.ts";

/** A consumer that follows a topic while brokers die, so that what anybody ever saw can be compared with the final log (L6, L9). */
export class Tail {
  readonly history: HistoryRow[] = [];
  readonly errors: string[] = [];
  records = 0;
  readonly #done: Promise<void>;
  readonly #close: () => void;

  constructor(client: Client, topic: string, partitions: number, firstRow: number) {
    const consumer = client.consumer();
    consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, from: "start" as const })));
    this.#close = () => consumer.close();
    let i = firstRow;
    let since = performance.now();
    const nextOffset = new Map<number, number>();
    this.#done = consumer
      .run({
        onBatch: (batch) => {
          const now = performance.now();
          const records: ReadRecord[] = [];
          for (const record of batch) {
            const header = record.headers.find(({ key }) => key === "line")?.value;
            const line = header === undefined ? 0 : Number(Buffer.from(header).toString("latin1"));
            records.push({ offset: record.offset, value: `${line}-${digestOf(record.value ?? new Uint8Array(0))}`, intact: true });
          }
          this.records += records.length;
          const expected = nextOffset.get(batch.partition) ?? 0;
          if (batch.baseOffset !== expected) {
            this.errors.push(`L9: partition ${batch.partition}: offset ${batch.baseOffset} came after ${expected - 1}`);
          }
          nextOffset.set(batch.partition, batch.endOffset);
          const partition = `${topic}-${batch.partition}`;
          this.history.push({ f: "read", i: i++, proc: "tail", type: "ok", tInv: since, tRet: now, partition, from: expected, records });
          since = now;
        },
      })
      .catch((error: unknown) => {
        this.errors.push(`the following consumer failed: ${(error as Error).message}`);
      });
  }

  async end(): Promise<void> {
    this.#close();
    await this.#done;
  }
}
