import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MillraceError } from "../../src/base/errors.ts";
import {
  bool,
  bytes,
  double,
  embedded,
  enumeration,
  int32,
  int64,
  map,
  message,
  oneof,
  optional,
  repeated,
  string,
  submessage,
  uint32,
} from "../../src/protocol/codec/index.ts";
import { ELEMENTS_MAX, UNKNOWN_FIELDS_MAX } from "../../src/protocol/codec/reader.ts";
import { PART_BYTES_MIN } from "../../src/protocol/codec/writer.ts";
import { valueOf } from "./arbitrary.ts";

const Color = { unspecified: 0, red: 1, blue: 5 } as const;
const Leaf = message("test.Leaf", { name: string(1), payload: bytes(2) });
const All = message("test.All", {
  small: int32(1),
  large: int64(2),
  unsigned: uint32(3),
  flag: bool(4),
  ratio: double(5),
  text: string(6),
  blob: bytes(7),
  color: enumeration(8, Color),
  leaf: submessage(9, Leaf),
  maybe: optional(int64(10)),
  numbers: repeated(int64(11)),
  leaves: repeated(submessage(12, Leaf)),
  labels: map(13),
  records: embedded(14),
  left: oneof("side", int64(2000)),
  right: oneof("side", string(2001)),
});

function refused(run: () => unknown, field: string, what: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof MillraceError, String(error));
    assert.equal(error.code, "INVALID_REQUEST");
    assert.equal(error.metadata["field"], field);
    assert.match(error.message, what);
    return true;
  });
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

const decode = (...wire: number[]) => All.decode(Uint8Array.from(wire));

describe("a decoded message", () => {
  it("has every declared field, defaults filled, absent ones undefined", () => {
    assert.deepEqual(All.decode(new Uint8Array(0)), {
      small: 0,
      large: 0,
      unsigned: 0,
      flag: false,
      ratio: 0,
      text: "",
      blob: new Uint8Array(0),
      color: 0,
      leaf: undefined,
      maybe: undefined,
      numbers: [],
      leaves: [],
      labels: new Map(),
      records: undefined,
      left: undefined,
      right: undefined,
    });
  });

  it("views the input where it has bytes", () => {
    const wire = All.encode({ blob: Uint8Array.of(1, 2, 3) });
    assert.equal(All.decode(wire).blob.buffer, wire.buffer);
  });

  it("knows an absent record set from an empty one", () => {
    assert.equal(All.decode(All.encode({})).records, undefined);
    assert.deepEqual(All.decode(All.encode({ records: new Uint8Array(0) })).records, new Uint8Array(0));
  });

  it("reads repeated scalars packed and one by one", () => {
    assert.deepEqual(decode(0x5a, 2, 1, 2, 0x58, 3).numbers, [1, 2, 3]);
  });

  it("passes over fields it does not know, of every wire type", () => {
    const unknown = [0x88, 0x06, 0x96, 0x01, 0x8a, 0x06, 2, 9, 9, 0x8d, 0x06, 1, 2, 3, 4, 0x89, 0x06, 1, 2, 3, 4, 5, 6, 7, 8];
    assert.equal(decode(...unknown, 0x08, 7, ...unknown).small, 7);
  });

  it("passes over unknown messages nested 10,000 deep without entering them (case 39)", () => {
    // From the inside out, written backwards: each level puts its tag (field 100) and its length in front.
    const wire: number[] = [];
    for (let depth = 0; depth < 10_000; depth++) wire.push(...varint(wire.length).reverse(), 0x06, 0xa2);
    assert.equal(All.decode(Uint8Array.from(wire.reverse())).small, 0);
  });

  it("keeps a map key __proto__ a plain key", () => {
    const labels = All.decode(All.encode({ labels: new Map([["__proto__", "x"]]) })).labels;
    assert.deepEqual([...labels], [["__proto__", "x"]]);
  });

  it("holds whole numbers exactly up to 2^53 - 1 either way", () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (large) => assert.equal(All.decode(All.encode({ large, maybe: large })).maybe, large)));
  });

  it("may use any buffer, at any position", () => {
    const wire = All.encode({ text: "grün", ratio: 1.5 });
    const shifted = new Uint8Array(wire.length + 3);
    shifted.set(wire, 3);
    assert.equal(All.decode(shifted.subarray(3)).ratio, 1.5);
    assert.equal(All.decode(shifted.subarray(3)).text, "grün");
  });
});

