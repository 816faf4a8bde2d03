import assert from "node:assert/strict";
import { it } from "node:test";
import { parseOptions } from "../../src/testing/cli-options.ts";
import { nothingDone, outOfBounds } from "../../src/testing/cluster/bounds.ts";
import { flagsOf, short, whole } from "../../src/testing/cluster/shape.ts";
import { FaultRun } from "../../src/testing/sim/faults/fault-run.ts";
import { type PlannedFault, Swarm } from "../../src/testing/sim/faults/plan.ts";
import { SimRandom } from "../../src/testing/sim/random.ts";
import { World } from "../../src/testing/sim/world.ts";

it("A seed of the simulator is whole unless it is asked to be short, and its faults can be named", () => {
  const options = (...args: string[]) => {
    const parsed = parseOptions(args);
    assert.ok(typeof parsed !== "string", String(parsed));
    return parsed;
  };
  assert.equal(options("--seed", "7").shape, whole);
  assert.equal(options("--short", "--seeds", "7").shape, short);
  assert.deepEqual(
    flagsOf(options("--seed", "7", "--short", "--groups").shape),
    ["--short", "--groups"],
    "and is asked for again in the same words",
  );
  assert.deepEqual(flagsOf(options("--seed", "7").shape), []);
  assert.deepEqual([...(options("--seed", "7", "--faults", "3,17").faults ?? [])], [3, 17]);
  assert.equal(options("--seed", "7", "--faults", "none").faults?.size, 0);
});

it("An option the simulator does not know, or a value it cannot take, is refused by its name", () => {
  for (const [args, said] of [
    [["--seed", "7", "--loud"], /unknown option --loud/],
    [["--seed", "x"], /--seed needs a whole number: got x/],
    [["--seeds"], /--seeds needs a whole number: got nothing/],
    [["--seed", "7", "--faults", "a,b"], /--faults needs numbers, or none: got a,b/],
    [["--trace"], /one of --seed and --seeds/],
    [["--seed", "1", "--seeds", "2"], /one of --seed and --seeds/],
  ] as const) {
    const parsed = parseOptions(args);
    assert.match(typeof parsed === "string" ? parsed : "", said);
  }
});

it("A seed that did less than its shape asks for says by name where it left the bounds", () => {
  const fired = Array.from({ length: 12 }, (_, i) => ({ number: i + 1, kind: "crash" as const, overlaps: i < 10 }));
  assert.deepEqual(nothingDone({ operations: { ok: 0, fail: 0, info: 0 }, fired }, whole), ["the run executed nothing"]);
  assert.deepEqual(nothingDone({ operations: { ok: 1, fail: 0, info: 0 }, fired: fired.slice(10) }, whole), ["the run injected nothing"]);
  const good = { simulatedMs: 60_000, operations: { ok: 500, fail: 400, info: 100 }, fired };
  assert.deepEqual(outOfBounds(good, whole), []);
  const bad = { simulatedMs: 59_999, operations: { ok: 400, fail: 500, info: 99 }, fired: fired.slice(1) };
  assert.deepEqual(outOfBounds(bad, whole), [
    "simulated milliseconds: 59999, and a whole seed has at least 60000",
    "operations: 999, and a whole seed has at least 1000",
    "operations of a hundred that ended ok: 40, and a whole seed has at least 50",
    "faults during an open operation: 9, and a whole seed has at least 10",
  ]);
});

it("A masked plan lets the named faults come when, and as, they would have come with all the others", async () => {
  const fire = async (only?: ReadonlySet<number>) => {
    const lines: string[] = [];
    const world = new World(3, (line) => {
      if (line.includes("jumps by")) lines.push(line.trim());
    });
    const machines = ["m1", "m2", "m3"].map((name) => world.machine(name));
    const nothing = () => {};
    const targets = { world, machines, clients: [], restart: nothing, stop: nothing, leaders: () => [], mayLoseDisk: () => false };
    const plan: PlannedFault[] = [1, 2, 3, 4].map((number) => ({
      number,
      kind: "clock-ahead",
      otherwise: "clock-ahead",
      atMs: number * 10,
      lastMs: 5,
      seed: number * 99,
    }));
    const run = new FaultRun({ ...targets, loseDisk: nothing, damaged: nothing, forgets: nothing, swapDisks: () => nothing }, { only });
    run.begin(plan);
    await world.scheduler.run(100);
    return { lines, numbers: run.fired.map(({ number }) => number) };
  };
  const all = await fire();
  const some = await fire(new Set([2, 4]));
  assert.deepEqual(all.numbers, [1, 2, 3, 4]);
  assert.deepEqual(some.numbers, [2, 4]);
  assert.deepEqual(some.lines, [all.lines[1], all.lines[3]]);
});

it("Plans differ from seed to seed in their kinds, and number their faults over all spans of a run", () => {
  const plans = [1, 2, 3, 4, 5].map((seed) => {
    const swarm = new Swarm(new SimRandom(seed), whole.faults);
    return [...swarm.plan(3_000), ...swarm.plan(60_000)];
  });
  for (const plan of plans)
    assert.deepEqual(
      plan.map(({ number }) => number),
      plan.map((_, i) => i + 1),
    );
  assert.equal(new Set(plans.map((plan) => [...new Set(plan.map(({ kind }) => kind))].sort().join())).size, plans.length);
});
