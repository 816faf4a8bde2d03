import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { murmur2, partitionOf } from "../../src/records/murmur2.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

describe("murmur2", () => {
  it("gives the values Kafka's own test expects (UtilsTest.testMurmur2)", () => {
    const expected: [string, number][] = [
      ["21", -973932308],
      ["foobar", -790332482],
      ["a-little-bit-long-string", -985981536],
      ["a-little-bit-longer-string", -1486304829],
      ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
      ["abc", 479470107],
    ];
    for (const [text, hash] of expected) assert.equal(murmur2(ascii(text)), hash, text);
  });

  it("chooses a partition that exists", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 5000 }), (key, partitions) => {
        const partition = partitionOf(key, partitions);
        assert.ok(Number.isInteger(partition) && partition >= 0 && partition < partitions);
      }),
    );
  });

  it("drops the sign bit rather than negating", () => {
    assert.equal(partitionOf(ascii("21"), 1000), (-973932308 & 0x7fffffff) % 1000);
  });
});
