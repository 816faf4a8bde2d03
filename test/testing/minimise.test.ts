import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { failureOf, minimise } from "../../src/testing/minimise.ts";

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

it("Of sixty faults the three that matter are found, wherever they stand, and nothing else is kept", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }), async (culprits) => {
      let runs = 0;
      const kept = await minimise(numbers(60), async (some) => {
        runs++;
        return culprits.every((culprit) => some.includes(culprit));
      });
      assert.deepEqual(
        kept,
        [...culprits].sort((a, b) => a - b),
      );
      assert.ok(runs < 120, `${runs} runs`);
    }),
    { numRuns: 50, seed: 7 },
  );
});

it("What fails without any fault needs none, and of one fault one is left", async () => {
  assert.deepEqual(await minimise(numbers(40), async () => true), []);
  assert.deepEqual(await minimise([7], async (some) => some.includes(7)), [7]);
});

it("A failure is known by its row, or by its words without their numbers", () => {
  const failed = (failure: string) => failureOf({ seed: 1, failure });
  assert.equal(failed("L2: row 17 (send ALL): gone\n  L6: row 3"), "L2");
  assert.equal(failed("Error: R8 (committed means durable): group 1\n    at x"), "R8");
  assert.equal(failed("Error: V1: 3 sends have not ended"), "V1");
  assert.equal(failed("InvariantViolated: wal 12 is at 34\n at"), failed("InvariantViolated: wal 9 is at 1\n at other"));
  assert.notEqual(failed("TypeError: x is undefined"), failed("TypeError: y is undefined"));
});
