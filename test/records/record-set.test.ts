import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MillraceError } from "../../src/base/errors.ts";
import { TIMESTAMP_MAX } from "../../src/records/cursor.ts";
import { records } from "../../src/records/log-record.ts";
import { cutRecordSet, RECORD_SET_LIMITS, walkRecordSet } from "../../src/records/record-set.ts";
import { type BytesOrText, RecordSetBuilder, recordBytesOf } from "../../src/records/record-set-builder.ts";
import { anyText } from "../any-text.ts";
import { loadDescriptors } from "../protocol/descriptors.ts";

interface Given {
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array | undefined }[];
  readonly timestampMs: number;
}

const someBytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined });
const timestamp = fc.oneof(fc.constant(0), fc.nat(), fc.integer({ min: 0, max: TIMESTAMP_MAX }));
const plainObjects = { noNullPrototype: true };
const given: fc.Arbitrary<Given> = fc.record(
  {
    key: someBytes,
    value: fc.oneof(someBytes, fc.uint8Array({ minLength: 100, maxLength: 400 })),
    headers: fc.array(fc.record({ key: anyText(12), value: someBytes }, plainObjects), { maxLength: 3 }),
    timestampMs: timestamp,
  },
  plainObjects,
);
const someRecords = fc.array(given, { minLength: 1, maxLength: 8 });

function build(list: readonly Given[], initialBytes = 16): Uint8Array {
  const builder = new RecordSetBuilder(initialBytes);
  for (const { key, value, headers, timestampMs } of list) builder.append(key, value, headers, timestampMs);
  return builder.take();
}

function plain(recordSet: Uint8Array): Given[] {
  return [...records(recordSet)].map(({ key, value, headers, timestampMs }) => ({ key, value, headers, timestampMs }));
}

const RecordSet = loadDescriptors().lookupType("millrace.v1.RecordSet");

function refused(wire: ArrayLike<number>, what: RegExp, position?: number): void {
  assert.throws(
    () => walkRecordSet(Uint8Array.from(wire)),
    (error) => {
      assert.ok(error instanceof MillraceError, String(error));
      assert.equal(error.code, "MALFORMED_RECORD_SET");
      assert.match(error.message, what);
      if (position !== undefined) assert.equal(error.metadata["position"], String(position));
      return true;
    },
  );
}

/** A set of one record with such a body. */
const one = (...body: number[]) => [0x0a, body.length, ...body];
/** A set of one record with one header with such a body. */
const oneHeader = (...body: number[]) => one(0x1a, body.length, ...body);

describe("a built record set", () => {
  it("reads back as the records appended", () => {
    fc.assert(fc.property(someRecords, (list) => assert.deepEqual(plain(build(list)), list)));
  });

  it("is what protobufjs reads and writes", () => {
    fc.assert(
      fc.property(someRecords, (list) => {
        const set = build(list);
        const again = RecordSet.encode(RecordSet.decode(set)).finish();
        assert.deepEqual(plain(Uint8Array.from(again)), list);
      }),
    );
  });

  it("takes the bytes foretold", () => {
    fc.assert(
      fc.property(given, ({ key, value, headers, timestampMs }) => {
        const builder = new RecordSetBuilder();
        const foretold = recordBytesOf(key, value, headers, timestampMs);
        assert.equal(builder.append(key, value, headers, timestampMs), foretold);
        assert.equal(builder.byteLength, foretold);
      }),
    );
  });

  it("takes text as UTF-8", () => {
    fc.assert(
      fc.property(anyText(80), fc.constantFrom(1, 1, 100), (piece, times) => {
        const text = piece.repeat(times);
        const builder = new RecordSetBuilder(1);
        const utf8: BytesOrText = new TextEncoder().encode(text);
        builder.append(text, text);
        const asText = builder.take();
        builder.append(utf8, utf8);
        assert.deepEqual(asText, builder.take());
      }),
    );
  });

  it("once taken is never written into again", () => {
    const builder = new RecordSetBuilder();
    builder.append("a", "first");
    const set = builder.take();
    const copy = set.slice();
    builder.append("b", "second");
    assert.deepEqual(set, copy);
    assert.equal(builder.recordCount, 1);
  });

  it("refuses timestamps that are none", () => {
    for (const bad of [-1, 0.5, Number.NaN, TIMESTAMP_MAX + 1]) {
      assert.throws(() => new RecordSetBuilder().append("k", "v", [], bad), { code: "INVALID_REQUEST" });
    }
  });
});

