import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { registerWith } from "../../../src/testing/checkers/groups/register.ts";
import type { GroupHistoryRow } from "../../../src/testing/checkers/groups/rows.ts";
import { runChecker } from "../../../src/testing/checkers/verdict.ts";
import { short } from "../../../src/testing/cluster/shape.ts";
import { Totals } from "../../../src/testing/totals.ts";
import { committed, move, withGroupRows } from "./group-rows.ts";

/** Orders without number, of which none is right: each of these moves may have come at any time or never, and somebody saw what none of them left. */
const tangled = (partition: string, first: number): GroupHistoryRow[] =>
  Array.from({ length: 12 }, (_, k) => k).flatMap((k) => [
    { ...move(first + k, undefined, 10 + k), partition, type: "info", tInv: 700, tRet: Number.POSITIVE_INFINITY },
    { ...committed(first + 20 + k, k === 0 ? 999 : 10 + k), partition, tInv: 700, tRet: 900 },
  ]);

const TRIES_MAX = 500;

describe("C1: searches that are given up", () => {
  it("are counted, and one is let off", () => {
    const { judged, searches, givenUp, violations } = runChecker(registerWith(TRIES_MAX), withGroupRows(...tangled("t-1", 100)));
    assert.deepEqual({ searches, givenUp, violations }, { searches: 2, givenUp: 1, violations: [] });
    assert.ok(judged > 0, "the other one is judged");
  });

  it("are refused where there are several in one run", () => {
    const { violations } = runChecker(registerWith(TRIES_MAX), withGroupRows(...tangled("t-1", 100), ...tangled("t-2", 200)));
    assert.match(violations.join(), /2 of 3 searches were given up/);
  });

  it("fail a corpus where there is more than one in a hundred, and are in its report", () => {
    const totals = new Totals(short);
    const run = (givenUp: number) =>
      totals.add({ ...nothing, verdicts: [{ row: "C1", judged: 1, violations: [], searches: 100, givenUp }] });
    run(1);
    assert.doesNotMatch(totals.missing(1).join(), /gave up/);
    run(2);
    assert.match(totals.missing(2).join(), /C1 gave up 3 of 200 searches, at most one in 100 may be/);
    assert.match(totals.text(), /searches: C1 200; given up: C1 3/);
  });
});

const nothing: Parameters<Totals["add"]>[0] = {
  seed: 1,
  digest: "",
  verdicts: [],
  outOfBounds: [],
  nothingDone: [],
  brokers: 3,
  fired: [],
  faults: {},
  operations: { ok: 1, fail: 0, info: 0 },
  simulatedMs: 1,
  events: 1,
  situations: {},
  errors: {},
};
