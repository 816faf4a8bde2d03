import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Client, DeliveryFailed, MillraceError, type Producer, type ProducerOptions, type RecordAck } from "../../src/client/index.ts";
import { records } from "../../src/records/log-record.ts";
import { partitionOf } from "../../src/records/murmur2.ts";
import { FakeCluster, type Faults, fakeAddresses, noFaults } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();

function setup(seed: number, partitions = 1, brokers = 3) {
  const world = new World(seed);
  const cluster = new FakeCluster(world, fakeAddresses(brokers));
  const logs = cluster.addTopic("t", partitions);
  const client = new Client(
    { brokers: cluster.addresses },
    { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry },
  );
  return { world, cluster, logs, client };
}

/** Values in a log, in order of offset. */
function valuesOf(log: PartitionLog): string[] {
  return log.batches.flatMap((batch) => [...records(batch.records)].map((record) => text.decode(record.value)));
}

type Outcome = { readonly value: string; readonly ack?: RecordAck; readonly error?: MillraceError };

function outcomeOf(value: string, sent: Promise<RecordAck>): Promise<Outcome> {
  return sent.then(
    (ack) => ({ value, ack }),
    (error: unknown) => {
      assert.ok(error instanceof MillraceError, String(error));
      return { value, error };
    },
  );
}

async function sendMany(world: World, producer: Producer, count: number, partitions: number): Promise<Outcome[]> {
  const sent: Promise<Outcome>[] = [];
  for (let i = 0; i < count; i++) {
    const value = `v${i}`;
    sent.push(outcomeOf(value, producer.send({ topic: "t", partition: i % partitions, value })));
    if (world.random.chance(0.3)) await world.run(world.now + world.random.below(20), () => false);
  }
  return world.until(Promise.all(sent), 1_000_000);
}

/** What a promise said must be true of the logs. */
function checkOutcomes(outcomes: readonly Outcome[], logs: readonly PartitionLog[]): void {
  const places = new Map<string, number[]>();
  for (const log of logs) {
    for (const [offset, value] of valuesOf(log).entries()) places.set(value, [...(places.get(value) ?? []), offset]);
  }
  const last = logs.map(() => -1);
  for (const { value, ack, error } of outcomes) {
    const found = places.get(value) ?? [];
    assert.ok(found.length <= 1, `${value} is in the log ${found.length} times`);
    if (ack !== undefined) {
      assert.equal(found.length, 1, `${value} was acknowledged and is not in the log`);
      if (ack.offset === undefined) continue;
      assert.equal(found[0], ack.offset, `${value} was acknowledged at ${ack.offset}`);
      assert.ok(ack.offset > (last[ack.partition] as number), `${value} was overtaken`);
      last[ack.partition] = ack.offset;
    } else if (error?.outcomeKnown) {
      assert.equal(found.length, 0, `${value} was refused (${error.code}) and is in the log`);
    }
  }
}

