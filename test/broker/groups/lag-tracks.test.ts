import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { joining, offset } from "../../consumer-groups/groups-fixture.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

describe("What is remembered of a group's lag", () => {
  it("is not moved back by a description that waited for a leader while the group went on", () => {
    const run = new CoordinatorRun();
    run.topics.make("t", 1);
    const topicId = run.topics.byName("t")?.id ?? assert.fail();
    const { memberEpoch } = run.told(joining("g", "a", ["t"]));
    const commit = (at: number): void => {
      run.ask({ kind: "commitOffsets", groupId: "g", member: { id: "a", epoch: memberEpoch }, offsets: [offset("t", 0, at)] });
      run.clock.turn();
    };
    const group = () => run.view.image.group("g") ?? assert.fail();
    const ends = { logStartOffset: 0, highWatermark: 200 };
    commit(100);
    const asked = group();
    // A snapshot of the shard begins meanwhile: what is written from now on is another copy of the group.
    run.view.image.slices().next();
    commit(150);
    assert.notEqual(group(), asked);
    const verdicts = [group(), asked, group()].map((one) => run.coordinator.verdictOf(one, topicId, 0, ends));
    run.clock.pass(20_000);
    verdicts.push(run.coordinator.verdictOf(group(), topicId, 0, ends));
    assert.ok(!verdicts.includes("rewind"), verdicts.join());
    run.ask({
      kind: "seekGroup",
      groupId: "g",
      positions: [{ topicId, partition: 0, offset: 1, ...ends }],
      dryRun: false,
      force: true,
    });
    run.clock.turn();
    assert.equal(run.coordinator.verdictOf(group(), topicId, 0, ends), "rewind", "one that was moved back is said to be");
  });
});
