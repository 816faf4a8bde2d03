import assert from "node:assert/strict";
import { it } from "node:test";
import { createBroker } from "../../src/broker/broker.ts";
import type { MakeBroker } from "../../src/testing/cluster/broker-under-test.ts";
import { plannedFaults } from "../../src/testing/cluster/run-seed.ts";
import { type Shape, short } from "../../src/testing/cluster/shape.ts";
import { judge } from "../../src/testing/judge.ts";
import { failureOf, minimise } from "../../src/testing/minimise.ts";

/** Many faults in little time. */
const crowded: Shape = {
  ...short,
  name: "crowded",
  troubledMs: [2_500, 2_500],
  faults: { kinds: [12, 12], paces: [[80, 300]] },
};

/** Ends for good reasons, and for one that is a bug: its wall clock went back by more than a minute. */
const planted: MakeBroker = (ports, config, options) => {
  let last = 0;
  const clock = {
    monotonic: () => ports.clock.monotonic(),
    wall: () => {
      const now = ports.clock.wall();
      if (now < last - 60_000) options.fatal(new Error("planted: time went back"));
      last = now;
      return now;
    },
    after: (delayMs: number, fire: () => void) => ports.clock.after(delayMs, fire),
    soon: (run: () => void) => ports.clock.soon(run),
  };
  return createBroker({ ...ports, clock }, config, options);
};

it("A plan of forty faults and more is shortened to those that a planted bug needs, which fail in the same way", async () => {
  for (let seed = 1; seed < 20; seed++) {
    const options = { makeBroker: planted, shape: crowded };
    const plan = plannedFaults(seed, options).map(({ number }) => number);
    const failure = failureOf(await judge(seed, options));
    if (failure === undefined) continue;
    assert.match(failure, /planted/);
    assert.ok(plan.length >= 40, `${plan.length} faults are planned`);
    const fails = async (numbers: readonly number[]) => failureOf(await judge(seed, { ...options, faults: new Set(numbers) })) === failure;
    const kept = await minimise(plan, fails);
    assert.ok(kept.length >= 1 && kept.length <= 5, `${kept.length} of ${plan.length} faults are left`);
    return;
  }
  assert.fail("no seed fails");
});
