import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Client, type ClientOptions, type ConsumedRecord, type Consumer, type Producer } from "../../src/client/index.ts";
import { METADATA_REFRESH_MS } from "../../src/client/metadata.ts";
import { records } from "../../src/records/log-record.ts";
import { partitionOf } from "../../src/records/murmur2.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { FakeCluster, fakeAddresses } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();

function setup(seed: number, partitions: number, options: Partial<ClientOptions> = {}) {
  const world = new World(seed);
  const cluster = new FakeCluster(world, fakeAddresses(3));
  const logs = cluster.addTopic("t", partitions);
  const client = new Client(
    { brokers: cluster.addresses, ...options },
    { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry },
  );
  return { world, cluster, logs, client };
}

function fill(log: PartitionLog, values: readonly string[]): void {
  const builder = new RecordSetBuilder();
  for (const value of values) builder.append(undefined, value, [], 0);
  log.append({ producerId: undefined, baseSequence: 0, count: values.length, records: builder.take(), compressed: false });
}

function keysOf(log: PartitionLog): string[] {
  return log.batches.flatMap((batch) => [...records(batch.records)].map((record) => text.decode(record.key)));
}

/** One record now and then, as a service that runs for long sends them. */
async function trickle(world: World, producer: Producer, forMs: number): Promise<void> {
  for (const end = world.now + forMs; world.now < end; ) {
    await world.until(producer.send({ topic: "t", partition: 0, key: "-", value: "x" }));
    await world.run(world.now + 500, () => false);
  }
}

function collect(consumer: Consumer): ConsumedRecord[] {
  const seen: ConsumedRecord[] = [];
  void (async () => {
    for await (const record of consumer) seen.push(record);
  })();
  return seen;
}

