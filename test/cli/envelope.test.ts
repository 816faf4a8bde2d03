import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readEnvelope } from "../../src/cli/envelope.ts";
import { headersFlag, lineFormat } from "../../src/cli/outgoing.ts";
import { recordJson, recordKcat } from "../../src/cli/record-text.ts";
import type { RecordHeader } from "../../src/client/index.ts";
import { anyText } from "../any-text.ts";
import { consumed } from "./consumed.ts";

describe("recordJson", () => {
  const json = (key: Uint8Array | string | undefined, value: Uint8Array | string | undefined, headers: readonly RecordHeader[] = []) =>
    recordJson(consumed({ key, value, headers }));

  it("prints the fields in the order of the contract", () => {
    const line = json("k", "v", [{ key: "h", value: Buffer.from("1") }]);
    assert.equal(line, '{"partition":3,"offset":12,"timestamp":5,"key":"k","value":"v","headers":{"h":"1"}}\n');
  });

  it("prints bytes that are no UTF-8 as base64, a tombstone and a missing key as null, and a header given twice as a list", () => {
    const twice = [Buffer.from("1"), undefined].map((value) => ({ key: "h", value }));
    assert.equal(
      json(undefined, new Uint8Array([0xff, 0xfe]), twice),
      '{"partition":3,"offset":12,"timestamp":5,"key":null,"value":{"base64":"//4="},"headers":{"h":["1",null]}}\n',
    );
    assert.match(json("k", undefined), /"value":null/);
  });

  it("prints headers whose order an object would lose as one list of names and values", () => {
    const headers = (...names: string[]) => names.map((key, i) => ({ key, value: Buffer.from(`${i}`) }));
    assert.match(json("k", "v", headers("a", "b", "a")), /"headers":\["a","0","b","1","a","2"\]/);
    assert.match(json("k", "v", headers("b", "1")), /"headers":\["b","0","1","1"\]/);
    assert.match(json("k", "v", headers("b", "b", "a")), /"headers":\{"b":\["0","1"\],"a":"2"\}/);
  });

  it("is JSON that gives back every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.equal(JSON.parse(json("k", text)).value, Buffer.from(text).toString());
      }),
    );
  });
});

describe("recordKcat", () => {
  const header = (key: string, value: string | undefined): RecordHeader => ({
    key,
    value: value === undefined ? undefined : Buffer.from(value),
  });

  it("prints the fields of kcat -J, headers as a list, null for a tombstone and a missing key", () => {
    const headers = [header("h", "1"), header("h", undefined), header("10", "x")];
    assert.equal(
      recordKcat(consumed({ key: "k", value: "v", headers })),
      '{"topic":"t","partition":3,"offset":12,"ts":5,"headers":["h","1","h",null,"10","x"],"key":"k","payload":"v"}\n',
    );
    assert.equal(recordKcat(consumed({})), '{"topic":"t","partition":3,"offset":12,"ts":5,"key":null,"payload":null}\n');
  });

  it("is read as the same record again, whatever bytes are in it", () => {
    const some = fc.option(fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.string({ unit: "grapheme" })), { nil: undefined });
    const names = fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.option(fc.string({ unit: "grapheme" }), { nil: undefined })), {
      maxLength: 4,
    });
    const bytesOf = (part: Uint8Array | string | undefined): string | undefined =>
      part === undefined ? undefined : Buffer.from(part).toString("hex");
    fc.assert(
      fc.property(some, some, names, (key, value, pairs) => {
        const headers = pairs.map(([name, text]) => header(name, text));
        const again = readEnvelope(Buffer.from(recordKcat(consumed({ key, value, headers, timestampMs: 7 }))));
        assert.deepEqual(
          [bytesOf(again.key), bytesOf(again.value), again.partition, again.timestampMs],
          [bytesOf(key), bytesOf(value), 3, 7],
        );
        assert.deepEqual(
          again.headers.map((one) => [one.key, bytesOf(one.value)]),
          headers.map((one) => [Buffer.from(one.key).toString(), bytesOf(one.value)]),
        );
      }),
    );
  });
});

