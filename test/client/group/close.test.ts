import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Scene } from "./members.ts";

/** All brokers take what is sent and say nothing, from `from` on for `forMs`. */
function hang(scene: Scene, from: number, forMs: number): void {
  scene.world.after(from, () => {
    for (const address of scene.cluster.addresses) scene.cluster.hung.add(address);
  });
  scene.world.after(from + forMs, () => scene.cluster.hung.clear());
}

describe("GroupConsumer.close", () => {
  it("ends while the joining goes unanswered, and no member is left behind", async () => {
    const scene = new Scene(5, 2);
    hang(scene, 0, 20_000);
    const { consumer, done } = scene.member("a");
    // The joining is given up as unanswered half a second later.
    await scene.world.run(4_500, () => false);
    await scene.world.until(consumer.close({ timeoutMs: 1_000 }), 10_000);
    await done;
    await scene.world.run(120_000, () => false);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("ends and leaves whenever it comes, also while brokers hang", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const scene = new Scene(seed, 4);
      scene.fill(20);
      const { random } = scene.world;
      const hangsAt = seed % 2 === 0 ? 0 : random.below(6_000);
      hang(scene, hangsAt, random.below(12_000));
      const handlerMs = random.below(300);
      const { consumer } = scene.member("a", { commitIntervalMs: 200 }, { handler: () => scene.sleep(handlerMs) });
      await scene.world.run(random.below(12_000), () => false);
      // 2 s for handlers, 7 s at most for the leaving.
      await scene.world
        .until(consumer.close({ timeoutMs: 2_000 }), 9_500)
        .catch((error: unknown) => assert.fail(`seed ${seed}: ${String(error)}`));
      await scene.world.run(scene.world.now + 60_000, () => false);
      assert.deepEqual(scene.cluster.members("g"), [], `seed ${seed}: its session is over`);
    }
  });

  it("ends although nothing is heard of the thread that says the leaving", async () => {
    const scene = new Scene(6, 2);
    const silent = { start: () => ({ post: () => undefined, close: () => undefined }) };
    const consumer = scene.client(undefined, silent).consumer({ group: "g" });
    const done = consumer.run({ topics: ["t"], handler: () => undefined });
    await scene.world.run(1_000, () => false);
    await scene.world.until(consumer.close({ timeoutMs: 1_000 }), 10_000);
    await done;
  });
});
