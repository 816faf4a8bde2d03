import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InSync } from "../../../src/testing/checkers/in-sync.ts";
import { undamaged } from "../../../src/testing/checkers/undamaged.ts";

describe("L13: who is recorded in sync", () => {
  const judged = (...acks: [end: number, members: [replica: number, has: number][]][]) => {
    const inSync = new InSync();
    for (const [i, [end, members]] of acks.entries())
      inSync.acknowledged(
        i,
        "t-0",
        end,
        members.map(([replica, has]) => ({ replica, has })),
      );
    return inSync.verdict;
  };

  it("has what is acknowledged at ALL, and whoever is not in sync may lack it", () => {
    const { judged: facts, violations } = judged(
      [
        2,
        [
          [1, 2],
          [2, 3],
        ],
      ],
      [5, [[1, 5]]],
    );
    assert.deepEqual({ facts, violations }, { facts: 3, violations: [] });
  });

  it("is refused when one lacks the batch", () => {
    assert.match(
      judged([
        2,
        [
          [1, 2],
          [2, 1],
        ],
      ]).violations.join(),
      /up to 2, and replica 2, recorded in sync, has it on disk up to 1/,
    );
  });

  it("is refused when one joined without an earlier batch", () => {
    assert.match(
      judged(
        [5, [[1, 5]]],
        [
          4,
          [
            [1, 5],
            [2, 4],
          ],
        ],
      ).violations.join(),
      /row 1 .* up to 5, and replica 2/,
    );
  });
});

describe("L13: disks that nobody damaged", () => {
  it("are not found damaged by anybody who looked", () => {
    const verdict = undamaged(new Map([["log.write_failed", 3]]), 4, ["power-cut"]);
    assert.deepEqual(verdict.violations, []);
    assert.ok(verdict.judged >= 4);
  });

  it("are judged only where no fault damaged one", () => {
    assert.equal(undamaged(new Map([["log.hole_found", 1]]), 4, ["crash", "bit-flip"]).judged, 0);
  });

  for (const event of ["log.hole_found", "log.wal_damaged", "log.wal_found_damaged"])
    it(`refuses ${event}`, () => {
      assert.match(undamaged(new Map([[event, 2]]), 4, ["power-cut"]).violations.join(), new RegExp(`nobody damaged: ${event}, 2 times`));
    });
});