describe("A producer that runs while its topic grows", () => {
  const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`);

  it("spreads keys over all partitions once it heard of them, as it would from a new start, and keyless records too", async () => {
    const { world, cluster, logs, client } = setup(1, 2);
    const producer = client.producer({ batchBytesMax: 100 });
    await world.until(producer.send({ topic: "t", value: "the first keyless one" }));
    await trickle(world, producer, 1_000);
    cluster.grow("t", 5);
    await trickle(world, producer, METADATA_REFRESH_MS + 2_000);
    const acks = await world.until(Promise.all(keys.map((key) => producer.send({ topic: "t", key, value: key }))));
    for (const [i, key] of keys.entries()) assert.equal(acks[i]?.partition, partitionOf(Buffer.from(key), 5), key);
    assert.ok(logs.slice(2).every((log) => keysOf(log).length > 0));
    const keyless = await world.until(Promise.all(keys.map((value) => producer.send({ topic: "t", value: value.padEnd(100) }))));
    assert.equal(new Set(keyless.map(({ partition }) => partition)).size, 5);
    await world.until(producer.close());
  });

  it("hears of them sooner when its client says so, and does not ask more often than that", async () => {
    const { world, cluster, client } = setup(2, 1, { metadataRefreshMs: 2_000 });
    const producer = client.producer();
    await trickle(world, producer, 1_000);
    cluster.grow("t", 2);
    const asked = () => cluster.calls.filter((path) => path.endsWith("DescribeTopics")).length;
    const before = asked();
    await trickle(world, producer, 10_000);
    assert.ok(asked() - before >= 3 && asked() - before <= 5, `asked ${asked() - before} times in 10 s`);
    assert.equal((await world.until(producer.send({ topic: "t", partition: 1, value: "x" }))).partition, 1);
    for (const metadataRefreshMs of [0, 99, 1.5, 86_400_001])
      assert.throws(() => new Client({ brokers: ["b1:7400"], metadataRefreshMs }, undefined as never), { code: "INVALID_REQUEST" });
  });

  it("asks at once when a record names a partition it does not know", async () => {
    const { world, cluster, client } = setup(3, 1);
    const producer = client.producer();
    await trickle(world, producer, 1_000);
    cluster.grow("t", 2);
    const send = () => producer.send({ topic: "t", partition: 1, value: "x" });
    await assert.rejects(send(), { code: "UNKNOWN_PARTITION" });
    await world.run(world.now + 50, () => false);
    assert.equal((await world.until(send())).partition, 1);
  });
});

describe("A consumer that runs while the topic it subscribed to grows", () => {
  it("reads the new partitions from their start, wherever it began in the others", async () => {
    for (const from of ["start", "end", { offset: 1 }] as const) {
      const { world, cluster, logs, client } = setup(4, 1);
      fill(logs[0] as PartitionLog, ["a", "b"]);
      const consumer = client.consumer();
      await world.until(consumer.subscribe("t", { from }));
      const seen = collect(consumer);
      await world.run(world.now + 1_000, () => false);
      for (const [i, log] of cluster.grow("t", 3).entries()) fill(log, [`new ${i}`, `newer ${i}`]);
      await world.run(world.now + 10_000, () => false);
      const of = (partition: number) => seen.filter((one) => one.partition === partition).map(({ value }) => text.decode(value));
      assert.deepEqual(of(0), from === "start" ? ["a", "b"] : from === "end" ? [] : ["b"]);
      assert.deepEqual(
        [of(1), of(2)],
        [
          ["new 0", "newer 0"],
          ["new 1", "newer 1"],
        ],
      );
      consumer.close();
      // A closed one is not told any more: others hear of the topic as before.
      cluster.grow("t", 4);
      const other = client.producer();
      await assert.rejects(world.until(other.send({ topic: "t", partition: 3, value: "x" })), { code: "UNKNOWN_PARTITION" });
      await world.run(world.now + 100, () => false);
      assert.equal((await world.until(other.send({ topic: "t", partition: 3, value: "x" }))).partition, 3);
    }
  });

  it("reads on while one of the new partitions has no leader, and that one from its start once it has", async () => {
    const { world, cluster, logs, client } = setup(7, 1);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const seen = collect(consumer);
    const [late, other] = cluster.grow("t", 3) as [PartitionLog, PartitionLog];
    cluster.refusals.set(late, new MillraceError("LEADER_UNKNOWN", "no leader"));
    for (const log of [late, other]) fill(log, ["a", "b"]);
    await world.run(world.now + 200_000, () => false);
    fill(logs[0] as PartitionLog, ["c"]);
    await world.run(world.now + 1_000, () => false);
    assert.deepEqual(seen.map((one) => `${one.partition} ${text.decode(one.value)}`).sort(), ["0 c", "2 a", "2 b"]);
    cluster.refusals.clear();
    await world.run(world.now + 5_000, () => false);
    const ofLate = seen.filter(({ partition }) => partition === 1).map(({ value }) => text.decode(value));
    assert.deepEqual(ofLate, ["a", "b"]);
    consumer.close();
  });

  it("fails when a new partition can never be read", async () => {
    const { world, cluster, client } = setup(8, 1);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const [added] = cluster.grow("t", 2) as [PartitionLog];
    cluster.refusals.set(added, new MillraceError("UNKNOWN_TOPIC", "it is gone"));
    await assert.rejects(world.until(consumer.run({})), { code: "UNKNOWN_TOPIC" });
  });

  it("ends where the topic ended, without the new ones, when it was told to", async () => {
    const { world, cluster, logs, client } = setup(5, 1);
    fill(logs[0] as PartitionLog, ["a", "b"]);
    const consumer = client.consumer({ bufferBytesMax: 1 });
    await world.until(consumer.subscribe("t", { until: "end" }));
    for (const log of cluster.grow("t", 2)) fill(log, ["new"]);
    await world.run(world.now + 10_000, () => false);
    const seen: string[] = [];
    await world.until(consumer.run({ onRecord: (record) => void seen.push(text.decode(record.value)) }));
    assert.deepEqual(seen, ["a", "b"]);
  });
});

describe("A subscription in a client that knew the topic before it grew", () => {
  it("ends and begins at the ends of all partitions the topic has now", async () => {
    for (const [options, expected] of [
      [{ until: "end" }, ["a", "late 0", "late 1"]],
      [{ from: "end" }, ["new", "new", "new"]],
    ] as const) {
      const { world, cluster, logs, client } = setup(6, 1);
      const producer = client.producer();
      await world.until(producer.send({ topic: "t", value: "a" }));
      await world.until(producer.close());
      for (const [i, log] of cluster.grow("t", 3).entries()) fill(log, [`late ${i}`]);
      const consumer = client.consumer();
      await world.until(consumer.subscribe("t", options));
      const seen = collect(consumer);
      await world.run(world.now + 10_000, () => false);
      if ("from" in options) for (const log of logs) fill(log, ["new"]);
      await world.run(world.now + 10_000, () => false);
      assert.deepEqual(seen.map(({ value }) => text.decode(value)).sort(), expected);
      consumer.close();
    }
  });
});
