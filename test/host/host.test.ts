import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeBackground } from "../../src/host/background.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { nodeRandom } from "../../src/host/random.ts";
import { THREADS, threadPoolEnvironment, threadPoolSize } from "../../src/host/thread-pool.ts";
import { LANES } from "../../src/log/disk-scheduler.ts";

describe("Node's clock", () => {
  it("calls back once, not when cancelled, and soon comes after what is queued", async () => {
    const clock = nodeClock();
    const order: string[] = [];
    clock.after(0, () => order.push("cancelled")).cancel();
    clock.after(2 ** 40, () => order.push("far")).cancel();
    await new Promise<void>((resolve) => {
      clock.soon(() => {
        order.push("soon");
        clock.after(1, () => {
          order.push("after");
          resolve();
        });
      });
      process.nextTick(() => order.push("queued"));
    });
    assert.deepEqual(order, ["queued", "soon", "after"]);
  });

  it("has a monotonic time that never goes back, and whole wall milliseconds", () => {
    const clock = nodeClock();
    const before = clock.monotonic();
    assert.ok(clock.monotonic() >= before);
    assert.ok(Number.isSafeInteger(clock.wall()));
  });
});

describe("The pool of threads", () => {
  it("has room for every lane of the disk scheduler and the write-ahead log, unless somebody chose otherwise", () => {
    assert.ok(THREADS >= 1 + LANES.write + LANES.sync + LANES.read);
    const size = (env: Record<string, string>): number => threadPoolSize(threadPoolEnvironment(env));
    assert.deepEqual([size({}), size({ UV_THREADPOOL_SIZE: "16" }), size({ UV_THREADPOOL_SIZE: "?" })], [THREADS, 16, 4]);
    assert.equal(threadPoolSize({}), 4);
  });
});

describe("Node's randomness", () => {
  it("stays below the bound and makes uuids of version 4", () => {
    for (let i = 0; i < 100; i++) assert.ok(nodeRandom.below(3) < 3);
    assert.equal(nodeRandom.below(1), 0);
    assert.ok(nodeRandom.below(2 ** 32) >= 0);
    assert.match(nodeRandom.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe("Background work", () => {
  it("runs slice by slice, with others between", async () => {
    const order: string[] = [];
    let left = 3;
    const done = nodeBackground.run(() => {
      order.push("slice");
      setImmediate(() => order.push("other"));
      return --left === 0;
    });
    await done;
    assert.deepEqual(order.slice(0, 4), ["slice", "other", "slice", "other"]);
    assert.equal(left, 0);
  });

  it("rejects with what a slice throws", async () => {
    await assert.rejects(
      nodeBackground.run(() => {
        throw new Error("no");
      }),
      /no/,
    );
  });
});
