import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CatchUpRate, DECIDE_MS } from "../../../src/broker/catch-up/catch-up-rate.ts";

const CEILING = 64;
const FLOOR = 4;

/** Asks every `DECIDE_MS`, from `now` on. @returns the rates */
function ask(rate: CatchUpRate, now: number, suffers: readonly boolean[]): number[] {
  return suffers.map((each, at) => rate.ask(now + at * DECIDE_MS, 0, each));
}

/** At its floor at time 0. */
function begun(ceiling = CEILING): CatchUpRate {
  const rate = new CatchUpRate(ceiling);
  rate.ask(0, Infinity, false);
  return rate;
}

/** The same, and then as long as it takes to reach the ceiling, at `FULL_AT`. */
function full(): CatchUpRate {
  const rate = begun();
  assert.equal(ask(rate, DECIDE_MS, times(15, false)).at(-1), CEILING);
  return rate;
}
const FULL_AT = 16 * DECIDE_MS;

const times = (count: number, suffers: boolean): boolean[] => Array<boolean>(count).fill(suffers);

describe("The rate of catch-ups", () => {
  it("begins at its floor and reaches its ceiling step by step while nobody suffers", () => {
    const rate = begun();
    assert.equal(rate.bytesPerSecond, FLOOR);
    const rates = ask(rate, DECIDE_MS, times(20, false));
    assert.deepEqual(rates.slice(0, 3), [8, 12, 16]);
    assert.equal(rates.at(-1), CEILING);
  });

  it("falls to its floor while somebody suffers, and no further", () => {
    const rate = full();
    const rates = ask(rate, FULL_AT, times(12, true));
    assert.deepEqual(rates.slice(0, 2), [48, 36]);
    assert.equal(rates.at(-1), FLOOR);
  });

  it("loses one step for one bad moment", () => {
    const rate = full();
    assert.deepEqual(ask(rate, FULL_AT, [true, false, false]), [48, 52, 56]);
  });

  it("decides no more often than what it did can be seen, however often it is asked", () => {
    const rate = begun();
    for (let now = 1; now <= DECIDE_MS; now += 1) rate.ask(now, 0, false);
    assert.equal(rate.bytesPerSecond, 8);
    for (let now = DECIDE_MS + 1; now <= 2 * DECIDE_MS; now += 1) rate.ask(now, 0, now === DECIDE_MS + 7);
    assert.equal(rate.bytesPerSecond, 6, "and one moment between two decisions is not forgotten");
  });

  it("takes a follower's word like its own", () => {
    const rate = full();
    rate.tell(true);
    rate.tell(false);
    assert.deepEqual(ask(rate, FULL_AT, [false, false]), [48, 52]);
  });

  it("begins at its floor again when nothing was sent for a while", () => {
    const rate = full();
    assert.equal(rate.ask(60_000, 4_999, false), CEILING, "a piece that took long to pay for is no such while");
    assert.equal(rate.ask(70_000, 5_001, false), FLOOR);
  });

  it("knows no limit without a ceiling", () => {
    assert.ok(ask(new CatchUpRate(0), 0, [true, false, true]).every((rate) => rate === 0));
  });

  it("stays between floor and ceiling, and rises whenever nobody suffers", () => {
    const said = fc.record({ after: fc.integer({ min: 0, max: 8_000 }), suffers: fc.boolean(), told: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 36 }), fc.array(said, { maxLength: 60 }), (ceiling, story) => {
        const rate = new CatchUpRate(ceiling);
        let now = 0;
        for (const { after, suffers, told } of story) {
          now += after;
          rate.tell(told);
          const given = rate.ask(now, after, suffers);
          assert.ok(given >= ceiling / 16 && given <= ceiling, `${given} of ${ceiling}`);
        }
        assert.equal(ask(rate, now + DECIDE_MS, times(17, false)).at(-1), ceiling);
      }),
      { numRuns: 200 },
    );
  });
});
