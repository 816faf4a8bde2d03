import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InSync } from "../../../src/testing/checkers/in-sync.ts";
import { type Trimmed, TrimsObeyed } from "../../../src/testing/checkers/trims-obeyed.ts";
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

describe("L13: who joins those in sync", () => {
  const joined = (has: number) => {
    const inSync = new InSync();
    inSync.recorded("t-0", [{ replica: 1, has: 0 }]);
    inSync.acknowledged(1, "t-0", 5, [{ replica: 1, has: 5 }]);
    inSync.recorded("t-0", [
      { replica: 1, has: 5 },
      { replica: 2, has },
    ]);
    return inSync.verdict.violations;
  };

  it("has all that was acknowledged until then", () => assert.deepEqual(joined(5), []));

  it("is refused when it lacks some", () => {
    assert.match(joined(4).join(), /t-0 is acknowledged at ALL up to 5, and replica 2, which joins those in sync, has it on disk up to 4/);
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

describe("L15: a trim", () => {
  /** Its third entry lets go of what lies below 7. */
  const looked = (...steps: Partial<Trimmed>[]) => {
    const trims = new TrimsObeyed();
    const replica = {
      group: 1,
      replica: 11,
      commit: 2,
      lastIndex: 4,
      startOffset: 0,
      trimAt: (index: number) => (index === 3 ? 7 : undefined),
    };
    for (const step of [{}, ...steps]) trims.look(Object.assign(replica, step));
    return trims;
  };
  const judged = (...steps: Partial<Trimmed>[]) => looked(...steps).verdict;

  it("is obeyed once it is committed", () => {
    const { judged: facts, violations } = judged({ commit: 3 }, { startOffset: 7 });
    assert.deepEqual({ facts, violations }, { facts: 1, violations: [] });
  });

  it("is remembered once it is committed, and not before", () => {
    assert.deepEqual([...looked({ lastIndex: 5 }).asked], []);
    assert.deepEqual([...looked({ commit: 4 }, { startOffset: 7 }).asked], [[1, 7]]);
  });

  it("is refused when it is obeyed before", () => {
    assert.match(
      judged({ startOffset: 7 }).violations.join(),
      /replica 11 of group 1 lets go of what lies below 7, as entry 3 says, and only 2/,
    );
  });
});