describe("Producer", () => {
  it("acknowledges each record with its offset", async () => {
    const { world, client, logs, cluster } = setup(1);
    const producer = client.producer();
    const acks = await world.until(Promise.all(["a", "b", "c"].map((value) => producer.send({ topic: "t", value }))));
    assert.deepEqual(
      acks.map((ack) => ack.offset),
      [0, 1, 2],
    );
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a", "b", "c"]);
    assert.deepEqual(cluster.complaints, []);
  });

  it("puts the records of one turn into one batch", async () => {
    const { world, client, logs } = setup(2);
    const producer = client.producer();
    await world.until(producer.send({ topic: "t", value: "first" }));
    await world.until(Promise.all(Array.from({ length: 100 }, (_, i) => producer.send({ topic: "t", value: `v${i}` }))));
    assert.equal(logs[0]?.batches.length, 2);
  });

  it("cuts batches at batchBytesMax", async () => {
    const { world, client, logs } = setup(3);
    const producer = client.producer({ batchBytesMax: 1000 });
    await world.until(Promise.all(Array.from({ length: 100 }, () => producer.send({ topic: "t", value: "x".repeat(96) }))));
    for (const batch of logs[0]?.batches ?? []) assert.ok(batch.records.length <= 1000, `${batch.records.length}`);
    assert.equal(valuesOf(logs[0] as PartitionLog).length, 100);
  });

  it("sends keys where Kafka's default partitioner would, and keeps their order", async () => {
    const { world, client, logs } = setup(4, 5);
    const producer = client.producer();
    const keys = Array.from({ length: 200 }, (_, i) => `key-${i % 17}`);
    const acks = await world.until(Promise.all(keys.map((key, i) => producer.send({ topic: "t", key, value: `${key}:${i}` }))));
    for (const [i, ack] of acks.entries()) assert.equal(ack.partition, partitionOf(new TextEncoder().encode(keys[i] as string), 5));
    for (const log of logs) {
      const seen = new Map<string, number>();
      for (const value of valuesOf(log)) {
        const [key, i] = value.split(":") as [string, string];
        assert.ok(Number(i) > (seen.get(key) ?? -1));
        seen.set(key, Number(i));
      }
    }
  });

  it("keeps within the broker's credit", async () => {
    const { world, client, cluster } = setup(5, 4);
    cluster.creditBytes = 5000;
    const producer = client.producer({ batchBytesMax: 2000 });
    const sent = Array.from({ length: 400 }, (_, i) => producer.send({ topic: "t", partition: i % 4, value: "y".repeat(100) }));
    await world.until(Promise.all(sent));
    assert.deepEqual(cluster.complaints, []);
  });

  it("sends a batch larger than the credit all the same", async () => {
    const { world, client, cluster } = setup(6);
    cluster.creditBytes = 1000;
    await world.until(client.producer().send({ topic: "t", value: "z".repeat(5000) }));
    assert.deepEqual(cluster.complaints, []);
  });

  it("holds sends back while the buffer is full, and lets them in in order", async () => {
    const { world, client, logs, cluster } = setup(7);
    const producer = client.producer({ bufferBytesMax: 500 });
    await world.until(producer.send({ topic: "t", value: "0" }));
    let peak = 0;
    const sent = Array.from({ length: 200 }, (_, i) => {
      const promise = producer.send({ topic: "t", value: `${i + 1}`.padEnd(50, ".") });
      peak = Math.max(peak, producer.stats.bufferedBytes);
      return promise;
    });
    assert.ok(peak <= 600, `${peak} bytes buffered`);
    let ready = false;
    void producer.ready().then(() => {
      ready = true;
    });
    await world.run(world.now, () => false);
    assert.equal(ready, false);
    await world.until(Promise.all(sent));
    await world.until(producer.ready());
    assert.deepEqual(
      valuesOf(logs[0] as PartitionLog).map((value) => Number.parseInt(value, 10)),
      Array.from({ length: 201 }, (_, i) => i),
    );
    assert.deepEqual(cluster.complaints, []);
  });

  it("is full while a topic is being looked up, so that whoever awaits ready() never has too many sends waiting", async () => {
    const { world, client, logs } = setup(9);
    const producer = client.producer({ waitingMax: 1 });
    const first = producer.send({ topic: "t", value: "0" });
    assert.equal(producer.isFull, true);
    await world.until(producer.ready());
    assert.equal(producer.isFull, false);
    await world.until(Promise.all([first, producer.send({ topic: "t", value: "1" })]));
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["0", "1"]);
    const unknown = outcomeOf("unknown", producer.send({ topic: "nowhere", value: "2" }));
    await world.until(producer.ready());
    await world.until(unknown);
  });

  it("refuses a send once too many wait", async () => {
    const { world, client } = setup(8);
    const producer = client.producer({ bufferBytesMax: 10, waitingMax: 2 });
    await world.until(producer.send({ topic: "t", value: "0" }));
    const sent = Array.from({ length: 4 }, (_, i) => outcomeOf(`${i}`, producer.send({ topic: "t", value: "0123456789" })));
    const outcomes = await world.until(Promise.all(sent));
    assert.deepEqual(
      outcomes.map((outcome) => outcome.error?.code),
      [undefined, undefined, undefined, "PENDING_FULL"],
    );
  });

  it("rejects an unknown topic, an unknown partition and a record that is too large, and goes on", async () => {
    const { world, client } = setup(9, 2);
    const producer = client.producer();
    await assert.rejects(world.until(producer.send({ topic: "nope", value: "x" })), { code: "UNKNOWN_TOPIC" });
    await world.until(producer.send({ topic: "t", value: "x" }));
    await assert.rejects(world.until(producer.send({ topic: "t", partition: 2, value: "x" })), { code: "UNKNOWN_PARTITION" });
    const tooLarge = { code: "RECORD_SET_TOO_LARGE", metadata: { limit: "max.message.bytes", max_bytes: String(3 * 1024 * 1024) } };
    await assert.rejects(world.until(producer.send({ topic: "t", value: new Uint8Array(4_000_000) })), tooLarge);
    await world.until(producer.send({ topic: "t", value: "x" }));
  });

  it("takes up the dead half of its bootstrap list without losing anything", async () => {
    const { world, client, cluster, logs } = setup(10, 3, 4);
    cluster.kill("b1:7400");
    cluster.kill("b2:7400");
    for (const log of logs) cluster.moveLeader(log, "b3:7400");
    const acks = await world.until(
      Promise.all([0, 1, 2].map((partition) => client.producer().send({ topic: "t", partition, value: "x" }))),
    );
    assert.equal(acks.length, 3);
  });

  it("sends through another broker while the leader is dead, and to the new leader after", async () => {
    const { world, client, cluster, logs } = setup(11);
    const producer = client.producer();
    const log = logs[0] as PartitionLog;
    await world.until(producer.send({ topic: "t", value: "before" }));
    const sent = Array.from({ length: 20 }, (_, i) => outcomeOf(`v${i}`, producer.send({ topic: "t", value: `v${i}` })));
    await world.run(world.now + 0.1, () => false);
    cluster.kill(log.leader);
    await world.run(world.now + 700, () => false);
    cluster.moveLeader(log);
    const outcomes = await world.until(Promise.all(sent), 1_000);
    checkOutcomes(outcomes, logs);
    assert.ok(outcomes.every((outcome) => outcome.ack !== undefined));
    assert.ok(producer.stats.retries > 0);
  });

  it("gives a record up after deliveryTimeoutMs and says that nothing was written when nothing was", async () => {
    const { world, client, cluster } = setup(12);
    const producer = client.producer({ deliveryTimeoutMs: 3000 });
    await world.until(producer.send({ topic: "t", value: "x" }));
    for (const address of cluster.addresses) cluster.kill(address);
    await world.run(world.now + 100, () => false);
    const { error } = await world.until(outcomeOf("y", producer.send({ topic: "t", value: "y" })), 10_000);
    assert.ok(error instanceof DeliveryFailed);
    assert.equal(error.code, "DEADLINE_PASSED");
    assert.equal(error.outcomeKnown, true);
    assert.equal(error.topic, "t");
  });

  it("writes again after batches of one window have run out of time one after the other", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, client, cluster, logs } = setup(seed);
      const producer = client.producer({ deliveryTimeoutMs: 1500, batchBytesMax: 60 });
      await world.until(producer.send({ topic: "t", partition: 0, value: "first" }));
      cluster.faults = { ...noFaults, refuse: 1 };
      const sent: Promise<Outcome>[] = [];
      for (let n = 0; n < 40; n++) {
        const value = `${n}`.padEnd(50, "x");
        sent.push(outcomeOf(value, producer.send({ topic: "t", partition: 0, value })));
        await world.run(world.now + 100, () => false);
      }
      cluster.faults = noFaults;
      for (let n = 0; n < 10; n++) {
        const value = `later ${n}`;
        sent.push(outcomeOf(value, producer.send({ topic: "t", partition: 0, value })));
      }
      const outcomes = await world.until(Promise.all(sent));
      checkOutcomes(outcomes, logs);
      assert.ok(
        outcomes.some(({ error }) => error?.code === "DEADLINE_PASSED"),
        "some ran out of time",
      );
      for (const { value, ack } of outcomes.slice(40)) assert.ok(ack !== undefined, `${value} is written (seed ${seed})`);
    }
  });

  it("never sends a batch of unknown outcome under another producer id", async () => {
    const { world, client, cluster, logs } = setup(13);
    const producer = client.producer();
    await world.until(producer.send({ topic: "t", value: "a" }));
    cluster.faults = { ...noFaults, breakAfter: 1 };
    const sent = outcomeOf("b", producer.send({ topic: "t", value: "b" }));
    await world.run(world.now + 5000, () => cluster.streams.size === 0 && (logs[0] as PartitionLog).end === 2);
    // The partition loses its memory of producers: a retry cannot be told from a new batch any more.
    (logs[0] as PartitionLog).producers.clear();
    cluster.faults = noFaults;
    const { error } = await world.until(sent);
    assert.equal(error?.outcomeKnown, false);
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a", "b"]);
    assert.equal((await world.until(producer.send({ topic: "t", value: "c" }))).offset, 2);
  });

  it("takes a new producer id when the partition forgot the old one, and loses nothing", async () => {
    const { world, client, logs, cluster } = setup(14);
    const producer = client.producer();
    await world.until(producer.send({ topic: "t", value: "a" }));
    (logs[0] as PartitionLog).producers.clear();
    await world.until(producer.send({ topic: "t", value: "b" }));
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a", "b"]);
    assert.equal(cluster.nextProducerId, 1002);
  });

  it("does not repeat a batch of unknown outcome without an id", async () => {
    const { world, client, logs, cluster } = setup(15);
    const producer = client.producer({ acks: "leader" });
    await world.until(producer.send({ topic: "t", value: "a" }));
    cluster.faults = { ...noFaults, breakAfter: 1 };
    const { error } = await world.until(outcomeOf("b", producer.send({ topic: "t", value: "b" })));
    assert.equal(error?.outcomeKnown, false);
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a", "b"]);
  });

  it("goes on with the batches behind one that is refused for good, without a new id", async () => {
    const { world, client, logs, cluster } = setup(18);
    cluster.recordSetBytesMax = 1000;
    const producer = client.producer({ batchBytesMax: 3000 });
    await world.until(producer.send({ topic: "t", value: "a" }));
    const large = outcomeOf("large", producer.send({ topic: "t", value: "x".repeat(2000) }));
    await world.run(world.now + 0.1, () => false);
    const behind = [1, 2, 3].map((i) => outcomeOf(`b${i}`, producer.send({ topic: "t", value: `b${i}` })));
    assert.equal((await world.until(large)).error?.code, "RECORD_SET_TOO_LARGE");
    for (const outcome of await world.until(Promise.all(behind))) assert.equal(outcome.error, undefined);
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a", "b1", "b2", "b3"]);
    assert.equal(cluster.nextProducerId, 1001);
    assert.deepEqual(cluster.complaints, []);
  });

  it("does not call an outcome known because the last attempt was refused", async () => {
    const { world, client, logs, cluster } = setup(19);
    const producer = client.producer();
    await world.until(producer.send({ topic: "t", value: "a" }));
    cluster.faults = { ...noFaults, breakAfter: 1 };
    const sent = outcomeOf("b", producer.send({ topic: "t", value: "b" }));
    await world.run(world.now + 5000, () => (logs[0] as PartitionLog).end === 2);
    cluster.recordSetBytesMax = 0;
    const { error } = await world.until(sent);
    assert.equal(error?.outcomeKnown, false);
  });

  it("flushes what waits when it is closed, and refuses sends after", async () => {
    const { world, client, logs } = setup(16);
    const producer = client.producer({ lingerMs: 10_000 });
    const sent = producer.send({ topic: "t", value: "a" });
    await world.until(client.close(), 5_000);
    assert.equal((await sent).offset, 0);
    await assert.rejects(producer.send({ topic: "t", value: "b" }), { code: "CLIENT_CLOSED" });
    assert.deepEqual(valuesOf(logs[0] as PartitionLog), ["a"]);
  });

  it("gives up what is left once the time for closing is over", async () => {
    const { world, client, cluster } = setup(17);
    const producer = client.producer();
    for (const address of cluster.addresses) cluster.kill(address);
    const sent = outcomeOf("a", producer.send({ topic: "t", value: "a" }));
    await world.until(client.close({ timeoutMs: 1_000 }), 1_500);
    assert.equal((await sent).error?.code, "CLIENT_CLOSED");
  });

  const mixes: [string, Faults, ProducerOptions][] = [
    ["breaks", { ...noFaults, breakBefore: 0.05, breakAfter: 0.05 }, {}],
    ["refusals", { ...noFaults, refuse: 0.15 }, {}],
    ["unknown outcomes", { ...noFaults, unknown: 0.15 }, {}],
    ["moves", { ...noFaults, move: 0.1, breakAfter: 0.03 }, {}],
    ["everything", { breakBefore: 0.03, breakAfter: 0.03, refuse: 0.05, unknown: 0.05, forget: 0.01, move: 0.05 }, {}],
    [
      "everything without ids",
      { breakBefore: 0.03, breakAfter: 0.03, refuse: 0.05, unknown: 0.05, forget: 0.01, move: 0.05 },
      { acks: "leader" },
    ],
    ["short deliveries", { ...noFaults, breakAfter: 0.2, unknown: 0.2, refuse: 0.3 }, { deliveryTimeoutMs: 60 }],
  ];
  for (const [name, faults, options] of mixes) {
    it(`writes each record exactly once, in order, through ${name}`, async () => {
      for (let seed = 1; seed <= 12; seed++) {
        const { world, client, cluster, logs } = setup(seed * 1000, 2);
        cluster.faults = faults;
        const outcomes = await sendMany(world, client.producer({ batchBytesMax: 200, ...options }), 150, 2);
        try {
          checkOutcomes(outcomes, logs);
          assert.deepEqual(cluster.complaints, []);
          const lossless = faults.forget === 0 && options.acks === undefined && options.deliveryTimeoutMs === undefined;
          if (lossless) assert.ok(outcomes.every((outcome) => outcome.ack !== undefined));
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }

  it("writes each record exactly once while brokers die and come back", async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { world, client, cluster, logs } = setup(seed * 77, 3);
      const chaos = (): void => {
        const victim = cluster.addresses[world.random.below(3)] as string;
        cluster.kill(victim);
        world.after(300, () => {
          for (const log of logs) if (log.leader === victim) cluster.moveLeader(log);
        });
        world.after(800, () => cluster.restart(victim));
        if (world.now < 20_000) world.after(1_500, chaos);
      };
      world.after(200, chaos);
      const sent: Promise<Outcome>[] = [];
      const producer = client.producer({ batchBytesMax: 300 });
      for (let i = 0; i < 400; i++) {
        sent.push(outcomeOf(`v${i}`, producer.send({ topic: "t", partition: i % 3, value: `v${i}` })));
        await world.run(world.now + 40, () => false);
      }
      const outcomes = await world.until(Promise.all(sent), 60_000);
      checkOutcomes(outcomes, logs);
      assert.ok(outcomes.every((outcome) => outcome.ack !== undefined));
      assert.deepEqual(cluster.complaints, []);
    }
  });
});

describe("What is no record", () => {
  it("is refused by itself, with its field named; the producer goes on", async () => {
    const { world, logs, client } = setup(5);
    const producer = client.producer();
    const wrong: readonly [string, object][] = [
      ["value", { value: 5 }],
      ["key", { key: ["a", "b"] }],
      ["headers", { headers: { n: 1 } }],
      ["headers", { headers: [{ key: 1, value: "x" }] }],
      ["timestampMs", { timestampMs: new Date(5) }],
      ["partition", { partition: 1.5 }],
    ];
    const refused = wrong.map(([, fields]) => outcomeOf("", producer.send({ topic: "t", value: "bad", ...fields })));
    const good = outcomeOf("good", producer.send({ topic: "t", value: "good", headers: { n: null }, timestampMs: 7 }));
    const errors = await world.until(Promise.all(refused));
    assert.deepEqual(
      errors.map(({ error }) => [error?.code, error?.metadata["field"]]),
      wrong.map(([field]) => ["INVALID_REQUEST", field]),
    );
    assert.equal((await world.until(good)).error, undefined);
    assert.deepEqual(valuesOf(logs[0] ?? assert.fail()), ["good"]);
    await world.until(producer.close());
  });
});
