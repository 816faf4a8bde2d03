import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { firstUnprocessed, type LagSample, lagOf, lagTimes } from "../../src/consumer-groups/lag.ts";
import { type LagTrack, track, type Verdict, verdictOf } from "../../src/consumer-groups/verdict.ts";

const WINDOW_MS = 60_000;
/** Every ten seconds: committed, log start offset, high watermark, whether a member holds it, what is to be said. */
type Row = readonly [committed: number | undefined, start: number, end: number, owned: boolean, verdict: Verdict];

function tell(...rows: readonly Row[]): void {
  let before: LagTrack | undefined;
  for (const [place, [committed, logStartOffset, highWatermark, owned, verdict]] of rows.entries()) {
    const now = place * 10_000;
    before = track(before, { committed, logStartOffset, highWatermark }, now);
    assert.equal(verdictOf(before, owned, now, WINDOW_MS), verdict, `at ${now / 1000} s`);
  }
}

const rows = (count: number, row: (n: number) => Row): readonly Row[] => Array.from({ length: count }, (_, n) => row(n));

describe("lag of a group", () => {
  const sample = fc.record({ committed: fc.option(fc.nat(50), { nil: undefined }), logStartOffset: fc.nat(50), highWatermark: fc.nat(50) });

  it("is never negative, and never more than the log holds", () => {
    fc.assert(
      fc.property(sample, (each) => {
        assert.ok(lagOf(each) >= 0);
        assert.ok(lagOf(each) <= Math.max(0, each.highWatermark - each.logStartOffset));
        assert.ok(firstUnprocessed(each) >= each.logStartOffset);
      }),
      { numRuns: 100 },
    );
  });

  const cases: readonly (readonly [string, LagSample, number])[] = [
    ["is what is not committed yet", { committed: 7, logStartOffset: 0, highWatermark: 10 }, 3],
    ["is the whole log without a commit", { committed: undefined, logStartOffset: 4, highWatermark: 10 }, 6],
    ["is nothing where retention has taken all that was not committed", { committed: 3, logStartOffset: 10, highWatermark: 10 }, 0],
    ["is only what retention has left", { committed: 3, logStartOffset: 8, highWatermark: 10 }, 2],
    [
      "is nothing when the commit is newer than the high watermark that was heard of",
      { committed: 12, logStartOffset: 0, highWatermark: 10 },
      0,
    ],
  ];
  for (const [what, each, lag] of cases)
    it(what, () => {
      assert.equal(lagOf(each), lag);
    });

  it("in time is from the first record not done with: to the newest, and to now; never below 0", () => {
    assert.deepEqual(lagTimes(3, 1_000, 4_000, 10_000), { timeLagMs: 3_000, oldestAgeMs: 9_000 });
    assert.deepEqual(lagTimes(3, 12_000, 11_000, 10_000), { timeLagMs: 0, oldestAgeMs: 0 });
    assert.deepEqual(lagTimes(1, 1_000, undefined, 10_000), { timeLagMs: 0, oldestAgeMs: 9_000 });
    assert.deepEqual(lagTimes(0, undefined, 4_000, 10_000), { timeLagMs: 0, oldestAgeMs: 0 });
    assert.equal(lagTimes(3, undefined, 4_000, 10_000), undefined);
  });
});

describe("verdict on a group", () => {
  it("ok: it keeps up, though it is a little behind whenever it is looked at", () => {
    tell(...rows(20, (n) => [n * 100, 0, n * 100 + 5 + (n % 2), true, "ok"]));
  });

  it("ok: nothing is written and nothing is committed for an hour", () => {
    tell(...rows(360, () => [40, 0, 40, false, "ok"]));
  });

  it("ok: it was far behind and comes nearer", () => {
    tell(...rows(20, (n) => [n * 100, 0, 10_000, true, "ok"]));
  });

  it("ok: records that come after a quiet hour are no stall until a window is over", () => {
    tell(...rows(360, () => [40, 0, 40, true, "ok"] as const), ...rows(5, () => [40, 0, 50, true, "ok"] as const), [
      40,
      0,
      50,
      true,
      "stalled",
    ]);
  });

  it("warn: it commits, and falls behind for a whole window", () => {
    tell(
      ...rows(6, (n) => [n, 0, 100 * n + 1, true, "ok"] as const),
      ...rows(6, (n) => [6 + n, 0, 100 * (6 + n) + 1, true, "warn"] as const),
      [1_200, 0, 1_201, true, "ok"],
    );
  });

  it("warn not: the lag stays what it is", () => {
    tell(...rows(20, (n) => [n * 100, 0, n * 100 + 500, true, "ok"]));
  });

  it("stalled: a member holds it, there are records, and nothing is committed for a window; the next commit ends it", () => {
    tell(...rows(6, () => [7, 0, 20, true, "ok"] as const), ...rows(3, () => [7, 0, 20, true, "stalled"] as const), [8, 0, 20, true, "ok"]);
  });

  it("stopped: the same, and nobody holds it; also where nobody ever committed", () => {
    tell(...rows(6, () => [7, 0, 20, false, "ok"] as const), [7, 0, 20, false, "stopped"], [7, 0, 20, true, "stalled"]);
    tell(...rows(6, () => [undefined, 0, 20, false, "ok"] as const), [undefined, 0, 20, false, "stopped"], [1, 0, 20, true, "ok"]);
  });

  it("stopped ends by itself when retention has taken everything that was waited for", () => {
    tell(...rows(6, () => [7, 0, 20, false, "ok"] as const), [7, 0, 20, false, "stopped"], [7, 20, 20, false, "ok"]);
  });

  it("rewind: the committed offset went back; said for a window, and not held against it as lag", () => {
    tell([50, 0, 60, true, "ok"], [10, 0, 60, true, "rewind"], ...rows(5, (n) => [10 + n, 0, 60, true, "rewind"] as const), [
      16,
      0,
      60,
      true,
      "ok",
    ]);
    tell([50, 0, 50, false, "ok"], ...rows(6, () => [10, 0, 60, false, "rewind"] as const), [10, 0, 60, false, "stopped"]);
  });

  it("rewind: the lag it made is not taken for lag that grew", () => {
    tell(
      ...rows(8, (n) => [n * 10, 0, n * 10 + 10, true, "ok"] as const),
      ...rows(6, (n) => [40 + n * 10, 0, 90 + n * 10, true, "rewind"] as const),
      ...rows(6, (n) => [100 + n * 10, 0, 150 + n * 10, true, "ok"] as const),
    );
  });

  it("ok: what had caught up when it was last looked at is not held against, however long ago that was", () => {
    const caughtUp = track(undefined, { committed: 5, logStartOffset: 0, highWatermark: 5 }, 0);
    assert.equal(verdictOf(caughtUp, false, 100 * WINDOW_MS, WINDOW_MS), "ok");
  });

  it("an offset that was deleted is no rewind", () => {
    tell([50, 0, 50, false, "ok"], [undefined, 0, 50, false, "ok"]);
  });
});
