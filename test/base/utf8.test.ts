import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isUtf8, readUtf8, utf8Length, writeUtf8 } from "../../src/base/utf8.ts";
import { anyText } from "../any-text.ts";

/** Any UTF-16, lone surrogates included, short and long. */
const text = fc
  .tuple(
    fc.array(fc.oneof(fc.nat({ max: 0xffff }), fc.integer({ min: 0xd7fe, max: 0xe001 }), fc.nat({ max: 0x90 })), { maxLength: 20 }),
    fc.constantFrom(1, 1, 5, 600),
  )
  .map(([units, times]) => String.fromCharCode(...units).repeat(times));

describe("UTF-8", () => {
  it("is written as the platform's encoder writes it, in the bytes measured", () => {
    fc.assert(
      fc.property(text, fc.nat({ max: 5 }), (given, at) => {
        const expected = new TextEncoder().encode(given);
        assert.equal(utf8Length(given), expected.length);
        const into = new Uint8Array(at + expected.length);
        assert.equal(writeUtf8(given, into, at), into.length);
        assert.deepEqual(into.subarray(at), expected);
      }),
      { numRuns: 500 },
    );
  });

  it("is read back as written, a byte order mark included", () => {
    fc.assert(
      fc.property(anyText(80), (given) => {
        const bytes = new TextEncoder().encode(`\ufeff${given}`);
        assert.equal(readUtf8(bytes, 0, bytes.length), `\ufeff${given}`);
      }),
    );
  });

  it("is well-formed or not as the platform's decoder says (case 43)", () => {
    const tricky = fc.constantFrom(
      0x61,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(tricky, { maxLength: 6 }), (list) => {
        const bytes = Uint8Array.from(list);
        assert.equal(isUtf8(bytes, 0, bytes.length), readUtf8(bytes, 0, bytes.length) !== undefined);
      }),
      { numRuns: 3000 },
    );
  });
});
