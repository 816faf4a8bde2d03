import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pace } from "../../../src/broker/catch-up/pace.ts";
import { Turns } from "../../../src/broker/catch-up/turns.ts";
import { World } from "../../../src/testing/sim/world.ts";

describe("catch-ups of one broker", () => {
  it("together send what the rate allows, and save nothing up while idle", async () => {
    const world = new World(1);
    const { clock, process } = world.machine("b1").boot();
    const pace = new Pace(clock, () => 1000);
    const left: number[] = [];
    const send = async (bytes: number): Promise<void> => {
      await pace.take(bytes);
      left.push(Math.floor(clock.monotonic() / 10) * 10);
    };
    const begin = Math.floor(clock.monotonic() / 10) * 10;
    for (const bytes of [500, 2000, 100]) process.soon("send", () => void send(bytes));
    await world.scheduler.run(world.now + 10_000);
    assert.deepEqual(
      left.map((at) => at - begin),
      [0, 500, 2500],
    );
    const later = Math.floor(clock.monotonic() / 10) * 10;
    for (const bytes of [1000, 1000]) process.soon("send", () => void send(bytes));
    await world.scheduler.run(world.now + 10_000);
    assert.deepEqual(
      left.slice(3).map((at) => at - later),
      [0, 1000],
    );
  });

  it("are not held back without a limit", async () => {
    const world = new World(1);
    const pace = new Pace(world.machine("b1").boot().clock, () => 0);
    for (let i = 0; i < 3; i += 1) await pace.take(2 ** 40);
  });

  it("take turns in the order they came, no more at once than replica.catchups.max", async () => {
    const turns = new Turns(2);
    const running: number[] = [];
    const gives: (() => void)[] = [];
    const come = (n: number): Promise<void> =>
      turns.take().then((give) => {
        running.push(n);
        gives.push(give);
      });
    const all = [1, 2, 3, 4].map(come);
    await Promise.all(all.slice(0, 2));
    assert.deepEqual(running, [1, 2]);
    gives[1]?.();
    await all[2];
    assert.deepEqual(running, [1, 2, 3]);
    gives[0]?.();
    await all[3];
    assert.deepEqual(running, [1, 2, 3, 4]);
    for (const give of gives.slice(2)) give();
    await turns.take();
    await turns.take();
  });
});
