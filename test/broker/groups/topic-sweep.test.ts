import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { joining } from "../../consumer-groups/groups-fixture.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

const group = (run: CoordinatorRun) => run.view.image.group("g") ?? assert.fail();

describe("A coordinator that looks after topics", () => {
  it("hands out partitions that were added while there was no room for a frame, soon after there is", () => {
    const run = new CoordinatorRun({ sessionTimeoutMs: 86_400_000 });
    run.topics.make("t", 2);
    run.told(joining("g", "a", ["t"]));
    run.room = run.drafts.length;
    run.topics.grow("t", 4);
    run.coordinator.topicsChanged();
    run.clock.pass(1_000);
    assert.equal(group(run).held.size, 2);
    run.room = Number.POSITIVE_INFINITY;
    run.clock.pass(400);
    assert.equal(group(run).held.size, 4);
  });

  it("asks again whether a topic it has never heard of is gone, when nobody could say", async () => {
    const run = new CoordinatorRun({ sessionTimeoutMs: 86_400_000 });
    run.topics.make("t", 2);
    run.told(joining("g", "a", ["t"]));
    run.deposed();
    run.topics.older([]);
    let reached = false;
    run.onBarrier = () => {
      if (!reached) throw new MillraceError("CONTROLLER_UNKNOWN", "nobody controls");
    };
    run.elected();
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 500) {
        await new Promise((resolve) => setImmediate(resolve));
        run.clock.pass(500);
      }
    };
    await pass(3_000);
    assert.equal(group(run).target.size, 1, "nobody has said that it is gone");
    assert.ok(run.barriers >= 2, `${run.barriers} questions`);
    reached = true;
    await pass(3_000);
    assert.equal(group(run).target.size, 0);
    const { barriers } = run;
    await pass(5_000);
    assert.equal(run.barriers, barriers, "and nobody asks any more");
  });
});
