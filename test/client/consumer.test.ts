import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { MillraceError } from "../../src/base/errors.ts";
import type { Inflate } from "../../src/base/ports/inflate.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { type Assignment, Client, type ConsumedRecord, type Consumer, OffsetOutOfRange } from "../../src/client/index.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { FakeCluster, fakeAddresses, noFaults } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();

/** @param gunzip default: real */
function setup(seed: number, partitions = 1, gunzip?: Inflate["gunzip"]) {
  const world = new World(seed);
  const cluster = new FakeCluster(world, fakeAddresses(3));
  const logs = cluster.addTopic("t", partitions);
  const inflate = { gunzip: gunzip ?? (async (bytes: Uint8Array) => ({ bytes: new Uint8Array(gunzipSync(bytes)) })) };
  const client = new Client(
    { brokers: cluster.addresses },
    { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry, inflate },
  );
  return { world, cluster, logs, client };
}

/** Appends batches of 1 to 5 records; the value of each is its offset. */
function fill(world: World, log: PartitionLog, count: number, compressed = 0): void {
  const until = log.end + count;
  while (log.end < until) {
    const builder = new RecordSetBuilder();
    const size = Math.min(until - log.end, 1 + world.random.below(5));
    for (let i = 0; i < size; i++) builder.append(`k${log.end + i}`, `${log.end + i}`, [{ key: "h", value: new Uint8Array([1]) }], 0);
    const zip = world.random.chance(compressed);
    const records = zip ? new Uint8Array(gzipSync(builder.take())) : builder.take();
    log.append({ producerId: undefined, baseSequence: 0, count: size, records, compressed: zip });
  }
}

function collect(world: World, consumer: Consumer): { readonly seen: ConsumedRecord[]; readonly done: Promise<void> } {
  const seen: ConsumedRecord[] = [];
  const done = (async () => {
    for await (const record of consumer) {
      seen.push(record);
      // A reader that is slow at times.
      if (world.random.chance(0.05)) await new Promise<void>((resolve) => world.after(20, resolve));
    }
  })();
  done.catch(() => undefined);
  return { seen, done };
}

