import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cluster, recordSet, WALL_START_MS } from "./harness.ts";
import * as stubs from "./stubs.ts";

const DAY_MS = 86_400_000;

async function firstAt(cluster: Cluster, timeMs: number): Promise<readonly [number | undefined, number | undefined]> {
  const { partitions } = await cluster.call(2, stubs.ListOffsets, { topic: "t", timeMs });
  return [partitions[0]?.offset, partitions[0]?.timestampMs];
}

describe("message.timestamp.type", () => {
  it("append: replies carry the time of the append, searches go by it, and the bytes stay", async () => {
    const cluster = await Cluster.start();
    await cluster.createTopic("t", 1, [["message.timestamp.type", "append"]]);
    const sent = [recordSet(["old"], 1_000), recordSet(["far ahead"], WALL_START_MS + 400 * DAY_MS), recordSet(["none"])];
    const times: number[] = [];
    for (const records of sent) {
      times.push((await cluster.call(1, stubs.Produce, { topic: "t", records })).appendTimeMs);
      await cluster.pass(1_000);
    }
    const check = async (): Promise<void> => {
      for (const via of cluster.numbers) {
        const { batches } = await cluster.call(via, stubs.Fetch, { topic: "t", offset: 0 });
        assert.deepEqual(
          batches.map(({ appendTimed, appendTimeMs }) => [appendTimed, appendTimeMs]),
          times.map((time) => [true, time]),
        );
        assert.deepEqual(
          batches.map(({ records }) => Buffer.from(records ?? []).toString("hex")),
          sent.map((records) => Buffer.from(records).toString("hex")),
        );
      }
      const [first = 0, second = 0] = times;
      assert.deepEqual(await firstAt(cluster, 0), [0, first]);
      assert.deepEqual(await firstAt(cluster, first + 1), [1, second]);
      assert.deepEqual(await firstAt(cluster, (times[2] ?? 0) + 1), [undefined, undefined]);
    };
    await check();
    for (const n of cluster.numbers) cluster.powerCut(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    await cluster.leaderOf("t", 0);
    await check();

    await cluster.call(1, stubs.AlterTopic, { name: "t", set: new Map([["message.timestamp.type", "create"]]) });
    // The leader may be another broker than the one that was asked.
    await cluster.pass(500);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["own time"], WALL_START_MS) });
    const { batches } = await cluster.call(1, stubs.Fetch, { topic: "t", offset: 2 });
    assert.deepEqual(
      batches.map(({ appendTimed }) => appendTimed),
      [true, false],
      "from the next batch on",
    );
    await cluster.refused(1, stubs.Produce, { topic: "t", records: sent[1] }, "TIMESTAMP_TOO_NEW");
    cluster.close();
  });
});

describe("a search by time", () => {
  it("finds nothing that was trimmed, though its batch is there", async () => {
    const cluster = await Cluster.start();
    await cluster.createTopic("t");
    const two = Buffer.concat([recordSet(["new"], 5_000), recordSet(["old"], 1_000)]);
    await cluster.call(1, stubs.Produce, { topic: "t", records: two });
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["next"], 4_000) });
    assert.deepEqual(await firstAt(cluster, 3_000), [0, 5_000]);
    await cluster.call(1, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: 1 }] });
    assert.deepEqual(await firstAt(cluster, 3_000), [2, 4_000]);
    assert.deepEqual(await firstAt(cluster, 500), [1, 1_000]);
    assert.deepEqual(await firstAt(cluster, 4_500), [undefined, undefined]);
    cluster.close();
  });
});
