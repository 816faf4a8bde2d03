import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { MillraceError } from "../../src/base/errors.ts";
import { Producers } from "../../src/log/model/producers.ts";
import { Acks, Compression } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { Cluster, recordSet, valuesOf, WALL_START_MS } from "./harness.ts";
import * as rpc from "./stubs.ts";

describe("An idempotent producer", () => {
  it("that retries after an unknown outcome writes once, across a change of leaders (case 47)", async () => {
    // The leader is cut off with the batch (it never gets out), or dies once the others have it: both are the same to the producer.
    for (const [round, cut] of [true, false, true, false].entries()) {
      const cluster = await Cluster.start({ seed: 800 + round });
      await cluster.createTopic("t");
      await cluster.moveLeader("t", 0, 1);
      const { producerId } = await cluster.call(2, rpc.InitProducer, {});
      const batch = (baseSequence: number) => ({ topic: "t", records: recordSet([`${baseSequence}`]), producerId, baseSequence });
      for (const sequence of [0, 1, 2]) await cluster.call(3, rpc.Produce, batch(sequence));
      if (cut) {
        cluster.world.network.partition([
          ["b1", "client"],
          ["b2", "b3"],
        ]);
      }
      const lost = cluster.ask(1, rpc.Produce, batch(3), { timeoutMs: 8_000 }).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (!cut) {
        await cluster.pass(round);
        cluster.kill(1);
      }
      const error = await cluster.settle(lost);
      if (cut) assert.ok(error instanceof Error, "nobody else has it: not acknowledged");
      if (error instanceof MillraceError) assert.equal(error.outcomeKnown, false, error.message);
      cluster.world.network.heal();
      const retried = await untilAnswered(cluster, () => cluster.call(2, rpc.Produce, batch(3), { timeoutMs: 9_000 }));
      assert.equal(retried.baseOffset, 3);
      const again = await cluster.call(3, rpc.Produce, batch(3), { timeoutMs: 9_000 });
      assert.deepEqual([again.duplicate, again.baseOffset], [true, 3]);
      await cluster.call(2, rpc.Produce, batch(4));
      if (!cut) await cluster.restart(1);
      for (const n of cluster.numbers) assert.deepEqual(await cluster.values("t", 0, n), ["0", "1", "2", "3", "4"]);
      cluster.close();
    }
  });

  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 810 });
    await cluster.createTopic("t", 2);
  });
  after(() => cluster.close());

  it("of an id the partition does not know must begin at 0 (case 47)", async () => {
    const { producerId } = await cluster.call(1, rpc.InitProducer, {});
    for (const n of cluster.numbers) {
      const error = await cluster.refused(
        n,
        rpc.Produce,
        { topic: "t", records: recordSet(["x"]), producerId, baseSequence: 7 },
        "UNKNOWN_PRODUCER",
      );
      assert.equal(error.metadata["producer_id"], String(producerId));
      assert.ok(error.outcomeKnown && !error.retriable);
    }
  });

  it("is told to wait while damage keeps the leader from knowing what it wrote, and writes once", async () => {
    const { producerId } = await cluster.call(1, rpc.InitProducer, {});
    const batch = (baseSequence: number) => ({ topic: "t", records: recordSet([`${baseSequence}`]), producerId, baseSequence });
    const first = await cluster.call(1, rpc.Produce, batch(0));
    const leader = await cluster.leaderOf("t", 0);
    const { producers } = cluster.replica(leader, await cluster.groupOf("t", 0))?.log ?? {};
    assert.ok(producers instanceof Producers);
    const right = producers.copy();
    producers.adopt(Producers.lost());
    // One that was here before, for all the leader knows, and one at its beginning: both may be retries.
    const other = (await cluster.call(1, rpc.InitProducer, {})).producerId;
    for (const sequence of [0, 1]) {
      const error = await cluster.refused(2, rpc.Produce, { ...batch(sequence), producerId: other }, "NOT_READY");
      assert.ok(error.outcomeKnown && error.retriable);
    }
    const plain = await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(["without an id"]) });
    assert.equal(plain.baseOffset, first.baseOffset + 1);
    const again = await cluster.call(3, rpc.Produce, batch(0));
    assert.deepEqual([again.duplicate, again.baseOffset], [true, first.baseOffset]);
    producers.adopt(right);
    await cluster.call(3, rpc.Produce, { ...batch(0), producerId: other });
  });

  it("that leaves out a sequence is told the expected one; old retries are already written (case 47)", async () => {
    const { producerId } = await cluster.call(1, rpc.InitProducer, {});
    const batch = (baseSequence: number, count = 1) => ({
      topic: "t",
      partition: 1,
      records: recordSet(Array.from({ length: count }, (_, i) => `${baseSequence + i}`)),
      producerId,
      baseSequence,
    });
    for (let sequence = 0; sequence < 7; sequence++) await cluster.call((sequence % 3) + 1, rpc.Produce, batch(sequence));
    for (const n of cluster.numbers) {
      const gap = await cluster.refused(n, rpc.Produce, batch(9), "OUT_OF_ORDER_SEQUENCE");
      assert.equal(gap.metadata["expected_sequence"], "7");
      await cluster.refused(n, rpc.Produce, batch(6, 2), "OUT_OF_ORDER_SEQUENCE");
      await cluster.refused(n, rpc.Produce, batch(0), "ALREADY_WRITTEN");
      const retry = await cluster.call(n, rpc.Produce, batch(3));
      assert.deepEqual([retry.duplicate, retry.baseOffset], [true, 3]);
    }
    assert.deepEqual(await cluster.values("t", 1), ["0", "1", "2", "3", "4", "5", "6"]);
    // Another leader knows the same.
    for (const leader of cluster.numbers) {
      await cluster.moveLeader("t", 1, leader);
      const retry = await cluster.call(leader, rpc.Produce, batch(5));
      assert.deepEqual([retry.duplicate, retry.baseOffset], [true, 5]);
    }
  });

  it("keeps its numbers over a stop of all brokers", async () => {
    const { producerId } = await cluster.call(1, rpc.InitProducer, {});
    const batch = (baseSequence: number) => ({ topic: "t", records: recordSet([`s${baseSequence}`]), producerId, baseSequence });
    const first = await cluster.call(1, rpc.Produce, batch(0));
    for (const n of cluster.numbers) cluster.kill(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    const again = await cluster.call(2, rpc.Produce, batch(0), { timeoutMs: 9_000 });
    assert.deepEqual([again.duplicate, again.baseOffset], [true, first.baseOffset]);
    assert.notEqual((await cluster.call(3, rpc.InitProducer, {})).producerId, producerId);
  });
});

