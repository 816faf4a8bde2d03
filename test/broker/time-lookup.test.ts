import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { defaultLimits } from "../../src/base/broker-config.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
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

/** Searches of one replica's log are held at the disk; each is told by the name of its partition. */
function holdSearches(cluster: Cluster, n: number) {
  const begun: string[] = [];
  const stopped: (() => boolean)[] = [];
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  for (const { log, groupId } of cluster.broker(n).replicas) {
    if (groupId === METADATA_GROUP) continue;
    const search = log.findTime.bind(log);
    log.findTime = async (...args) => {
      begun.push(String(groupId));
      stopped.push(args[3] ?? (() => false));
      await held;
      return search(...args);
    };
  }
  return { begun, stopped, release };
}

const byTime = { topic: "t", partitions: [0], timeMs: BASE_MS + 1_000 };

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

  it("is searched for by time.searches.max at a time, and the others are answered in their turn", async () => {
    const cluster = await Cluster.start({ brokers: 1, seed: 73 });
    await cluster.createTopic("t", 2);
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(0, 1) });
    const { begun, release } = holdSearches(cluster, 1);
    const asked = Array.from({ length: 20 }, () => cluster.ask(1, stubs.ListOffsets, byTime));
    await cluster.pass(100);
    assert.equal(begun.length, defaultLimits.timeSearchesMax);
    // What needs no search does not wait behind them.
    const [ends] = (await cluster.call(1, stubs.ListOffsets, { topic: "t", partitions: [0] })).partitions;
    assert.equal(ends?.highWatermark, 2);
    release();
    for (const { partitions } of await cluster.settle(Promise.all(asked))) assert.equal(partitions[0]?.offset, 1);
    cluster.close();
  });

  it("is not held up by one call that asks for many", async () => {
    const cluster = await Cluster.start({ brokers: 1, seed: 74 });
    await cluster.createTopic("wide", 40);
    await cluster.createTopic("t");
    const { begun, release } = holdSearches(cluster, 1);
    const wide = cluster.ask(1, stubs.ListOffsets, { topic: "wide", timeMs: BASE_MS });
    await cluster.pass(50);
    const one = cluster.ask(1, stubs.ListOffsets, byTime);
    await cluster.pass(50);
    release();
    assert.equal((await cluster.settle(one)).partitions.length, 1);
    assert.equal((await cluster.settle(wide)).partitions.filter(({ error }) => error === undefined).length, 40);
    const turn = begun.indexOf(String(await cluster.groupOf("t", 0)));
    assert.ok(turn > 0 && turn <= 16, `search ${turn} of ${begun.length}`);
    cluster.close();
  });

  it("is given up when its caller cancels or runs out of time, also where another broker leads", async () => {
    const cluster = await Cluster.start({ seed: 75 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    await cluster.call(1, stubs.Produce, { topic: "t", records: at(0, 1) });
    for (const via of [1, 2]) {
      const { begun, stopped, release } = holdSearches(cluster, 1);
      const caller = new AbortController();
      const cancelled = Array.from({ length: 6 }, () => cluster.ask(via, stubs.ListOffsets, byTime, { signal: caller.signal }));
      const late = Array.from({ length: 6 }, () => cluster.ask(via, stubs.ListOffsets, byTime, { timeoutMs: 1_000 }));
      await cluster.pass(200);
      assert.deepEqual([begun.length, stopped.some((each) => each())], [4, false]);
      caller.abort();
      await cluster.settle(Promise.allSettled(cancelled));
      await cluster.pass(100);
      assert.deepEqual(
        stopped.map((each) => each()),
        [true, true, true, true],
        `via ${via}: the caller cancelled`,
      );
      // In time, what is not known has an error of its own.
      for (const { partitions } of await cluster.settle(Promise.all(late)))
        assert.match(partitions[0]?.error?.message ?? "", /deadline passed before the offsets of t-0/);
      // A broker that was asked by another one lets go a moment later.
      await cluster.pass(50);
      release();
      await cluster.pass(100);
      assert.equal(begun.length, 4, `via ${via}: nobody waits for the others`);
    }
    cluster.close();
  });

  it("is given up with the subscription that begins there", async () => {
    const cluster = await Cluster.start({ brokers: 1, seed: 76 });
    await cluster.createTopic("t", 2);
    const { begun, stopped, release } = holdSearches(cluster, 1);
    const start = (partition: number) => ({ partition, timeMs: BASE_MS });
    const stream = cluster.subscribe(1, { topic: "t", partitions: [start(0), start(1)] });
    await cluster.pass(100);
    stream.cancel();
    await cluster.pass(100);
    assert.deepEqual([begun.length, stopped.map((each) => each())], [2, [true, true]]);
    release();
    cluster.close();
  });
});
