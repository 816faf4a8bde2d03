import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OffsetOutOfRange } from "../../../src/client/errors.ts";
import { Scene } from "./members.ts";

/** All brokers take what is sent and say nothing, from `from` on for `forMs`. */
function hang(scene: Scene, from: number, forMs: number): void {
  scene.world.after(from, () => {
    for (const address of scene.cluster.addresses) scene.cluster.hung.add(address);
  });
  scene.world.after(from + forMs, () => scene.cluster.hung.clear());
}

const never = (): Promise<never> => new Promise(() => undefined);

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

  it("ends after its time, whatever a callback does", async () => {
    const scene = new Scene(8, 2);
    const { consumer, done } = scene.member("a", { onRevoked: never });
    await scene.world.run(2_000, () => false);
    await scene.world.until(consumer.close({ timeoutMs: 1_000 }), 2_000);
    await done;
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("waits for a callback that comes to its end in time", async () => {
    const scene = new Scene(9, 1);
    let told = false;
    const onRevoked = async (): Promise<void> => {
      await scene.sleep(5_000);
      told = true;
    };
    const { consumer } = scene.member("a", { onRevoked });
    await scene.world.run(2_000, () => false);
    await scene.world.until(consumer.close(), 10_000);
    assert.ok(told);
  });

  it("takes the shorter of two times", async () => {
    const scene = new Scene(10, 1);
    scene.fill(1);
    const { consumer } = scene.member("a", {}, { handler: never });
    await scene.world.run(2_000, () => false);
    const first = consumer.close();
    await scene.world.until(consumer.close({ timeoutMs: 1_000 }), 2_000);
    await scene.world.until(first, 1);
    const other = scene.member("b", {}, { handler: never });
    await scene.world.run(scene.world.now + 2_000, () => false);
    const short = other.consumer.close({ timeoutMs: 1_000 });
    void other.consumer.close();
    await scene.world.until(short, 2_000);
  });

  it("called by a callback resolves at once, and run ends", async () => {
    const scene = new Scene(11, 2);
    let closed = -1;
    const made = scene.member("a", {
      onLost: async () => {
        const at = scene.world.now;
        await scene.sleep(10);
        await made.consumer.close();
        closed = scene.world.now - at;
      },
    });
    await scene.world.run(2_000, () => false);
    const [memberId = ""] = scene.cluster.members("g");
    scene.cluster.coordinator.ok({ kind: "leave", groupId: "g", memberId, instanceId: undefined, forGood: true });
    await scene.world.until(made.done, 10_000);
    assert.equal(closed, 10);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  for (const [who, close] of [
    ["consumer", (made: ReturnType<Scene["member"]>) => made.consumer.close()],
    ["client", (made: ReturnType<Scene["member"]>) => made.client.close()],
  ] as const)
    it(`of the ${who}, called by a handler, resolves at once: its record is committed, the group is left, and run ends`, async () => {
      const scene = new Scene(12, 1);
      scene.fill(3);
      const channel = scene.cluster.channel.bind(scene.cluster);
      /** Members that were still there when a connection was closed. */
      const left: number[] = [];
      scene.cluster.channel = (address) => ({ ...channel(address), close: () => void left.push(scene.cluster.members("g").length) });
      let took = -1;
      const made = scene.member(
        "a",
        {},
        {
          handler: async () => {
            await scene.sleep(50);
            const at = scene.world.now;
            await close(made);
            took = scene.world.now - at;
            // The handler may still do something.
            await scene.sleep(500);
          },
        },
      );
      await scene.world.until(made.done, 10_000);
      assert.equal(took, 0);
      assert.deepEqual([scene.offsets(0), scene.cluster.committed("g", "t")], [[0], [1]]);
      assert.deepEqual(scene.cluster.members("g"), []);
      await scene.world.run(scene.world.now + 1_000, () => false);
      assert.ok(left.length > 0 && left.every((members) => members === 0), "connections are closed last");
    });

  it("called from outside waits for a handler, also where a timer of that handler calls it when the handler is done", async () => {
    const scene = new Scene(13, 1);
    scene.fill(2);
    let closed = false;
    const made = scene.member(
      "a",
      {},
      {
        handler: async ({ offset }) => {
          if (offset === 0) await scene.sleep(3_000);
          else
            scene.world.after(100, () => {
              scene.fill(1);
              void made.consumer.close().then(() => {
                closed = true;
                assert.deepEqual(scene.cluster.members("g"), []);
              });
            });
        },
      },
    );
    await scene.world.run(2_000, () => false);
    await scene.world.until(made.done, 10_000);
    await scene.world.run(scene.world.now + 1, () => false);
    assert.ok(closed);
  });
});

describe("GroupConsumer that ends by itself", () => {
  it("rejects with what a handler threw, though another handler does not come back", async () => {
    const scene = new Scene(14, 2);
    scene.fill(3);
    const cause = new Error("bad");
    const handler = async ({ partition }: { readonly partition: number }): Promise<void> => {
      if (partition === 1) return never();
      await scene.sleep(1_000);
      throw cause;
    };
    const { done } = scene.member("a", {}, { onError: "stop", handler });
    await assert.rejects(scene.world.until(done, 40_000), cause);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("rejects when a log does not hold its place, though a handler does not come back", async () => {
    const scene = new Scene(15, 2);
    scene.fill(10);
    const first = scene.member("a");
    assert.ok(await scene.world.run(20_000, () => scene.settled()));
    await scene.world.until(first.consumer.close());
    scene.fill(10);
    const [log] = scene.cluster.logs("t");
    assert.ok(log !== undefined);
    log.logStart = 15;
    const { done } = scene.member("b", {}, { handler: never });
    await assert.rejects(scene.world.until(done, 40_000), OffsetOutOfRange);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("may be closed sooner than that", async () => {
    const scene = new Scene(16, 2);
    scene.fill(3);
    const cause = new Error("bad");
    const handler = ({ partition }: { readonly partition: number }): Promise<void> => {
      if (partition === 1) return never();
      throw cause;
    };
    const { consumer, done } = scene.member("a", {}, { onError: "stop", handler });
    await scene.world.run(2_000, () => false);
    void consumer.close({ timeoutMs: 500 });
    await assert.rejects(scene.world.until(done, 1_000), cause);
  });
});