describe("A produce stream with a batch that fails", () => {
  it("refuses what follows in that partition until it is resumed, and only there", async () => {
    const cluster = await Cluster.start({ seed: 820 });
    await cluster.createTopic("t", 2);
    for (const via of cluster.numbers) {
      const before = [(await cluster.values("t", 0)).length, (await cluster.values("t", 1)).length];
      const stream = cluster.produceStream(via);
      const request = (partition: number, value: string) => ({ topic: "t", partition, records: recordSet([value]) });
      stream.send({
        batches: [
          { correlationId: 1, request: request(0, `${via}a`) },
          { correlationId: 2, request: { ...request(0, "broken"), records: Uint8Array.of(0x0a, 99) } },
          { correlationId: 3, request: request(0, "never") },
          { correlationId: 4, request: request(1, `${via}b`) },
        ],
      });
      stream.send({ batches: [{ correlationId: 5, request: request(0, "never either") }] });
      const results = new Map((await stream.answered(5)).map((result) => [result.correlationId, result]));
      const codeOf = (id: number): string | undefined => {
        const error = results.get(id)?.error;
        return error === undefined ? undefined : errorOf(error)?.code;
      };
      assert.deepEqual([1, 2, 3, 4, 5].map(codeOf), [undefined, "MALFORMED_RECORD_SET", "PRECEDING_FAILED", undefined, "PRECEDING_FAILED"]);
      stream.send({ resume: [{ topic: "t", partition: 0 }], batches: [{ correlationId: 6, request: request(0, `${via}c`) }] });
      const sixth = (await stream.answered(6)).at(-1);
      assert.equal(sixth?.response?.baseOffset, (before[0] ?? 0) + 1);
      stream.end();
      await stream.over();
      assert.deepEqual((await cluster.values("t", 0)).slice(before[0]), [`${via}a`, `${via}c`]);
      assert.deepEqual((await cluster.values("t", 1)).slice(before[1]), [`${via}b`]);
    }
    cluster.close();
  });

  it("loses no order when a batch that is inflated first stands before plain ones", async () => {
    const cluster = await Cluster.start({ seed: 821 });
    await cluster.createTopic("t");
    for (const via of cluster.numbers) {
      const stream = cluster.produceStream(via);
      stream.send({
        batches: [
          {
            correlationId: 1,
            request: { topic: "t", compressedRecords: gzipSync(recordSet(["zipped"])), compression: Compression.gzip, recordCount: 1 },
          },
          { correlationId: 2, request: { topic: "t", records: recordSet(["plain"]) } },
        ],
      });
      const [first, second] = await stream.answered(2);
      assert.deepEqual([first?.correlationId, second?.correlationId], [1, 2]);
      assert.equal(second?.response?.baseOffset, (first?.response?.baseOffset ?? 0) + 1);
      stream.cancel();
    }
    cluster.close();
  });

  it("goes on over a change of leaders, whoever it is connected to", async () => {
    const cluster = await Cluster.start({ seed: 822 });
    await cluster.createTopic("t");
    const streams = cluster.numbers.map((n) => cluster.produceStream(n));
    const expected: string[] = [];
    for (let round = 0; round < 6; round++) {
      await cluster.moveLeader("t", 0, (round % 3) + 1);
      for (const [i, stream] of streams.entries()) {
        const value = `${round}.${i}`;
        stream.send({ batches: [{ correlationId: round + 1, request: { topic: "t", records: recordSet([value]) } }] });
        const results = await stream.answered(round + 1);
        assert.equal(results.at(-1)?.error, undefined);
        expected.push(value);
      }
    }
    assert.deepEqual(await cluster.values("t"), expected);
    for (const stream of streams) stream.cancel();
    cluster.close();
  });
});

