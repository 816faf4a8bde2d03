import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { groupCheckers } from "../../../src/testing/checkers/groups/index.ts";
import { checkers } from "../../../src/testing/checkers/index.ts";
import { plantedChanging } from "./planted-changing.ts";
import { plantedGroups } from "./planted-groups.ts";
import { plantedOrder } from "./planted-order.ts";
import { plantedUpkeep } from "./planted-upkeep.ts";
import { plantedValues } from "./planted-values.ts";
import { refusals } from "./rows.ts";

/** L1–L12, L14, L15, L17, R9, R10, M1–M4, V2, C1–C8; those of L13 are in another file. */
describe("Every checker refuses its planted history, by its row", () => {
  const planted = [...plantedValues, ...plantedOrder, ...plantedUpkeep, ...plantedGroups, ...plantedChanging];
  for (const { row, what, evidence, says } of planted) {
    it(`${row}: ${what}`, () => {
      assert.match(refusals(evidence).join("\n"), new RegExp(`^${row} .*(?:${says.source})`, "m"));
    });
  }

  it("no row is without a planted history", () => {
    const rows = new Set(planted.map((each) => each.row));
    assert.deepEqual(
      [...checkers, ...groupCheckers].map((checker) => checker.row).filter((row) => !rows.has(row)),
      [],
    );
  });
});
