import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { Scene } from "./members.ts";

const code = (expected: string) => (error: unknown) => error instanceof MillraceError && error.code === expected;

/** A member that commits by hand, and has handled 20 records of each partition. */
async function atWork(seed: number) {
  const scene = new Scene(seed, 1);
  scene.fill(20);
  const { consumer } = scene.member("a", { autoCommit: false });
  await scene.world.run(2_000, () => false);
  assert.equal(scene.offsets(0).length, 20);
  return { scene, consumer };
}

describe("GroupConsumer.commit", () => {
  it("fails with what this commit was refused with, not with what ended a former life", async () => {
    const { scene, consumer } = await atWork(41);
    const [id = ""] = scene.cluster.members("g");
    scene.cluster.coordinator.ok({ kind: "leave", groupId: "g", memberId: id, instanceId: undefined, forGood: true });
    await assert.rejects(scene.world.until(consumer.commit()), code("UNKNOWN_MEMBER"));
    assert.ok(await scene.world.run(60_000, () => scene.offsets(0).length === 40), "it is back, and handles them again");
    scene.cluster.coordinator.topics.drop("t");
    await assert.rejects(scene.world.until(consumer.commit()), code("UNKNOWN_TOPIC"));
    await assert.rejects(scene.world.until(consumer.commit()), code("UNKNOWN_TOPIC"), "it would come again");
    await scene.world.until(consumer.close());
  });

  it("fails where the log does not bear it out, and is taken once it does", async () => {
    const { scene, consumer } = await atWork(42);
    // As of a new leader that has not heard yet how far its log is committed.
    scene.cluster.unheard = 5;
    await assert.rejects(scene.world.until(consumer.commit()), code("OFFSET_OUT_OF_RANGE"));
    scene.cluster.unheard = 0;
    await scene.world.until(consumer.commit());
    assert.deepEqual(scene.cluster.committed("g", "t"), [20]);
    await scene.world.until(consumer.close());
  });
});
