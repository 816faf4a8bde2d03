import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConsumedRecord } from "../../src/client/consumer/consumed-record.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";

function read(timestampMs: number, appendTimed: boolean): ConsumedRecord {
  const builder = new RecordSetBuilder();
  builder.append(undefined, "value", [], timestampMs);
  const [view = assert.fail()] = records(builder.take());
  return new ConsumedRecord({ topic: "t", partition: 0, appendTimeMs: 9, appendTimed, term: 1 }, 4, view);
}

describe("a consumed record", () => {
  it("has its own time, or that of its batch's append when it has none or the topic says so", () => {
    assert.equal(read(5, false).timestampMs, 5);
    assert.equal(read(0, false).timestampMs, 9);
    assert.equal(read(5, true).timestampMs, 9);
  });
});