describe("readEnvelope", () => {
  const read = (text: string) => readEnvelope(Buffer.from(text));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    anyText(20).map((text) => Uint8Array.from(Buffer.from(text))),
  );
  const header = fc.record({
    key: fc.oneof(fc.constantFrom("a", "b", "1", "0", "10", "__proto__", "constructor", ""), fc.string({ unit: "grapheme" })),
    value: fc.option(bytes, { nil: undefined }),
  });

  it("makes the record again that consume printed: key, value, headers in their order, partition and time", () => {
    fc.assert(
      fc.property(
        fc.option(bytes, { nil: undefined }),
        fc.option(bytes, { nil: undefined }),
        fc.array(header, { maxLength: 6 }),
        fc.integer({ min: 1, max: 10 ** 12 }),
        (key, value, headers, timestampMs) => {
          const again = readEnvelope(Buffer.from(recordJson(consumed({ key, value, headers, timestampMs }))));
          const plain = (all: Uint8Array | undefined) => (all === undefined ? undefined : [...all]);
          assert.deepEqual(plain(again.key), plain(key));
          assert.deepEqual(plain(again.value), plain(value));
          assert.deepEqual(
            again.headers.map((each) => [each.key, plain(each.value)]),
            headers.map((each) => [each.key, plain(each.value)]),
          );
          assert.deepEqual([again.partition, again.timestampMs], [3, timestampMs]);
        },
      ),
    );
  });

  it("needs only a value, and takes an empty text for a value that is there", () => {
    const record = read('{"value":""}');
    assert.deepEqual([record.key, record.value?.length, record.headers.length], [undefined, 0, 0]);
    assert.deepEqual([record.partition, record.timestampMs], [undefined, undefined]);
    assert.equal(read('{"key":"k","value":null}').value, undefined);
  });

  it("knows the names and the flat list of headers that kcat -J writes", () => {
    const { key, value, headers, timestampMs, partition } = read(
      '{"topic":"t","partition":2,"offset":7,"tstype":"create","ts":12,"broker":1,"headers":["a","1","b",null],"key":"k","payload":"v"}',
    );
    assert.deepEqual([`${key}`, `${value}`, timestampMs, partition], ["k", "v", 12, 2]);
    assert.deepEqual(
      headers.map((each) => [each.key, each.value === undefined ? null : `${each.value}`]),
      [
        ["a", "1"],
        ["b", null],
      ],
    );
  });

  it("refuses what would become another record than the one that was meant, and says which field", () => {
    const wrong: [string, RegExp][] = [
      ["", /not JSON/],
      ["{", /not JSON/],
      ["[]", /not a JSON object/],
      ["7", /not a JSON object/],
      ['{"key":"k"}', /"value" is missing/],
      ['{"value":"v","vlaue":1}', /"vlaue" is no field of a record/],
      ['{"value":"v","payload":"w"}', /its value is given twice/],
      ['{"value":7}', /value must be a string/],
      ['{"value":{"a":1}}', /value must be a string, \{"base64"/],
      ['{"value":{"base64":"a"}}', /value must be a string/],
      ['{"value":{"base64":"//4=","more":1}}', /value must be a string/],
      ['{"value":"\\ud800"}', /value holds half a surrogate pair/],
      ['{"value":"v","key":["k"]}', /key must be a string/],
      ['{"value":"v","headers":"a"}', /headers must be/],
      ['{"value":"v","headers":["a"]}', /name and value in turn/],
      ['{"value":"v","headers":[1,"a"]}', /name and value in turn/],
      ['{"value":"v","headers":{"a":1}}', /header "a" must be/],
      ['{"value":"v","partition":-1}', /partition must be a whole number/],
      ['{"value":"v","timestamp":"now"}', /timestamp must be a whole number/],
    ];
    for (const [text, message] of wrong) assert.throws(() => read(text), { name: "MillraceError", code: "INVALID_REQUEST", message }, text);
    assert.throws(() => readEnvelope(Uint8Array.of(0x7b, 0xff)), /not UTF-8/);
  });
});

describe("lineFormat", () => {
  const none = { key: undefined, keyField: undefined, headers: [], partition: undefined };
  const lang = { key: "lang", value: Buffer.from("en") };

  it("takes a line of text as it stands, with key and headers of the command line", () => {
    const line = Buffer.from('{"id":7}');
    const { read } = lineFormat({ ...none, format: "text", keyField: "id", headers: [lang], partition: 2 });
    assert.deepEqual(read(line), { key: "7", value: line, headers: [lang], partition: 2 });
  });

  it("adds headers of the command line to those of a JSON line, and lets --partition win", () => {
    const { read } = lineFormat({ ...none, format: "json", headers: [lang], partition: 2 });
    const record = read(Buffer.from('{"value":"v","partition":1,"headers":{"a":"1"}}'));
    assert.equal(record.partition, 2);
    assert.deepEqual(
      (record.headers as readonly RecordHeader[]).map(({ key }) => key),
      ["a", "lang"],
    );
  });

  it("has room for the longest record written as JSON", () => {
    const value = new Uint8Array(1_000_000);
    const { lineBytesMax } = lineFormat({ ...none, format: "json" });
    assert.ok(recordJson(consumed({ value })).length < lineBytesMax);
  });

  it("refuses keys of the command line beside those of JSON, and headers without a colon", () => {
    assert.throws(() => lineFormat({ ...none, format: "json", key: "k" }), /leave --key and --key-field out/);
    assert.deepEqual(headersFlag(["a:b:c", "e:"]), [
      { key: "a", value: Buffer.from("b:c") },
      { key: "e", value: Buffer.from("") },
    ]);
    for (const text of ["a", ":b", ""]) assert.throws(() => headersFlag([text]), /--header must be NAME:VALUE/);
  });
});