describe("walkRecordSet", () => {
  it("counts records and finds the first and the highest timestamp", () => {
    fc.assert(
      fc.property(someRecords, (list) => {
        const set = build(list);
        const stamps = list.map((record) => record.timestampMs);
        assert.deepEqual(walkRecordSet(set), {
          bytes: set.length,
          recordCount: list.length,
          firstTimestamp: stamps[0],
          maxTimestamp: Math.max(...stamps),
          unstampedCount: stamps.filter((stamp) => stamp === 0).length,
          unknownFieldCount: 0,
        });
      }),
    );
  });

  it("visits each record from its tag to its end", () => {
    fc.assert(
      fc.property(someRecords, (list) => {
        const set = build(list);
        const seen: [number, number][] = [];
        walkRecordSet(set, RECORD_SET_LIMITS, (at, end) => seen.push([at, end]));
        assert.deepEqual(
          seen.flatMap(([at, end]) => plain(set.subarray(at, end))),
          list,
        );
      }),
    );
  });

  it("keeps and counts fields it does not know, in records and headers", () => {
    const unknown = [0x28, 1, 0x32, 1, 9, 0x3d, 1, 2, 3, 4, 0x41, 1, 2, 3, 4, 5, 6, 7, 8];
    const summary = walkRecordSet(Uint8Array.from([...one(...unknown, 0x12, 1, 7), ...oneHeader(0x18, 1)]));
    assert.equal(summary.unknownFieldCount, 5);
    assert.equal(summary.recordCount, 2);
  });

  it("takes a set of exactly the limit and refuses one byte more (case 46)", () => {
    const set = build([{ key: undefined, value: new Uint8Array(100), headers: [], timestampMs: 0 }]);
    assert.equal(walkRecordSet(set, { ...RECORD_SET_LIMITS, bytesMax: set.length }).recordCount, 1);
    assert.throws(() => walkRecordSet(set, { ...RECORD_SET_LIMITS, bytesMax: set.length - 1 }), { code: "RECORD_SET_TOO_LARGE" });
  });

  it("takes an empty record: keyless tombstone without a timestamp", () =>
    assert.equal(walkRecordSet(Uint8Array.of(0x0a, 0)).recordCount, 1));

  const nine = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
  it("refuses an empty set", () => refused([], /no records/, 0));
  it("refuses anything but records in the set", () => refused([0x0a, 0, 0x12, 0], /not a record/, 2));
  it("refuses lengths past the end, of set, record and header", () => {
    refused([0x0a, 3, 0x12, 0], /length 3 with 2 bytes left/);
    refused(one(0x12, 2, 0), /length 2 with 1 bytes left/);
    refused(oneHeader(0x0a, 2, 0x61), /length 2 with 1 bytes left/);
    refused(one(0x41, 1, 2, 3, 4, 5, 6, 7), /truncated field/);
    refused(oneHeader(0x1d, 1, 2, 3), /truncated field/);
    refused([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], /length 4294967295/);
  });
  it("refuses truncated and endless varints (case 40)", () => {
    refused([0x0a], /truncated/);
    refused([0x0a, 0x80], /truncated/);
    refused([0x0a, ...nine, 0x80, 0], /10 bytes/);
    refused(one(0x20, ...nine, 0x80, 0), /10 bytes/);
    refused(one(0x28, ...nine, 0x80, 0), /10 bytes/);
  });
  it("refuses groups (case 39), field number 0, wire types 6 and 7, and a known field with another wire type", () => {
    refused(one(0x0b), /group/);
    refused(one(0x2c), /group/);
    refused(one(0x02, 0), /field number 0/);
    refused(one(0x2e, 0), /wire type 6/);
    refused(one(0x08, 1), /field 1 with wire type 0/);
    refused(one(0x22, 0), /field 4 with wire type 2/);
    refused(oneHeader(0x08, 1), /header field 1 with wire type 0/);
  });
  it("refuses a field given twice", () => {
    refused(one(0x0a, 0, 0x0a, 0), /twice/, 4);
    refused(one(0x12, 0, 0x12, 0), /twice/);
    refused(one(0x20, 1, 0x20, 1), /twice/);
    refused(oneHeader(0x0a, 0, 0x0a, 0), /twice/);
  });
  it("refuses timestamps below 0 and after the year 9999 (cases 42 and 45)", () => {
    refused(one(0x20, ...nine.map(() => 0xff), 0x01), /negative/);
    const last = [...build([{ key: undefined, value: undefined, headers: [], timestampMs: TIMESTAMP_MAX }])];
    refused([...last.slice(0, 4), (last[4] as number) + 1, ...last.slice(5)], /9999/);
    refused(one(0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), /9999/);
  });
  it("refuses header keys that are not UTF-8 (case 43)", () => refused(oneHeader(0x0a, 2, 0xc0, 0x80), /UTF-8/));
  it("refuses 100,000 headers and 100,000 unknown fields (cases 40 and 45)", () => {
    refused(wrap(new Uint8Array(200_000).map((_, at) => (at % 2 === 0 ? 0x1a : 0))), /headers/);
    refused(wrap(new Uint8Array(200_000).map((_, at) => (at % 2 === 0 ? 0x28 : 0))), /unknown fields/);
  });

  it("meets damaged bytes with nothing but its own error, and so does reading them", () => {
    fc.assert(
      fc.property(someRecords, fc.nat(), fc.nat({ max: 255 }), fc.nat(), (list, at, byte, cut) => {
        const set = build(list).slice();
        set[at % set.length] = byte;
        for (const bad of [set, set.subarray(0, cut % set.length)]) {
          onlyMalformed(() => walkRecordSet(bad));
          onlyMalformed(() => plain(bad));
          onlyMalformed(() => cutRecordSet(bad, 3));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("meets arbitrary bytes the same way", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void onlyMalformed(() => walkRecordSet(bytes))),
      { numRuns: 1000 },
    );
  });

  it("accepts only what protobufjs reads as well", () => {
    fc.assert(
      fc.property(someRecords, fc.nat(), fc.nat({ max: 255 }), (list, at, byte) => {
        const set = build(list).slice();
        set[at % set.length] = byte;
        if (onlyMalformed(() => walkRecordSet(set)) === undefined) return;
        const theirs = RecordSet.toObject(RecordSet.decode(set), { arrays: true });
        assert.equal(theirs["records"].length, walkRecordSet(set).recordCount);
      }),
      { numRuns: 500 },
    );
  });
});

describe("cutRecordSet", () => {
  it("leaves out the first records and copies nothing", () => {
    fc.assert(
      fc.property(someRecords, fc.nat(), (list, n) => {
        const set = build(list);
        const skip = n % (list.length + 1);
        const rest = cutRecordSet(set, skip);
        assert.equal(rest.buffer, set.buffer);
        assert.deepEqual(plain(rest), list.slice(skip));
      }),
    );
  });

  it("refuses to leave out more than there are", () => {
    assert.throws(() => cutRecordSet(Uint8Array.of(0x0a, 0), 2), {
      code: "MALFORMED_RECORD_SET",
      message: /1 records, asked to leave out 2/,
    });
  });
});

function onlyMalformed<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    assert.ok(error instanceof MillraceError && error.code === "MALFORMED_RECORD_SET", String(error));
    return undefined;
  }
}

/** A set of one record with such a long body. */
function wrap(body: Uint8Array): Uint8Array {
  const set = new Uint8Array(4 + body.length);
  set.set([0x0a, (body.length & 0x7f) | 0x80, ((body.length >>> 7) & 0x7f) | 0x80, body.length >>> 14]);
  set.set(body, 4);
  return set;
}
