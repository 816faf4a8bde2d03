import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** What a caller's "ten years" is when it comes in: the most the listener lets through, and more. */
const FAR_MS = [2_147_483_000, 2 ** 31 - 1, 2 ** 33];

describe("A call with a deadline far ahead", () => {
  it("is handed on like any other, and when it was held for a leader, and leaves nothing behind", async () => {
    const cluster = await Cluster.start({ seed: 71 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    for (const timeoutMs of FAR_MS) {
      await cluster.call(2, stubs.Produce, { topic: "t", records: recordSet(["a"]) }, { timeoutMs });
      await cluster.call(3, stubs.Fetch, { topic: "t", offset: 0 }, { timeoutMs });
      await cluster.call(2, stubs.ListOffsets, { topic: "t", partitions: [0] }, { timeoutMs });
      await cluster.call(3, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: 0 }] }, { timeoutMs });
    }
    for (const n of [2, 3]) assert.equal(cluster.broker(n).numbers?.forwardedBytes, 0);
    cluster.kill(1);
    await cluster.pass(200);
    const held = [2, 3].flatMap((n) =>
      FAR_MS.map((timeoutMs) => cluster.ask(n, stubs.Produce, { topic: "t", records: recordSet(["b"]) }, { timeoutMs })),
    );
    await cluster.settle(Promise.all(held));
    assert.equal((await cluster.values("t")).length, FAR_MS.length * 3);
    for (const n of [2, 3]) assert.equal(cluster.broker(n).numbers?.forwardedBytes, 0);
    cluster.close();
  });
});