describe("decode refuses", () => {
  const tenBytes = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
  it("a truncated varint", () => refused(() => decode(0x10, 0x80), "large", /truncated/));
  it("a varint of 11 bytes (case 40)", () => refused(() => decode(0x10, ...tenBytes, 0x80, 0), "large", /64 bits/));
  it("a varint of 11 bytes in an unknown field", () => refused(() => decode(0x88, 0x06, ...tenBytes, 0x80, 0), "", /10 bytes/));
  it("bits beyond the 64th", () => refused(() => decode(0x10, ...tenBytes, 2), "large", /64 bits/));
  it("2^53, and -2^53 (case 41)", () => {
    refused(() => decode(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10), "large", /2\^53/);
    refused(() => decode(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf0, 0xff, 0x01), "large", /2\^53/);
  });
  it("an int32 of more than 32 bits", () => refused(() => decode(0x08, 0xff, 0xff, 0xff, 0xff, 0x0f), "small", /32-bit/));
  it("a negative uint32", () => refused(() => decode(0x18, ...tenBytes.map(() => 0xff), 1), "unsigned", /above 2\^53|unsigned/));
  it("a bool of 2", () => refused(() => decode(0x20, 2), "flag", /bool/));
  it("NaN and infinity (case 42)", () => {
    refused(() => decode(0x29, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f), "ratio", /finite/);
    refused(() => decode(0x29, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f), "ratio", /finite/);
  });
  it("a wrong wire type for a known field", () => refused(() => decode(0x0a, 1, 0), "small", /wire type 2/));
  it("group tags, known number or not, nested 10,000 deep (case 39)", () => {
    refused(() => decode(0x0b), "", /group/);
    refused(() => decode(0x8c, 0x06), "", /group/);
    refused(() => All.decode(new Uint8Array(10_000).fill(0x0b)), "", /group/);
  });
  it("field number 0 and wire types 6 and 7", () => {
    refused(() => decode(0x00, 0), "", /field number 0/);
    refused(() => decode(0x0e), "", /wire type 6/);
    refused(() => decode(0x0f), "", /wire type 7/);
  });
  it("a length past the end, also the end of an inner message", () => {
    refused(() => decode(0x32, 5, 0x61), "text", /length 5 with 1 bytes left/);
    refused(() => decode(0x4a, 3, 0x0a, 2, 0x61, 0x62), "name", /length 2 with 1 bytes left/);
  });
  it("a packed list whose last number is cut off (case 40)", () => refused(() => decode(0x5a, 2, 1, 0x80, 0), "numbers", /truncated/));
  it("overlong, surrogate and truncated UTF-8 (case 43)", () => {
    for (const bad of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff]])
      refused(() => decode(0x32, bad.length, ...bad), "text", /UTF-8/);
  });
  it("an enum value nobody declared (case 42)", () => refused(() => decode(0x40, 2), "color", /unknown value 2/));
  it("a second sub-message or record set", () => {
    refused(() => decode(0x4a, 0, 0x4a, 0), "leaf", /twice/);
    refused(() => decode(0x72, 0, 0x72, 0), "records", /twice/);
  });
  it("two members of a oneof", () => {
    refused(() => All.decode(new Uint8Array([...All.encode({ left: 1 }), ...All.encode({ right: "a" })])), "right", /together with left/);
  });
  it("a million unknown fields (case 40)", () => {
    refused(() => All.decode(new Uint8Array(2 * (UNKNOWN_FIELDS_MAX + 1)).fill(0x78)), "", /unknown fields/);
  });
  it("more elements than the limit", () => {
    const wire = new Uint8Array(2 * (ELEMENTS_MAX + 1));
    for (let at = 0; at < wire.length; at += 2) wire[at] = 0x62;
    refused(() => All.decode(wire), "leaves", /elements/);
  });
  it("damaged bytes with nothing but its own error", () => {
    const records = fc.uint8Array({ maxLength: 30 });
    fc.assert(
      fc.property(valueOf(All, records), fc.nat(), fc.nat({ max: 255 }), fc.nat(), (value, at, byte, cut) => {
        const wire = All.encode(value);
        if (wire.length > 0) wire[at % wire.length] = byte;
        for (const bad of [wire, wire.subarray(0, cut % (wire.length + 1))]) {
          try {
            All.decode(bad);
          } catch (error) {
            assert.ok(error instanceof MillraceError && error.code === "INVALID_REQUEST", String(error));
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("encode", () => {
  it("refuses numbers the field cannot carry", () => {
    for (const small of [0.5, 2 ** 31, -(2 ** 31) - 1, Number.NaN]) refused(() => All.encode({ small }), "small", /int32/);
    for (const large of [2 ** 53, 0.5, Number.NaN]) refused(() => All.encode({ large }), "large", /int64/);
    for (const unsigned of [-1, 2 ** 32]) refused(() => All.encode({ unsigned }), "unsigned", /uint32/);
    refused(() => All.encode({ ratio: Number.POSITIVE_INFINITY }), "ratio", /double/);
  });

  it("after a refusal starts clean", () => {
    assert.throws(() => All.encode({ leaves: [{ name: "a" }], left: 0.5 }));
    assert.equal(All.decode(All.encode({ text: "b" })).text, "b");
  });

  it("writes a lone surrogate as the replacement character", () => {
    assert.equal(All.decode(All.encode({ text: "a\ud800b\udc00" })).text, "a\ufffdb\ufffd");
  });

  it("in parts hands on large byte strings uncopied, in their place", () => {
    const payload = new Uint8Array(PART_BYTES_MIN).fill(7);
    const value = { blob: payload, leaf: { name: "x", payload }, text: "after", records: payload };
    const parts = All.encodeParts(value);
    assert.equal(parts.filter((part) => part === payload).length, 3);
    assert.deepEqual(new Uint8Array(Buffer.concat(parts)), All.encode(value));
  });
});
