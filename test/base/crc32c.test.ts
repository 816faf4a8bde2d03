import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c, crc32cInJs, setCrc32c } from "../../src/base/crc32c.ts";
import { crc32cNative } from "../../src/checksum/native.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

describe("CRC-32C", () => {
  it("gives the values of RFC 3720 B.4", () => {
    assert.equal(crc32cInJs(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32cInJs(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32cInJs(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    assert.equal(crc32cInJs(ascii("123456789")), 0xe3069283);
    assert.equal(crc32cInJs(new Uint8Array(0)), 0);
  });

  it("goes on from a seed as if the bytes were one piece", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(), (bytes, cut) => {
        const at = cut % (bytes.length + 1);
        assert.equal(crc32cInJs(bytes.subarray(at), crc32cInJs(bytes.subarray(0, at))), crc32cInJs(bytes));
      }),
    );
  });

  it("is the same in native code, seeded or not, short or long, at any position of a buffer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 190, maxLength: 600 }), fc.nat({ max: 2 ** 32 - 1 }), fc.nat(), (bytes, seed, cut) => {
        const view = bytes.subarray(cut % 50);
        assert.equal(crc32cNative(view, seed), crc32cInJs(view, seed));
        assert.equal(crc32cNative(view), crc32cInJs(view));
      }),
    );
  });

  it("may be replaced, and put back", () => {
    setCrc32c(() => 7);
    assert.equal(crc32c(ascii("a")), 7);
    setCrc32c(undefined);
    assert.equal(crc32c(ascii("123456789")), 0xe3069283);
  });
});