function offsetsOf(seen: readonly ConsumedRecord[], partition: number): number[] {
  const offsets = seen.filter((record) => record.partition === partition).map((record) => record.offset);
  for (const record of seen) assert.equal(text.decode(record.value), `${record.offset}`);
  return offsets;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

async function read(seed: number, assignment: Omit<Assignment, "topic" | "partition">, count = 100, zip = 0): Promise<number[]> {
  const { world, client, logs } = setup(seed);
  fill(world, logs[0] as PartitionLog, count, zip);
  const consumer = client.consumer();
  consumer.assign([{ topic: "t", partition: 0, ...assignment }]);
  const { seen, done } = collect(world, consumer);
  await world.until(done);
  return offsetsOf(seen, 0);
}

describe("Consumer", () => {
  it("reads from the start to the end as it was when it began", async () => {
    assert.deepEqual(await read(1, { until: "end" }), range(0, 100));
  });

  it("reads from one offset up to, not including, another, also inside batches", async () => {
    for (const [from, to] of [
      [0, 1],
      [13, 14],
      [17, 83],
      [99, 100],
      [50, 50],
    ] as const) {
      for (const zip of [0, 1])
        assert.deepEqual(await read(from * 100 + to, { from: { offset: from }, until: { offset: to } }, 100, zip), range(from, to));
    }
  });

  it("comes to an end at once when there is nothing to read", async () => {
    assert.deepEqual(await read(2, { until: "end" }, 0), []);
    assert.deepEqual(await read(3, { from: "end", until: "end" }), []);
  });

  it("gives key, value, headers and the append time", async () => {
    const { world, client, logs } = setup(4);
    fill(world, logs[0] as PartitionLog, 1);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t", { until: "end" }));
    const { seen, done } = collect(world, consumer);
    await world.until(done);
    const record = seen[0] as ConsumedRecord;
    assert.equal(text.decode(record.key), "k0");
    assert.deepEqual(
      record.headers.map((header) => [header.key, header.value?.[0]]),
      [["h", 1]],
    );
    assert.equal(record.topic, "t");
  });

  it("goes on as records come, from the end", async () => {
    const { world, client, logs } = setup(5);
    const log = logs[0] as PartitionLog;
    fill(world, log, 10);
    const consumer = client.consumer();
    consumer.assign([{ topic: "t", partition: 0, from: "end" }]);
    const { seen } = collect(world, consumer);
    await world.run(world.now + 50, () => false);
    fill(world, log, 10);
    await world.run(world.now + 1000, () => seen.length === 10);
    assert.deepEqual(offsetsOf(seen, 0), range(10, 20));
    assert.equal(consumer.position({ topic: "t", partition: 0 }), 20);
    consumer.close();
  });

  it("reads every record once and in order through breaks, moves, dead brokers, compressed batches and a small buffer", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, client, cluster, logs } = setup(seed * 31, 4);
      cluster.faults = { ...noFaults, breakBefore: 0.1 };
      for (const log of logs) fill(world, log, 50, 0.3);
      const consumer = client.consumer({ bufferBytesMax: 100 });
      await world.until(consumer.subscribe("t", { until: { offset: 120 } }));
      const { seen, done } = collect(world, consumer);
      const more = (): void => {
        for (const log of logs) if (log.end < 120) fill(world, log, Math.min(10, 120 - log.end), 0.3);
        const victim = cluster.addresses[world.random.below(3)] as string;
        cluster.kill(victim);
        for (const log of logs) if (log.leader === victim) cluster.moveLeader(log);
        world.after(100, () => cluster.restart(victim));
        if (world.now < 10_000) world.after(150, more);
      };
      world.after(50, more);
      await world.until(done);
      for (let partition = 0; partition < 4; partition++) assert.deepEqual(offsetsOf(seen, partition), range(0, 120), `seed ${seed}`);
    }
  });

  it("goes on after it had to hold the brokers", async () => {
    const { world, client, logs } = setup(12);
    fill(world, logs[0] as PartitionLog, 300);
    const consumer = client.consumer({ bufferBytesMax: 50 });
    consumer.assign([{ topic: "t", partition: 0, until: "end" }]);
    // Nobody takes anything for a while: the buffer fills and the stream is held.
    await world.run(world.now + 100, () => false);
    const { seen, done } = collect(world, consumer);
    await world.until(done);
    assert.deepEqual(offsetsOf(seen, 0), range(0, 300));
  });

  it("asks for nothing of a partition before it knows where to begin", async () => {
    const { world, client, logs } = setup(13, 2);
    for (const log of logs) fill(world, log, 20);
    const consumer = client.consumer();
    consumer.assign([{ topic: "t", partition: 0 }]);
    const { seen } = collect(world, consumer);
    await world.run(world.now + 1000, () => seen.length === 20);
    consumer.assign([{ topic: "t", partition: 1, from: "end" }]);
    consumer.pause([{ topic: "t", partition: 0 }]);
    await world.run(world.now + 1000, () => false);
    assert.deepEqual(offsetsOf(seen, 1), []);
    consumer.close();
  });

  it("stops fetching a paused partition and goes on where it was", async () => {
    const { world, client, logs } = setup(6, 2);
    for (const log of logs) fill(world, log, 10);
    const consumer = client.consumer();
    consumer.assign([0, 1].map((partition) => ({ topic: "t", partition })));
    const { seen } = collect(world, consumer);
    await world.run(world.now + 1000, () => seen.length === 20);
    consumer.pause([{ topic: "t", partition: 0 }]);
    for (const log of logs) fill(world, log, 10);
    await world.run(world.now + 1000, () => seen.length === 40);
    assert.deepEqual(offsetsOf(seen, 0), range(0, 10));
    assert.deepEqual(offsetsOf(seen, 1), range(0, 20));
    consumer.resume([{ topic: "t", partition: 0 }]);
    await world.run(world.now + 1000, () => seen.length === 40);
    assert.deepEqual(offsetsOf(seen, 0), range(0, 20));
    consumer.close();
  });

  it("says which range is there when the offset is out of range", async () => {
    const { world, client, logs } = setup(7);
    fill(world, logs[0] as PartitionLog, 40);
    (logs[0] as PartitionLog).logStart = 20;
    for (const offset of [3, 41]) {
      const consumer = client.consumer();
      consumer.assign([{ topic: "t", partition: 0, from: { offset } }]);
      await assert.rejects(world.until(collect(world, consumer).done), (error) => {
        assert.ok(error instanceof OffsetOutOfRange);
        assert.deepEqual([error.offset, error.logStartOffset, error.highWatermark], [offset, 20, 40]);
        return true;
      });
    }
  });

  it("fails on a topic that is not there", async () => {
    const { world, client } = setup(8);
    await assert.rejects(world.until(client.consumer().subscribe("nope")), { code: "UNKNOWN_TOPIC" });
    const consumer = client.consumer();
    consumer.assign([{ topic: "nope", partition: 0 }]);
    await assert.rejects(world.until(collect(world, consumer).done), { code: "UNKNOWN_TOPIC" });
  });

  for (const [what, outcome] of [
    ["is found to be damaged", () => Promise.resolve({ failed: "MALFORMED" as const })],
    ["cannot be inflated", () => Promise.reject(new Error("no worker"))],
  ] as const) {
    const wanted = { "is found to be damaged": "DATA_LOSS", "cannot be inflated": "INTERNAL" }[what];
    for (const taken of [true, false]) {
      it(`${taken ? "goes on" : "fails"} when a batch ${what}${taken ? " whose partition was taken away meanwhile" : ""}`, async () => {
        let go: () => void = () => assert.fail("nothing is being inflated");
        const gunzip = (): ReturnType<Inflate["gunzip"]> => new Promise<void>((resolve) => (go = resolve)).then(outcome);
        const { world, client, logs } = setup(21, 2, gunzip);
        fill(world, logs[0] as PartitionLog, 1, 1);
        const consumer = client.consumer();
        consumer.assign([0, 1].map((partition) => ({ topic: "t", partition })));
        const { seen, done } = collect(world, consumer);
        await world.run(world.now + 1000, () => false);
        if (taken) consumer.unassign([{ topic: "t", partition: 0 }]);
        go();
        await world.run(world.now + 1000, () => false);
        fill(world, logs[1] as PartitionLog, 10);
        if (taken) await world.run(world.now + 1000, () => seen.length === 10);
        else await assert.rejects(world.until(done), { code: wanted });
        assert.deepEqual(offsetsOf(seen, 1), taken ? range(0, 10) : []);
        consumer.close();
      });
    }
  }

  it("goes on when a place cannot be looked up of a partition that was taken away meanwhile", async () => {
    for (const added of [false, true]) {
      const { world, cluster, client, logs } = setup(22, 4);
      for (const log of logs) fill(world, log, 10);
      const [, , refused] = logs as [PartitionLog, PartitionLog, PartitionLog];
      cluster.refusals.set(refused, new MillraceError("UNKNOWN_PARTITION", "none such"));
      const consumer = client.consumer();
      const names = [1, 2, 3].map((partition) => ({ topic: "t", partition }));
      consumer.assign([{ topic: "t", partition: 0 }]);
      // Those that are looked up with it, and others.
      if (added) consumer.assignAdded("t", 1);
      else consumer.assign(names);
      consumer.assign([{ topic: "nope", partition: 0 }]);
      const { seen, done } = collect(world, consumer);
      await world.run(world.now + 60_000, () => {
        // At once, and those that are added as soon as they are.
        for (const topic of ["t", "nope"]) consumer.unassign([{ topic, partition: topic === "t" ? 2 : 0 }]);
        return seen.length === 30;
      });
      assert.deepEqual(
        [0, 1, 2, 3].map((partition) => offsetsOf(seen, partition).length),
        [10, 10, 0, 10],
      );
      // One that is wanted ends it still.
      consumer.assign([{ topic: "t", partition: 2 }]);
      await assert.rejects(world.until(done), { code: "UNKNOWN_PARTITION" });
    }
  });

  it("refuses a place no log can have", () => {
    const { client } = setup(9);
    for (const from of [{ offset: -1 }, { offset: 1.5 }, { timeMs: Number.NaN }]) {
      assert.throws(() => client.consumer().assign([{ topic: "t", partition: 0, from }]), { code: "INVALID_REQUEST" });
    }
  });

  it("hands batches to onBatch one at a time, waiting for what it returns", async () => {
    const { world, client, logs } = setup(10);
    fill(world, logs[0] as PartitionLog, 100, 0.5);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t", { until: "end" }));
    let busy = false;
    let next = 0;
    await world.until(
      consumer.run({
        onBatch: async (batch) => {
          assert.equal(busy, false);
          busy = true;
          assert.equal(batch.baseOffset, next);
          next = batch.endOffset;
          assert.equal([...batch].length, batch.count);
          await new Promise<void>((resolve) => world.after(3, resolve));
          busy = false;
        },
      }),
    );
    assert.equal(next, 100);
  });

  it("fails rather than leave out records that a broker left out", async () => {
    // Also when those before and behind it come in one message.
    for (const seed of [11, 12, 13, 14, 15]) {
      const { world, client, logs } = setup(seed);
      const log = logs[0] as PartitionLog;
      fill(world, log, 30);
      log.batches.splice(3, 1);
      const consumer = client.consumer();
      consumer.assign([{ topic: "t", partition: 0, until: "end" }]);
      await assert.rejects(world.until(collect(world, consumer).done), { code: "DATA_LOSS" });
    }
  });
});