describe("Compressed batches", () => {
  let cluster: Cluster;
  const plain = recordSet(["one", "two", "three", "four"]);
  const zipped = gzipSync(plain);
  before(async () => {
    cluster = await Cluster.start({ seed: 830 });
    await cluster.createTopic("t");
    await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(["zero"]) });
    await cluster.call(2, rpc.Produce, { topic: "t", compressedRecords: zipped, compression: Compression.gzip, recordCount: 4 });
    await cluster.call(3, rpc.Produce, { topic: "t", records: recordSet(["five"]) });
  });
  after(() => cluster.close());

  it("come out as they went in, with how many records to leave out", async () => {
    for (const n of cluster.numbers) {
      for (let offset = 1; offset < 5; offset++) {
        const { batches } = await cluster.call(n, rpc.Fetch, { topic: "t", offset });
        assert.deepEqual(Buffer.from(batches[0]?.compressedRecords ?? []), zipped);
        assert.equal(batches[0]?.compression, Compression.gzip);
        assert.equal(batches[0]?.records, undefined);
        const skip = batches[0]?.skipRecords ?? 0;
        assert.equal((batches[0]?.baseOffset ?? 0) + 0, offset);
        const values = [...records(gunzipSync(batches[0]?.compressedRecords ?? zipped))].map(({ value }) =>
          Buffer.from(value ?? []).toString(),
        );
        assert.equal(values.slice(skip)[0], ["one", "two", "three", "four"][offset - 1]);
      }
    }
  });

  it("are refused by name to a reader that does not accept them, after what it can read", async () => {
    for (const n of cluster.numbers) {
      const { batches, nextOffset } = await cluster.call(n, rpc.Fetch, { topic: "t", accept: [Compression.none] });
      assert.deepEqual([valuesOf(batches), nextOffset], [["zero"], 1]);
      await cluster.refused(n, rpc.Fetch, { topic: "t", offset: 2, accept: [Compression.none] }, "COMPRESSION_UNSUPPORTED");
      assert.equal((await cluster.call(n, rpc.Fetch, { topic: "t", offset: 2, accept: [Compression.gzip] })).nextOffset, 6);
    }
  });

  it("of a codec to come are refused by its name", async () => {
    for (const [name, compression] of Object.entries(Compression).filter(([name]) => ["zstd", "lz4", "snappy"].includes(name))) {
      const error = await cluster.refused(
        1,
        rpc.Produce,
        { topic: "t", compressedRecords: zipped, compression, recordCount: 4 },
        "COMPRESSION_UNSUPPORTED",
      );
      assert.equal(error.metadata["codec"], name);
      assert.match(error.message, new RegExp(name));
    }
  });
});

