import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { Compression } from "../../src/protocol/public.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { Cluster } from "./harness.ts";
import * as stubs from "./stubs.ts";

const BASE_MS = 1_700_000_000_000;

/** Records `n` seconds after the base. */
function at(...seconds: readonly number[]): Uint8Array {
  const builder = new RecordSetBuilder();
  for (const n of seconds) builder.append(undefined, `${n}`, [], BASE_MS + 1000 * n);
  return builder.take();
}

describe("the offset of a time", () => {
  it("is that of the first record at or after it, also inside a compressed batch, asked of any broker", async () => {
    const cluster = await Cluster.start();
    await cluster.createTopic("t");
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(0, 1, 2) });
    const compressed = { compressedRecords: gzipSync(at(10, 11, 12, 13)), compression: Compression.gzip, recordCount: 4 };
    await cluster.call(1, stubs.Produce, { topic: "t", ...compressed });
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(20) });
    const wanted: readonly (readonly [number, number, number])[] = [
      [-5, 0, 0],
      [1, 1, 1],
      [2.5, 3, 10],
      [10.5, 4, 11],
      [13, 6, 13],
      [13.001, 7, 20],
    ];
    for (const n of cluster.numbers) {
      for (const [seconds, offset, found] of wanted) {
        const { partitions } = await cluster.call(n, stubs.ListOffsets, { topic: "t", partitions: [0], timeMs: BASE_MS + 1000 * seconds });
        const [answer] = partitions;
        assert.deepEqual([answer?.offset, answer?.timestampMs], [offset, BASE_MS + 1000 * found], `broker ${n}, ${seconds} s`);
      }
    }
    cluster.close();
  });

  it("is before everything that was committed while it was searched for: nothing found means the end as it was then", async () => {
    const cluster = await Cluster.start({ seed: 72 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(0, 1) });
    const log = cluster.replica(1, await cluster.groupOf("t", 0))?.log ?? assert.fail();
    const search = log.findTime.bind(log);
    let found = (): void => {};
    const held = new Promise<void>((resolve) => {
      found = resolve;
    });
    log.findTime = async (...args) => {
      const frame = await search(...args);
      await held;
      return frame;
    };
    const asked = cluster.ask(1, stubs.ListOffsets, { topic: "t", partitions: [0], timeMs: BASE_MS + 5_000 });
    await cluster.pass(100);
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(10, 11) });
    found();
    const [answer] = (await cluster.settle(asked)).partitions;
    assert.deepEqual([answer?.offset, answer?.highWatermark], [undefined, 2]);
    cluster.close();
  });
});
