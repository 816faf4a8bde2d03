import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JUMP_MS, SETTLED_MS, WallClockWatch } from "../../src/broker/wall-clock.ts";

class Hands {
  mono = 5_000;
  ahead = 1_700_000_000_000;
  monotonic(): number {
    return this.mono;
  }
  wall(): number {
    return this.mono + this.ahead;
  }
}

describe("a watch on the wall clock", () => {
  it("trusts one that goes along, and one that drifts slowly", () => {
    const hands = new Hands();
    const watch = new WallClockWatch(hands);
    for (let i = 0; i < 100; i += 1) {
      hands.mono += 300_000;
      hands.ahead += 30_000;
      assert.equal(watch.jump(), 0);
    }
  });

  it("mistrusts one that jumped, forward or back, until it is back", () => {
    for (const jump of [JUMP_MS + 1, 365 * 86_400_000, -JUMP_MS - 1]) {
      const hands = new Hands();
      const watch = new WallClockWatch(hands);
      hands.ahead += jump;
      assert.equal(watch.jump(), jump);
      hands.mono += 300_000;
      assert.equal(watch.jump(), jump);
      hands.ahead -= jump;
      assert.equal(watch.jump(), 0);
    }
    const hands = new Hands();
    const watch = new WallClockWatch(hands);
    hands.ahead += JUMP_MS;
    assert.equal(watch.jump(), 0, "that much is allowed");
  });

  it("believes a new time that was kept for an hour, and not one that goes on jumping", () => {
    const hands = new Hands();
    const watch = new WallClockWatch(hands);
    hands.ahead += 10 * JUMP_MS;
    assert.notEqual(watch.jump(), 0);
    hands.mono += SETTLED_MS - 1;
    assert.notEqual(watch.jump(), 0);
    hands.ahead += 10 * JUMP_MS;
    assert.notEqual(watch.jump(), 0);
    hands.mono += SETTLED_MS - 1;
    assert.notEqual(watch.jump(), 0);
    hands.mono += 1;
    assert.equal(watch.jump(), 0);
    hands.mono += 1;
    assert.equal(watch.jump(), 0);
  });
});