describe("A fetch", () => {
  it("is cut at a record border: the first record is the one asked for", async () => {
    const cluster = await Cluster.start({ seed: 840 });
    await cluster.createTopic("t");
    const values = Array.from({ length: 50 }, (_, i) => `value ${i}`);
    for (let i = 0; i < 50; i += 10) await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(values.slice(i, i + 10)) });
    for (let offset = 0; offset < 50; offset++) {
      const via = (offset % 3) + 1;
      const { batches, nextOffset } = await cluster.call(via, rpc.Fetch, { topic: "t", offset, maxBytes: 200 });
      assert.equal(batches[0]?.baseOffset, offset);
      assert.ok(nextOffset > offset);
      assert.deepEqual(valuesOf(batches), values.slice(offset, nextOffset));
      for (const batch of batches) assert.equal([...records(batch.records ?? new Uint8Array(0))].length, batch.recordCount);
    }
    cluster.close();
  });
});

describe("A time", () => {
  it("finds the first record at or after it, by its own time, else by the append time", async () => {
    const cluster = await Cluster.start({ seed: 850 });
    await cluster.createTopic("t");
    const at = (...times: number[]): Uint8Array => {
      const builder = new RecordSetBuilder();
      for (const time of times) builder.append("k", String(time), [], time === 0 ? 0 : WALL_START_MS + time);
      return builder.take();
    };
    await cluster.call(1, rpc.Produce, { topic: "t", records: at(-5_000, -4_000, -3_000) });
    await cluster.call(2, rpc.Produce, { topic: "t", records: at(-1_000, -2_000) });
    const { appendTimeMs } = await cluster.call(3, rpc.Produce, { topic: "t", records: at(0, 0), acks: Acks.all });
    const mixed = await cluster.call(3, rpc.Produce, { topic: "t", records: at(-10_000, 0) });
    for (const leader of cluster.numbers) {
      await cluster.moveLeader("t", 0, leader);
      for (const via of cluster.numbers) {
        const find = async (timeMs: number): Promise<readonly (number | undefined)[]> => {
          const { partitions } = await cluster.call(via, rpc.ListOffsets, { topic: "t", timeMs });
          return [partitions[0]?.offset, partitions[0]?.timestampMs];
        };
        assert.deepEqual(await find(0), [0, WALL_START_MS - 5_000]);
        assert.deepEqual(await find(WALL_START_MS - 4_500), [1, WALL_START_MS - 4_000]);
        assert.deepEqual(await find(WALL_START_MS - 2_500), [3, WALL_START_MS - 1_000]);
        assert.deepEqual(await find(WALL_START_MS - 900), [5, appendTimeMs]);
        assert.deepEqual(await find(appendTimeMs + 1), [8, mixed.appendTimeMs]);
        assert.deepEqual(await find(mixed.appendTimeMs + 1), [undefined, undefined]);
      }
    }
    const subscription = cluster.subscribe(2, {
      topic: "t",
      partitions: [{ partition: 0, timeMs: WALL_START_MS - 2_500, untilTimeMs: appendTimeMs }],
    });
    await subscription.over();
    assert.equal(subscription.error, undefined);
    assert.deepEqual(subscription.of(0), ["-1000", "-2000"]);
    cluster.close();
  });
});

/** As a producer does: the same batch again, for as long as the error says that this helps. */
async function untilAnswered<T>(cluster: Cluster, call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof MillraceError && error.retriable) || tries === 20) throw error;
      await cluster.pass(error.retryAfterMs ?? 100);
    }
  }
}
