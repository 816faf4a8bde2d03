import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogService } from "../../../src/protocol/methods.ts";
import { SubscribeResponse } from "../../../src/protocol/public.ts";
import { range, Scene } from "./members.ts";

const never = (): Promise<never> => new Promise(() => undefined);

/** What came in over all streams of records, and how many of these were opened. */
function watched(scene: Scene): { bytes: number; streams: number } {
  const seen = { bytes: 0, streams: 0 };
  const { serve } = scene.cluster;
  scene.cluster.serve = (path, wire) => {
    if (path !== LogService.Subscribe.path) return serve.call(scene.cluster, path, wire);
    seen.streams++;
    const reply = wire.reply.bind(wire);
    wire.reply = (message) => {
      for (const batch of SubscribeResponse.decode(message).batches) seen.bytes += batch.records?.length ?? batch.compressedRecords.length;
      reply(message);
    };
    return serve.call(scene.cluster, path, wire);
  };
  return seen;
}

describe("GroupConsumer that is slower than its brokers", () => {
  it("takes in no more than its buffer holds and what is under way, however many partitions it has", async () => {
    const scene = new Scene(31, 40);
    for (let n = 0; n < 8; n++) scene.append(1, 100_000);
    scene.cluster.creditBytes = 100_000;
    const seen = watched(scene);
    const { consumer } = scene.member("a", { bufferBytesMax: 2_000_000 }, { concurrency: 1, handler: never });
    await scene.world.run(30_000, () => false);
    // Half of it waits for handlers when the brokers are held; of each of three, up to four batches come at once.
    assert.ok(seen.bytes > 900_000 && seen.bytes < 2_400_000, `${seen.bytes}`);
    assert.ok(seen.streams <= 6, `${seen.streams}`);
    await scene.world.until(consumer.close({ timeoutMs: 1 }));
  });

  it("opens few streams anew while it works on all of its partitions", async () => {
    const scene = new Scene(32, 60);
    for (let n = 0; n < 30; n++) scene.append(10, 1_000);
    const seen = watched(scene);
    const { consumer } = scene.member("a", {}, { concurrency: 64, handler: () => scene.sleep(50) });
    await scene.world.run(40_000, () => scene.settled());
    assert.ok(scene.settled());
    assert.ok(seen.streams <= 25, `${seen.streams}`);
    await scene.world.until(consumer.close());
  });

  it("lets no partition wait for those that are stuck, and opens few streams for it", async () => {
    const scene = new Scene(33, 12);
    for (let n = 0; n < 40; n++) for (const stuck of [0, 1, 2, 3, 4, 5]) scene.append(5, 10_000, stuck);
    const seen = watched(scene);
    const options = { bufferBytesMax: 1_000_000 };
    const handler = ({ partition }: { readonly partition: number }): unknown => (partition < 6 ? never() : undefined);
    const { consumer } = scene.member("a", options, { concurrency: 8, handler });
    await scene.world.run(5_000, () => false);
    for (let n = 1; n <= 20; n++) {
      for (const partition of range(6, 12)) scene.append(3, 10_000, partition);
      await scene.world.run(5_000 + n * 1_000, () => false);
      for (const partition of range(6, 12)) assert.equal(scene.offsets(partition).length, 3 * n);
    }
    assert.ok(seen.streams <= 15, `${seen.streams}`);
    assert.ok(seen.bytes < 6_000_000, `${seen.bytes}`);
    await scene.world.until(consumer.close({ timeoutMs: 1 }));
  });

  it("goes on when a paused partition fills the buffer, and with that one when it is resumed", async () => {
    const scene = new Scene(34, 2);
    for (let n = 0; n < 20; n++) scene.append(10, 1_000);
    const { consumer } = scene.member("a", { bufferBytesMax: 20_000 }, { concurrency: 1 });
    await scene.world.run(100, () => consumer.partitions.length === 2);
    consumer.pause([{ topic: "t", partition: 0 }]);
    assert.ok(await scene.world.run(30_000, () => scene.offsets(1).length === 200));
    assert.ok(scene.offsets(0).length < 200);
    consumer.resume([{ topic: "t", partition: 0 }]);
    assert.ok(await scene.world.run(60_000, () => scene.settled()));
    await scene.world.until(consumer.close());
  });

  it("comes to the end of all partitions, in order, whatever their sizes, its buffer and its pace", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const scene = new Scene(seed, 1 + (seed % 9));
      const { random } = scene.world;
      scene.cluster.creditBytes = 1 + random.below(20_000);
      for (let n = 0; n < 60; n++) scene.append(1 + random.below(5), 1 + random.below(2_000), random.below(1 + (seed % 9)));
      const slow = scene.cluster.logs("t").map(() => (random.below(3) === 0 ? 200 : 5));
      const run = {
        concurrency: 1 + random.below(4),
        handler: (record: { readonly partition: number }) => scene.sleep(slow[record.partition] ?? 0),
      };
      const { consumer } = scene.member("a", { bufferBytesMax: 1 + random.below(20_000) }, run);
      assert.ok(await scene.world.run(120_000, () => scene.settled()), `seed ${seed}: ${scene.cluster.committed("g", "t").join()}`);
      for (const [partition, log] of scene.cluster.logs("t").entries())
        assert.deepEqual(scene.offsets(partition), range(0, log.end), `seed ${seed}`);
      await scene.world.until(consumer.close());
    }
  });
});
