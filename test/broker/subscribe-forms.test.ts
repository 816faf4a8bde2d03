import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { MillraceError } from "../../src/base/errors.ts";
import { Compression } from "../../src/protocol/public.ts";
import { Cluster, recordSet, WALL_START_MS } from "./harness.ts";
import * as rpc from "./stubs.ts";

const COUNT = 60;
const values = Array.from({ length: COUNT }, (_, i) => `v${i}`);
/** Record i is stamped with i hours, far in the past. */
const HOUR = 3_600_000;
const stampOf = (i: number): number => WALL_START_MS - 100 * HOUR + i * HOUR;

describe("Subscribe", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 77 });
    await cluster.createTopic("t");
    await cluster.createTopic("zipped");
    for (let i = 0; i < COUNT; i += 10) {
      // One batch of ten, each with its own time: sets are joined, for a set is its records one after the other.
      const set = Buffer.concat(values.slice(i, i + 10).map((value, at) => recordSet([value], stampOf(i + at))));
      await cluster.call(1, rpc.Produce, { topic: "t", records: set });
      const zipped = { compressedRecords: gzipSync(set), compression: Compression.gzip, recordCount: 10 };
      await cluster.call(1, rpc.Produce, { topic: "zipped", ...zipped });
    }
  });
  after(() => cluster.close());

  const froms = [
    ["the start", {}, 0],
    ["an offset", { offset: 23 }, 23],
    ["a time", { timeMs: stampOf(31) - 1 }, 31],
    ["a time before all", { timeMs: 1 }, 0],
    ["the end", { end: true }, COUNT],
  ] as const;
  const untils = [
    ["an offset", { untilOffset: 45 }, 45],
    ["the end", { untilEnd: true }, COUNT],
    ["a time", { untilTimeMs: stampOf(50) }, 50],
  ] as const;
  for (const [fromName, from, first] of froms) {
    for (const [untilName, until, end] of untils) {
      it(`from ${fromName} until ${untilName}, on every broker`, async () => {
        for (const n of cluster.numbers) {
          const stream = cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, ...from, ...until }] });
          await stream.over();
          assert.equal(stream.error, undefined);
          assert.deepEqual(stream.of(0), values.slice(first, Math.max(first, end)));
          assert.ok(stream.ended.has(0));
        }
      });
    }
  }

  it("keeps to a rate: never ahead of it by more than a portion, and not behind", async () => {
    for (const [n, rate] of [
      [1, 20],
      [2, 30],
      [3, 7.5],
    ] as const) {
      const began = cluster.world.now;
      const stream = cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, untilEnd: true }], maxRate: rate });
      for (const share of [0.25, 0.5, 0.75]) {
        const ms = (COUNT / rate) * share * 1_000;
        await cluster.pass(began + ms - cluster.world.now);
        const due = COUNT * share;
        const got = stream.of(0).length;
        assert.ok(got <= due + rate / 10 + 1 && got >= due - rate / 5 - 2, `${got} records after ${ms} ms at ${rate}/s`);
      }
      await stream.over();
      assert.deepEqual(stream.of(0), values);
    }
  });

  it("keeps to a rate with compressed batches, which stay whole", async () => {
    const began = cluster.world.now;
    const stream = cluster.subscribe(2, { topic: "zipped", partitions: [{ partition: 0, offset: 5, untilOffset: 35 }], maxRate: 20 });
    await stream.over();
    const took = cluster.world.now - began;
    assert.deepEqual(
      stream.responses
        .flatMap(({ batches }) => batches)
        .map(({ baseOffset, recordCount, skipRecords }) => [baseOffset, recordCount, skipRecords]),
      [
        [5, 5, 5],
        [10, 10, 0],
        [20, 10, 0],
        [30, 10, 0],
      ],
    );
    assert.equal(stream.responses.at(-1)?.nextOffset, 35);
    // The pause after the last batch is not waited for.
    assert.ok(took >= 1_150 && took < 1_900, `${took} ms for 25 records and a last batch at 20/s`);
  });

  it("shares a rate among the partitions of one subscription", async () => {
    await cluster.createTopic("two", 2);
    for (const partition of [0, 1]) await cluster.call(1, rpc.Produce, { topic: "two", partition, records: recordSet(values) });
    const began = cluster.world.now;
    const partitions = [0, 1].map((partition) => ({ partition, untilEnd: true }));
    const stream = cluster.subscribe(3, { topic: "two", partitions, maxRate: 40 });
    await cluster.pass(1_000);
    const [a, b] = [stream.of(0).length, stream.of(1).length];
    assert.ok(a + b <= 46 && a + b >= 30 && Math.abs(a - b) <= 12, `${a} and ${b} records in the first second at 40/s`);
    await stream.over();
    assert.ok(cluster.world.now - began >= 2_800);
    assert.deepEqual([stream.of(0), stream.of(1)], [values, values]);
  });

  it("ends where it began when its end lies before, and says the high watermark it knows", async () => {
    const ended = async (offset: number, untilOffset: number) => {
      const stream = cluster.subscribe(2, { topic: "t", partitions: [{ partition: 0, offset, untilOffset }] });
      await stream.over();
      const last = stream.responses.at(-1);
      return [stream.of(0).length, last?.done, last?.nextOffset, last?.highWatermark];
    };
    assert.deepEqual(await ended(5, 2), [0, true, 5, 0]);
    assert.deepEqual(await ended(5, 7), [2, true, 7, COUNT]);
    for (const bad of [{ untilOffset: -5 }, { timeMs: -1 }, { untilTimeMs: -2 }]) {
      const stream = cluster.subscribe(1, { topic: "t", partitions: [{ partition: 0, ...bad }] });
      await stream.over();
      assert.ok(stream.error instanceof MillraceError && stream.error.code === "INVALID_REQUEST", String(stream.error));
    }
    await cluster.refused(3, rpc.ListOffsets, { topic: "t", partitions: [0], timeMs: -1 }, "INVALID_REQUEST");
  });

  it("brings what comes later at the rate, and at once when there was little", async () => {
    const stream = cluster.subscribe(1, { topic: "t", partitions: [{ partition: 0, end: true }], maxRate: 1_000 });
    await cluster.pass(100);
    await cluster.call(2, rpc.Produce, { topic: "t", records: recordSet(["later"]) });
    assert.deepEqual(await stream.has(0, 1), ["later"]);
    stream.cancel();
    await stream.over();
  });
});
