import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { advanceSequence, isSequence, lastSequence, sequenceDistance } from "../../src/records/sequence.ts";

const sequence = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31 - 2));
const count = fc.integer({ min: 1, max: 1_000_000 });

describe("sequence numbers", () => {
  it("wrap from 2^31 - 1 to 0", () => {
    assert.equal(advanceSequence(2 ** 31 - 1, 1), 0);
    assert.equal(lastSequence(2 ** 31 - 1, 2), 0);
    assert.equal(sequenceDistance(2 ** 31 - 1, 0), 1);
  });

  it("advance by what their distance is", () => {
    fc.assert(
      fc.property(sequence, count, (from, n) => {
        const to = advanceSequence(from, n);
        assert.ok(isSequence(to));
        assert.equal(sequenceDistance(from, to), n);
        assert.equal(advanceSequence(lastSequence(from, n), 1), to);
      }),
    );
  });

  it("are whole and not negative", () => {
    for (const no of [-1, 0.5, 2 ** 31, Number.NaN]) assert.equal(isSequence(no), false);
  });
});
