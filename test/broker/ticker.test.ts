import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ticker, type Ticking } from "../../src/broker/ticker.ts";
import { World } from "../../src/testing/sim/world.ts";

function ticking(world: World): {
  readonly world: World;
  readonly ticker: Ticker;
  member(first: number, step: number): Ticking & { ticks: number[] };
} {
  const { clock } = world.machine("a").boot();
  const begun = clock.monotonic();
  return {
    world,
    ticker: new Ticker(clock),
    member(first, step) {
      const member = {
        ticks: [] as number[],
        nextDeadline: begun + first,
        tick() {
          member.ticks.push(clock.monotonic() - begun);
          member.nextDeadline = step === 0 ? Infinity : member.nextDeadline + step;
        },
      };
      return member;
    },
  };
}

describe("Ticker", () => {
  it("ticks each member at its own deadline, never before", async () => {
    const { world, ticker, member } = ticking(new World(1));
    const often = member(10, 10);
    const seldom = member(35, 100);
    ticker.add(often);
    ticker.add(seldom);
    await world.scheduler.run(99);
    assert.equal(seldom.ticks.length, 1);
    assert.ok(often.ticks.length >= 8 && often.ticks.length <= 9, `${often.ticks}`);
    for (const [i, at] of often.ticks.entries()) assert.ok(at >= 10 * (i + 1) && at < 10 * (i + 1) + 5, `${at}`);
  });

  it("comes earlier when it is told of an earlier deadline, and leaves alone who is removed", async () => {
    const { world, ticker, member } = ticking(new World(2));
    const early = member(500, 0);
    const gone = member(20, 0);
    ticker.add(early);
    ticker.add(gone);
    ticker.remove(gone);
    Object.assign(early, { nextDeadline: early.nextDeadline - 450 });
    ticker.wakeAt(early, early.nextDeadline);
    await world.scheduler.run(100);
    assert.equal(early.ticks.length, 1);
    assert.deepEqual(gone.ticks, []);
  });

  it("sleeps while nobody has a deadline, and after it was closed", async () => {
    const { world, ticker, member } = ticking(new World(3));
    const never = member(Infinity, 0);
    ticker.add(never);
    await world.scheduler.run(1_000);
    const later = member(1_100, 0);
    ticker.add(later);
    ticker.close();
    await world.scheduler.run(5_000);
    assert.deepEqual([never.ticks, later.ticks], [[], []]);
  });

  it("says how late its timer fired, and does not blame it for a deadline that had passed before", () => {
    let now = 1_000;
    let fire = (): void => {};
    let delay = 0;
    const stub = {
      wall: () => 0,
      soon: () => {},
      monotonic: () => now,
      after: (ms: number, run: () => void) => {
        fire = run;
        delay = ms;
        return { cancel() {} };
      },
    };
    const lates: number[] = [];
    const ticker = new Ticker(stub, (late) => lates.push(late));
    const member = { nextDeadline: now + 10, tick: () => Object.assign(member, { nextDeadline: now - 5 }) };
    ticker.add(member);
    now += 10;
    fire();
    assert.equal(delay, 0);
    now += 7;
    fire();
    assert.deepEqual(lates, [0, 7]);
    ticker.close();
  });
});
