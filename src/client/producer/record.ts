import { MillraceError } from "../../base/errors.ts";
import type { RecordHeader } from "../../records/log-record.ts";
import type { BytesOrText } from "../../records/record-set-builder.ts";

/** A record to be sent. Strings become UTF-8. Bytes must not change until `send` has settled. */
export interface ProducerRecord {
  readonly topic: string;
  /** Absent: chosen by the key, or by the producer for records without a key. */
  readonly partition?: number | undefined;
  readonly key?: BytesOrText | null | undefined;
  /** `null` or absent: a tombstone. */
  readonly value?: BytesOrText | null | undefined;
  readonly headers?: Readonly<Record<string, BytesOrText | null>> | readonly RecordHeader[] | undefined;
  /** Milliseconds since 1970; absent or 0: the leader's clock when it is appended. */
  readonly timestampMs?: number | undefined;
}

/** What `send` resolves with. */
export interface RecordAck {
  readonly topic: string;
  readonly partition: number;
  /** Absent only when the broker knows the record is in the log, but no longer where (it was a very late retry). */
  readonly offset: number | undefined;
  /** The leader's clock when it was appended. */
  readonly timestampMs: number | undefined;
  /** A retry: an earlier attempt had written it. */
  readonly duplicate: boolean;
}

const encoder = new TextEncoder();

/**
 * Callers from JavaScript may give anything: what is no record must not get among those that are.
 * @throws {MillraceError} INVALID_REQUEST, with the field
 */
export function checkRecord(record: ProducerRecord): void {
  const { topic, partition, key, value, headers, timestampMs } = record;
  if (typeof topic !== "string") throw wrong("topic", "a string");
  if (!isBytesOrNone(key)) throw wrong("key", "a string or a Uint8Array");
  if (!isBytesOrNone(value)) throw wrong("value", "a string or a Uint8Array");
  if (partition !== undefined && !isWhole(partition)) throw wrong("partition", "a whole number from 0");
  if (timestampMs !== undefined && !isWhole(timestampMs)) throw wrong("timestampMs", "a whole number of milliseconds");
  if (headers === undefined) return;
  if (typeof headers !== "object" || headers === null) throw wrong("headers", "an object, or a list of key and value");
  const fields: readonly unknown[] = isList(headers)
    ? headers.flatMap((header) => [header?.key ?? 0, header?.value])
    : Object.values(headers);
  if (!fields.every(isBytesOrNone)) throw wrong("headers", "strings, Uint8Arrays or null");
}

function isBytesOrNone(value: unknown): boolean {
  return value === undefined || value === null || typeof value === "string" || value instanceof Uint8Array;
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function wrong(field: string, what: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", `Cannot send: ${field} must be ${what}`, { field });
}

export function asBytes(value: BytesOrText): Uint8Array {
  return typeof value === "string" ? encoder.encode(value) : value;
}

export function asHeaders(headers: ProducerRecord["headers"]): readonly RecordHeader[] | undefined {
  if (headers === undefined || isList(headers)) return headers;
  return Object.entries(headers).map(([key, value]) => ({ key, value: value === null ? undefined : asBytes(value) }));
}

function isList(headers: NonNullable<ProducerRecord["headers"]>): headers is readonly RecordHeader[] {
  return Array.isArray(headers);
}
