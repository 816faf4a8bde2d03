import type { FetchedBatch } from "../../src/protocol/public.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";

/** A record set of these values; a number stamps the records. */
export function recordSet(values: readonly string[], timestampMs = 0): Uint8Array {
  const builder = new RecordSetBuilder();
  for (const value of values) builder.append(undefined, value, [], timestampMs);
  return builder.take();
}

/** Values of plain batches, in order. */
export function valuesOf(batches: readonly FetchedBatch[]): string[] {
  return batches.flatMap((batch) =>
    batch.records === undefined
      ? []
      : [...records(batch.records)].map(({ value }) => (value === undefined ? "" : Buffer.from(value).toString())),
  );
}
