import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Client, Consumer, DeliveryFailed, Producer } from "../../../src/client/index.ts";
import { startCluster, type TestCluster, TestClusterError } from "../../../src/testing/kit/index.ts";

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

async function readAll(client: Client, topic: string): Promise<string[]> {
  const consumer = client.consumer();
  await consumer.subscribe(topic, { until: "end" });
  const values: string[] = [];
  for await (const record of consumer) values.push(text(record.value));
  consumer.close();
  return values;
}

/** Writes while the leader dies, and reads it all back. */
async function story(cluster: TestCluster): Promise<{ readonly values: readonly string[]; readonly offsets: readonly unknown[] }> {
  const client = cluster.client();
  await client.admin().createTopic({ name: "orders" });
  const producer = client.producer();
  const first = await producer.send({ topic: "orders", value: "a" });
  const leader = cluster.leaderOf("orders", 0);
  assert.ok(leader !== undefined);
  leader.crash();
  assert.equal(leader.state, "down");
  const second = await producer.send({ topic: "orders", value: "b" });
  assert.notEqual(cluster.leaderOf("orders", 0)?.id, leader.id);
  leader.start();
  await cluster.until(() => leader.running);
  return { values: await readAll(client, "orders"), offsets: [first.offset, second.offset] };
}

describe("startCluster", () => {
  it("gives a client of three brokers, one of which may crash", async () => {
    await using cluster = await startCluster({ brokers: 3, seed: 1 });
    assert.deepEqual(await story(cluster), { values: ["a", "b"], offsets: [0, 1] });
    assert.deepEqual(cluster.faults, { crash: 1 });
  });

  it("is one run per seed, and another run for another seed", async () => {
    const digestOf = async (seed: number): Promise<string> => {
      await using cluster = await startCluster({ seed });
      await story(cluster);
      return cluster.digest;
    };
    const first = await digestOf(7);
    assert.equal(await digestOf(7), first);
    assert.notEqual(await digestOf(8), first);
  });

  it("moves time only while something of it is pending", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 2 });
    await cluster.client().admin().listTopics();
    const { now, digest } = cluster;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(cluster.now, now);
    assert.equal(cluster.digest, digest);
    await cluster.run(1_000);
    assert.equal(cluster.now, now + 1_000);
  });

  it("hands out clients, producers and consumers that are what they are called", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 3 });
    const client = cluster.client();
    assert.ok(client instanceof Client);
    assert.ok(client.producer() instanceof Producer);
    assert.ok(client.consumer() instanceof Consumer);
    await client.admin().createTopic({ name: "t" });
    const producer = client.producer({ compression: "gzip", lingerMs: 5 });
    await Promise.all(["x", "y", "z"].map((value) => producer.send({ topic: "t", value: value.repeat(1_000) })));
    assert.deepEqual(
      (await readAll(client, "t")).map((value) => value.length),
      [1_000, 1_000, 1_000],
    );
    await client.close();
  });

  it("rejects what nothing can answer any more instead of waiting for ever", async () => {
    await using cluster = await startCluster({ seed: 4 });
    const client = cluster.client();
    await client.admin().createTopic({ name: "t" });
    const consumer = client.consumer();
    await consumer.subscribe("t");
    await client.producer().send({ topic: "t", value: "read" });
    const crash = () => {
      for (const broker of cluster.brokers) broker.crash();
    };
    const stalled = await consumer.run({ onBatch: crash }).catch((error: unknown) => error);
    assert.ok(stalled instanceof TestClusterError);
    assert.equal(stalled.code, "STALLED");
    assert.match(
      stalled.message,
      /consumer\.run.*\n.*seed 4 \(repeat with MILLRACE_TEST_SEED=4\): broker 1 down, broker 2 down, broker 3 down/,
    );
    await assert.rejects(
      client.producer({ deliveryTimeoutMs: 2_000 }).send({ topic: "t", value: "lost" }),
      (error: unknown) => error instanceof DeliveryFailed,
    );
  });

  it("rejects what has been awaited for an hour while something else goes on and on", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 8 });
    cluster.broker(1).crash();
    const ticking = cluster.process("clock").start(async (self) => {
      for (;;) await self.sleep(60_000);
    });
    const never = cluster.client().producer({ deliveryTimeoutMs: 86_400_000 }).send({ topic: "t", value: "x" });
    await assert.rejects(never, { code: "STALLED", message: /^Nothing comes of producer\.send: pending for 60 minutes/ });
    cluster.process("clock").crash();
    assert.equal(await ticking, "crashed");
  });

  it("says which condition did not come true, and where the brokers were", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 5 });
    cluster.broker(1).crash();
    const error = await cluster.until(() => cluster.broker(1).running, { within: 500 }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof TestClusterError);
    assert.equal(error.code, "TIMED_OUT");
    assert.match(error.message, /within 500 ms of virtual time\n.*broker 1 down/);
  });

  it("ends iterations when it is closed, and refuses what is asked of it then", async () => {
    const cluster = await startCluster({ brokers: 1, seed: 6 });
    const client = cluster.client();
    await client.admin().createTopic({ name: "t" });
    const consumer = client.consumer();
    await consumer.subscribe("t");
    const reading = consumer.run({ onBatch() {} });
    const sleeping = assert.rejects(cluster.run(60_000), { code: "CLUSTER_CLOSED" });
    await cluster.close();
    await reading;
    await sleeping;
    await assert.rejects(cluster.run(1), { code: "CLUSTER_CLOSED" });
    assert.throws(() => cluster.client(), { code: "CLUSTER_CLOSED" });
  });
});

describe("The options of startCluster", () => {
  const refused = async (options: object, message: RegExp): Promise<void> => {
    await assert.rejects(startCluster(options), (error: unknown) => {
      assert.ok(error instanceof TestClusterError);
      assert.equal(error.code, "INVALID_OPTION");
      assert.match(error.message, message);
      return true;
    });
  };

  it("are refused by name when they are unknown, with the nearest known one", async () => {
    await refused({ broker: 3 }, /startCluster has no option broker: did you mean brokers\?/);
    await refused({ nonsenseAltogether: 3 }, /startCluster has no option nonsenseAltogether; it has brokers, seed, trace/);
  });

  it("are refused when they are out of range", async () => {
    for (const brokers of [0, 8, 1.5, Number.NaN, "3"]) await refused({ brokers }, /brokers must be a whole number from 1 to 7/);
    for (const seed of [-1, 2 ** 32, 0.5]) await refused({ seed }, /seed must be a whole number from 0 to 4294967295/);
    await refused({ trace: true }, /trace must be a function/);
  });
});
