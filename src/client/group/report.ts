import { MillraceError } from "../../base/errors.ts";
import type { RecordHeader } from "../../records/log-record.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { ClientCore } from "../core.ts";
import { Producer } from "../producer/producer.ts";

/** Characters of a cause in a header. */
const CAUSE_MAX = 1_000;

/** Headers beside those of the record itself, each `millrace-…`: where it comes from and why it was put aside. */
export function reportHeaders(group: string, record: ConsumedRecord, cause: unknown): readonly RecordHeader[] {
  const encoder = new TextEncoder();
  const facts = {
    group,
    topic: record.topic,
    partition: String(record.partition),
    offset: String(record.offset),
    code: cause instanceof MillraceError ? cause.code : "",
    cause: (cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)).slice(0, CAUSE_MAX),
  };
  const headers = Object.entries(facts).filter(([, value]) => value !== "");
  return [...record.headers, ...headers.map(([key, value]) => ({ key: `millrace-${key}`, value: encoder.encode(value) }))];
}

/** Writes records that a handler could not take to a topic of their own, so that the others can go on. */
export class Report {
  readonly #core: ClientCore;
  readonly #group: string;
  readonly #topic: string;
  #producer: Producer | undefined;

  constructor(core: ClientCore, group: string, topic: string) {
    this.#core = core;
    this.#group = group;
    this.#topic = topic;
  }

  /** Resolves once the record is on the disks of all in-sync replicas. @throws {DeliveryFailed} */
  async write(record: ConsumedRecord, cause: unknown): Promise<void> {
    this.#producer ??= new Producer(this.#core, { acks: "all" });
    const headers = reportHeaders(this.#group, record, cause);
    await this.#producer.send({ topic: this.#topic, key: record.key, value: record.value, headers, timestampMs: record.timestampMs });
  }

  async close(timeoutMs: number): Promise<void> {
    await this.#producer?.close({ timeoutMs });
  }
}
