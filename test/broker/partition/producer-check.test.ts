import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toLogIndex, toOffset, toTerm } from "../../../src/base/ids.ts";
import { InvariantViolated } from "../../../src/base/invariant.ts";
import { checkProducer, REMEMBERED_BATCHES, SEQUENCE_MODULUS, sequenceAfter } from "../../../src/broker/partition/producer-check.ts";
import type { ProducerBatch, ProducerEntry } from "../../../src/log/types.ts";

const batch = (baseSequence: number, recordCount = 1, epoch = 0) => ({ baseSequence, recordCount, epoch });

/** Batches at index 10, 11, … */
function entry(...batches: [baseSequence: number, recordCount: number][]): ProducerEntry {
  return {
    epoch: 0,
    batches: batches.map(
      ([baseSequence, recordCount], at): ProducerBatch => ({
        baseSequence,
        recordCount,
        baseOffset: toOffset(1000 + at),
        index: toLogIndex(10 + at),
        term: toTerm(3),
        appendTime: 77,
      }),
    ),
  };
}

describe("checkProducer", () => {
  it("lets an unknown producer begin at sequence 0 only", () => {
    assert.deepEqual(checkProducer(undefined, batch(0)), { kind: "accept" });
    assert.deepEqual(checkProducer(undefined, batch(1)), { kind: "refused", code: "UNKNOWN_PRODUCER" });
  });

  it("says that it does not know, where damage may hide the batch", () => {
    for (const sequence of [0, 7]) assert.deepEqual(checkProducer(undefined, batch(sequence), false), { kind: "notKnown" });
    const since = entry([10, 2], [12, 2]);
    assert.deepEqual(checkProducer(since, batch(8, 2), false), { kind: "notKnown" });
    // What came since is known as ever: who wrote it knew what stands before it.
    assert.deepEqual(checkProducer(since, batch(14, 2), false), { kind: "accept" });
    assert.equal(checkProducer(since, batch(12, 2), false).kind, "duplicate");
    assert.deepEqual(checkProducer(since, batch(20, 2), false), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected: 14 });
    const five = entry([10, 2], [12, 2], [14, 2], [16, 2], [18, 2]);
    assert.equal(checkProducer(five, batch(8, 2), false).kind, "alreadyWritten");
  });

  it("accepts the sequence that follows, also across the wrap of i32", () => {
    assert.deepEqual(checkProducer(entry([0, 3]), batch(3, 9)), { kind: "accept" });
    assert.deepEqual(checkProducer(entry([SEQUENCE_MODULUS - 2, 2]), batch(0)), { kind: "accept" });
    assert.deepEqual(checkProducer(entry([SEQUENCE_MODULUS - 1, 4]), batch(3)), { kind: "accept" });
  });

  it("knows a retry by base sequence and count among the last five", () => {
    const known = entry([0, 2], [2, 2], [4, 2], [6, 2], [8, 2]);
    assert.deepEqual(checkProducer(known, batch(4, 2)), { kind: "duplicate", baseOffset: 1002, index: 12, term: 3, appendTime: 77 });
    assert.equal(checkProducer(known, batch(0, 2)).kind, "duplicate");
  });

  it("refuses the same base with another count, and every partial overlap", () => {
    const known = entry([0, 2], [2, 2]);
    for (const wrong of [batch(2, 1), batch(2, 3), batch(1, 2), batch(3, 1), batch(0, 4)]) {
      assert.deepEqual(checkProducer(known, wrong), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected: 4 });
    }
  });

  it("refuses a gap and names the sequence it expects", () => {
    assert.deepEqual(checkProducer(entry([0, 2]), batch(3)), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected: 2 });
  });

  it("answers already written for what lies wholly below five remembered batches, once the frame below them meets the level", () => {
    const known = entry([10, 2], [12, 2], [14, 2], [16, 2], [18, 2]);
    assert.deepEqual(checkProducer(known, batch(8, 2)), { kind: "alreadyWritten", index: 9 });
    assert.deepEqual(checkProducer(known, batch(9, 2)), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected: 20 });
  });

  it("never says already written when fewer than five batches are remembered: then nothing was forgotten", () => {
    assert.deepEqual(checkProducer(entry([10, 2]), batch(8, 2)), { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected: 12 });
  });

  it("refuses another producer epoch", () => {
    assert.deepEqual(checkProducer(entry([0, 1]), batch(1, 1, 1)), { kind: "refused", code: "INVALID_REQUEST" });
    assert.deepEqual(checkProducer(undefined, batch(0, 1, 1)), { kind: "refused", code: "INVALID_REQUEST" });
  });

  it("takes only sequences and counts that the edge has checked", () => {
    assert.throws(() => checkProducer(undefined, batch(-1)), InvariantViolated);
    assert.throws(() => checkProducer(undefined, batch(0, 0)), InvariantViolated);
  });

  it("writes each batch once, in order, under any retries (against the full history)", () => {
    const start = fc.constantFrom(0, SEQUENCE_MODULUS - 12);
    fc.assert(
      fc.property(
        start,
        fc.array(fc.record({ count: fc.integer({ min: 1, max: 4 }), retryBack: fc.nat(9), shift: fc.constantFrom(0, 0, 0, 1, -1) }), {
          maxLength: 40,
          size: "max",
        }),
        (first, steps) => {
          const history: ProducerBatch[] = [];
          let next = first;
          const remember = (recordCount: number) => {
            history.push({
              baseSequence: next,
              recordCount,
              baseOffset: toOffset(history.length),
              index: toLogIndex(history.length + 1),
              term: toTerm(1),
              appendTime: 0,
            });
            next = sequenceAfter(next, recordCount);
          };
          for (let at = 0; at < REMEMBERED_BATCHES; at++) remember(1);
          for (const { count, retryBack, shift } of steps) {
            const known: ProducerEntry = { epoch: 0, batches: history.slice(-REMEMBERED_BATCHES) };
            const original = history.at(-1 - retryBack);
            if (retryBack % 2 === 0 || original === undefined) {
              assert.deepEqual(checkProducer(known, batch(next, count)), { kind: "accept" });
              remember(count);
              continue;
            }
            const tried = {
              baseSequence: (original.baseSequence + shift + SEQUENCE_MODULUS) % SEQUENCE_MODULUS,
              recordCount: original.recordCount,
              epoch: 0,
            };
            const verdict = checkProducer(known, tried);
            const exact = history.find((each) => each.baseSequence === tried.baseSequence && each.recordCount === tried.recordCount);
            if (exact !== undefined && history.indexOf(exact) >= history.length - REMEMBERED_BATCHES) {
              assert.equal(verdict.kind === "duplicate" && verdict.index, exact.index);
            } else if (verdict.kind === "alreadyWritten") {
              const oldest = known.batches[0];
              assert.ok(oldest !== undefined && verdict.index < oldest.index);
            } else if (tried.baseSequence !== next) {
              assert.equal(verdict.kind === "refused" && verdict.code, "OUT_OF_ORDER_SEQUENCE");
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
