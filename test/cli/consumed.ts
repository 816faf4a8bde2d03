import { ConsumedRecord } from "../../src/client/consumer/consumed-record.ts";
import type { RecordHeader } from "../../src/client/index.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";

export interface Parts {
  readonly key?: Uint8Array | string | undefined;
  readonly value?: Uint8Array | string | undefined;
  readonly headers?: readonly RecordHeader[];
  readonly timestampMs?: number;
}

/** A record as a consumer hands it out: partition 3 of topic t, offset 12. */
export function consumed({ key, value, headers = [], timestampMs = 5 }: Parts): ConsumedRecord {
  const builder = new RecordSetBuilder();
  builder.append(key, value, headers, timestampMs);
  const [view] = records(builder.take());
  if (view === undefined) throw new Error("no record");
  return new ConsumedRecord({ topic: "t", partition: 3, appendTimeMs: 9, appendTimed: false, term: 1 }, 12, view);
}
