import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { joining, offset } from "../../consumer-groups/groups-fixture.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

const DAY = 86_400_000;
const RETENTION = 7 * DAY;

/** A group of one member has committed, and is empty; all of it while the coordinator's clock was so far behind, and not trusted. */
function leftBehind(behindMs: number): CoordinatorRun {
  const run = new CoordinatorRun();
  run.topics.make("t", 1);
  const wall = run.clock.wall.bind(run.clock);
  run.trusted = false;
  run.clock.wall = () => wall() - behindMs;
  const { memberEpoch } = run.told(joining("g", "a", ["t"]));
  run.ask({ kind: "commitOffsets", groupId: "g", member: { id: "a", epoch: memberEpoch }, offsets: [offset("t", 0, 500)] });
  run.clock.turn();
  run.ask({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
  run.clock.turn();
  run.deposed();
  run.clock.wall = wall;
  return run;
}

describe("Expiry of offsets that were committed while the coordinator's clock was wrong", () => {
  it("keeps them as long as all others, from when the next one's clock is trusted", () => {
    const run = leftBehind(8 * DAY);
    const offsets = (): number => run.view.image.group("g")?.offsets.size ?? 0;
    run.elected();
    run.clock.pass(DAY);
    assert.equal(offsets(), 1, "nothing expires while the clock is not trusted");
    run.trusted = true;
    run.clock.pass(RETENTION - 60_000);
    assert.equal(offsets(), 1);
    run.clock.pass(DAY);
    assert.equal(offsets(), 0);
    assert.equal(run.view.image.group("g"), undefined);
  });
});
