import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { IsrTicks, type Ticked } from "../../src/broker/isr-ticks.ts";
import { World } from "../../src/testing/sim/world.ts";

describe("Ticks of in-sync replicas", () => {
  it("come once per heartbeat while something moves or is replaced, and not at all after that", async () => {
    const world = new World(1);
    const state = { still: false, replaced: true, ticks: 0, resumed: 0 };
    const partition: Ticked = {
      get still() {
        return state.still;
      },
      tickIsr: () => void state.ticks++,
      replica: { leads: true },
      isr: { resume: () => void state.resumed++ },
    };
    const ticks = new IsrTicks(world.machine("a").boot().clock, 100, () => state.replaced);
    const during = async (ms: number): Promise<number> => {
      const before = state.ticks;
      await world.scheduler.run(world.now + ms);
      return state.ticks - before;
    };
    assert.equal(await during(1_000), 0);
    ticks.touch(partition);
    assert.ok((await during(1_000)) >= 9);
    state.still = true;
    assert.ok((await during(1_000)) >= 9, "its replica is being replaced");
    state.replaced = false;
    assert.ok((await during(1_000)) <= 1);
    assert.equal(await during(10_000), 0);
    ticks.touch(partition);
    ticks.touch(partition);
    assert.equal(await during(10_000), 1);
    assert.equal(state.resumed, 2, "once for each time that it came to move");
    ticks.touch(partition);
    ticks.close();
    assert.equal(await during(1_000), 0);
  });
});
