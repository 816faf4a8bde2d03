import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory } from "../../../src/testing/checkers/index.ts";
import { goodGroup } from "./group-rows.ts";
import { soundChanging } from "./planted-changing.ts";
import { sound } from "./planted-groups.ts";
import { good, refusals } from "./rows.ts";

describe("Checkers of consumer groups", () => {
  it("pass a group in which all goes well, and each judges something", () => {
    assert.deepEqual(refusals(goodGroup), []);
    for (const verdict of checkHistory(goodGroup)) assert.ok(verdict.judged > 0, `${verdict.row} judged nothing`);
  });

  it("judge only runs in which groups were at work", () => {
    assert.deepEqual(
      checkHistory(good).filter(({ row }) => row.startsWith("C")),
      [],
    );
  });

  for (const [what, evidence] of [...sound, ...soundChanging])
    it(`find nothing wrong when ${what}`, () => assert.deepEqual(refusals(evidence), []));
});
