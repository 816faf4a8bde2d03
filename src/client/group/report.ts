import { MillraceError } from "../../base/errors.ts";
import type { RecordHeader } from "../../records/log-record.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { ClientCore } from "../core.ts";
import { Producer } from "../producer/producer.ts";

/** Characters of a cause in a header. */
const CAUSE_MAX = 1_000;
/**
 * For one record, milliseconds. Its partition is not given back before that, so it is no more than half of the time there is for giving
 * back; then the handler is called again, or the partition goes.
 */
const WRITE_MS_MAX = 10_000;

export interface ReportTarget {
  readonly group: string;
  readonly topic: string;
  /** Of the member; 0: the coordinator's. */
  readonly rebalanceTimeoutMs: number;
}

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
  readonly #target: ReportTarget;
  #producer: Producer | undefined;

  constructor(core: ClientCore, target: ReportTarget) {
    this.#core = core;
    this.#target = target;
  }

  /** @returns "done" once the record is on the disks of all in-sync replicas; "again": it may not be, and why is logged */
  async write(record: ConsumedRecord, cause: unknown): Promise<"done" | "again"> {
    const { group, topic: to, rebalanceTimeoutMs } = this.#target;
    const { topic, partition, offset, key, value, timestampMs } = record;
    const { telemetry } = this.#core.ports;
    try {
      const half = rebalanceTimeoutMs === 0 ? WRITE_MS_MAX : Math.ceil(rebalanceTimeoutMs / 2);
      this.#producer ??= new Producer(this.#core, { acks: "all", deliveryTimeoutMs: Math.min(WRITE_MS_MAX, half) });
      await this.#producer.send({ topic: to, key, value, headers: reportHeaders(group, record, cause), timestampMs });
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : "INTERNAL";
      telemetry.log("warn", "consumer.report_failed", { group, topic, partition, offset, to, code, reason: String(error) });
      return "again";
    }
    telemetry.log("warn", "consumer.skipped", { group, topic, partition, offset });
    return "done";
  }

  async close(timeoutMs: number): Promise<void> {
    await this.#producer?.close({ timeoutMs });
  }
}
