import { jsonField } from "../src/cli/json-field.ts";
import { Pace } from "../src/cli/pace.ts";
import type { Client, MillraceError } from "../src/client-entry.ts";
import type { HistoryRow } from "../src/testing/checkers/history.ts";
import { digestOf, Ledger } from "./compare.ts";

/** Header in which a poured record carries the number of its line. */
const LINE_HEADER = "line";
const PRODUCER = "pour";

export interface PourOptions {
  readonly topic: string;
  /** Field of a JSON line that is its key. */
  readonly keyField: string;
  /** Records per second; absent: as fast as they are taken. */
  readonly rate?: number | undefined;
  /** Lines from this number on wait for it. */
  readonly gate?: { readonly line: number; readonly open: Promise<void> };
  /** Whether each send becomes a row for the checkers; only for inputs of some 10,000 lines. */
  readonly history: boolean;
}

/** Pours lines into a topic with the public client on its default settings, and remembers when which of them was acknowledged. */
export class Pour {
  readonly sent = new Ledger();
  readonly history: HistoryRow[] = [];
  readonly errors: string[] = [];
  /** Times of acknowledgements by partition, `performance.now()`, ascending. */
  readonly ackTimes: number[][] = [];
  acknowledged = 0;
  retries = 0;
  seconds = 0;
  #count = 0;

  async run(client: Client, lines: Iterable<Uint8Array>, options: PourOptions): Promise<void> {
    const producer = client.producer();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const pace = options.rate === undefined ? undefined : new Pace(options.rate);
    const began = performance.now();
    const waits: Promise<void>[] = [];
    for (const line of lines) {
      const number = ++this.#count;
      if (number === options.gate?.line) await options.gate.open;
      const turn = pace?.turn();
      if (turn !== undefined) await turn;
      const key = jsonField(decoder.decode(line), options.keyField);
      this.sent.add(key, number, line);
      const tInv = performance.now();
      const settled = producer.send({ topic: options.topic, key, value: line, headers: { [LINE_HEADER]: `${number}` } }).then(
        (ack) => {
          const tRet = performance.now();
          this.acknowledged++;
          this.#acksOf(ack.partition).push(tRet);
          if (options.history) this.history.push(okRow(number, `${options.topic}-${ack.partition}`, line, tInv, tRet, ack.offset));
        },
        (error: MillraceError) => {
          if (this.errors.length < 20) this.errors.push(`line ${number}: ${error.code}: ${error.message}`);
          else this.errors.push("");
        },
      );
      if (options.rate === undefined) {
        if (producer.isFull) await producer.ready();
      } else waits.push(settled);
    }
    await producer.flush();
    await Promise.all(waits);
    this.seconds = (performance.now() - began) / 1000;
    this.retries = producer.stats.retries;
  }

  #acksOf(partition: number): number[] {
    while (this.ackTimes.length <= partition) this.ackTimes.push([]);
    return this.ackTimes[partition] as number[];
  }

  /** Partitions with acknowledgements so far. */
  get written(): readonly number[] {
    return [...this.ackTimes.keys()].filter((partition) => (this.ackTimes[partition] as number[]).length > 0);
  }
}

/** A record in the eyes of the checkers: its line number and what its bytes hash to. */
function valueOf(line: number, bytes: Uint8Array): string {
  return `${line}-${digestOf(bytes)}`;
}

function okRow(line: number, partition: string, bytes: Uint8Array, tInv: number, tRet: number, offset: number | undefined): HistoryRow {
  const base = { f: "send", i: line, proc: PRODUCER, producer: PRODUCER, partition, acks: "ALL", values: [valueOf(line, bytes)] } as const;
  return offset === undefined
    ? { ...base, type: "info", tInv, tRet: Number.POSITIVE_INFINITY }
    : { ...base, type: "ok", tInv, tRet, offset };
}

export interface ReadBack {
  readonly ledger: Ledger;
  /** By partition "topic-number". */
  readonly finals: ReadonlyMap<string, { readonly offset: number; readonly value: string; readonly intact: boolean }[]>;
  readonly records: number;
  readonly seconds: number;
}

/** Reads a topic from start to end. @param client a fresh one, so that nothing it remembers can help @param values for the checkers */
export async function readBack(client: Client, topic: string, values: boolean): Promise<ReadBack> {
  const ledger = new Ledger();
  const finals = new Map<string, { offset: number; value: string; intact: boolean }[]>();
  const [description] = await client.admin().describeTopics([topic]);
  const consumer = client.consumer();
  const began = performance.now();
  consumer.assign((description?.partitions ?? []).map(({ partition }) => ({ topic, partition, from: "start", until: "end" })));
  for (const { partition } of description?.partitions ?? []) finals.set(`${topic}-${partition}`, []);
  await consumer.run({
    onBatch: (batch) => {
      for (const record of batch) {
        const header = record.headers.find(({ key }) => key === LINE_HEADER)?.value;
        const line = header === undefined ? 0 : Number(Buffer.from(header).toString("latin1"));
        const bytes = record.value ?? new Uint8Array(0);
        ledger.add(record.key === undefined ? undefined : Buffer.from(record.key).toString("utf8"), line, bytes);
        if (values) {
          finals.get(`${topic}-${record.partition}`)?.push({ offset: record.offset, value: valueOf(line, bytes), intact: true });
        }
      }
    },
  });
  consumer.close();
  return { ledger, finals, records: ledger.count, seconds: (performance.now() - began) / 1000 };
}
