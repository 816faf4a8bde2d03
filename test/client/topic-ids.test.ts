import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RpcChannel, RpcClient } from "../../src/base/ports/rpc-client.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Client, type ClientOptions, type Consumer, MillraceError, type Producer, TopicDeleted } from "../../src/client/index.ts";
import { TOPIC_ID_LEVEL } from "../../src/cluster/feature-levels.ts";
import { AdminService } from "../../src/protocol/methods.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { FakeCluster, fakeAddresses, noFaults } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();
const valuesOf = (log: PartitionLog | undefined): string[] =>
  (log?.batches ?? []).flatMap((batch) => [...records(batch.records)].map((record) => text.decode(record.value)));

function setup(seed: number, options: Partial<ClientOptions> = {}) {
  const world = new World(seed);
  const cluster = new FakeCluster(world, fakeAddresses(3));
  const [first] = cluster.addTopic("t", 1);
  const ports = { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry };
  const client = new Client({ brokers: cluster.addresses, ...options }, ports);
  const send = (producer: Producer, value: string): Promise<unknown> =>
    producer.send({ topic: "t", value }).catch((error: unknown) => (error instanceof MillraceError ? error : Promise.reject(error)));
  return { world, cluster, client, first, send };
}

// case 70
describe("A producer whose topic was deleted, and made again under its name", () => {
  it("sends what comes later into the new one", async () => {
    const { world, cluster, client, first, send } = setup(1);
    const producer = client.producer();
    for (const value of ["a", "b"]) await world.until(send(producer, value));
    const [second] = cluster.addTopic("t", 1);
    const acks = await world.until(Promise.all(["c", "d"].map((value) => send(producer, value))));
    assert.ok(!acks.some((ack) => ack instanceof Error), String(acks));
    await world.until(send(producer, "e"));
    assert.deepEqual(
      [valuesOf(first), valuesOf(second)],
      [
        ["a", "b"],
        ["c", "d", "e"],
      ],
    );
    assert.deepEqual(cluster.complaints, []);
  });

  it("never sends there what may have been written into the former one", async () => {
    for (const breaks of ["breakBefore", "breakAfter"] as const) {
      const { world, cluster, client, first, send } = setup(2);
      const producer = client.producer();
      cluster.faults = { ...noFaults, [breaks]: 1 };
      const sent = send(producer, "a");
      await world.run(world.now + 60, () => false);
      cluster.faults = noFaults;
      const [second] = cluster.addTopic("t", 1);
      const error = await world.until(sent);
      assert.ok(error instanceof MillraceError && !error.outcomeKnown, String(error));
      assert.deepEqual([valuesOf(first), valuesOf(second)], [breaks === "breakAfter" ? ["a"] : [], []]);
      await world.until(send(producer, "b"));
      assert.deepEqual(valuesOf(second), ["b"]);
    }
  });

  it("hears that there is none of that name, and finds one that is made later", async () => {
    const { world, cluster, client, send } = setup(3);
    const producer = client.producer();
    await world.until(send(producer, "a"));
    cluster.topics.delete("t");
    const error = await world.until(send(producer, "b"));
    assert.equal(error instanceof MillraceError && error.code, "UNKNOWN_TOPIC");
    const [second] = cluster.addTopic("t", 1);
    await world.until(send(producer, "c"));
    assert.deepEqual(valuesOf(second), ["c"]);
  });
});

function fill(log: PartitionLog | undefined, values: readonly string[]): void {
  const builder = new RecordSetBuilder();
  for (const value of values) builder.append(undefined, value, [], 0);
  log?.append({ producerId: undefined, baseSequence: 0, count: values.length, records: builder.take(), compressed: false });
}

/** What it read, and what ended it. */
function read(consumer: Consumer): { readonly seen: string[]; readonly ids: Set<string>; readonly over: Promise<unknown> } {
  const seen: string[] = [];
  const ids = new Set<string>();
  const over = consumer
    .run({
      onBatch: ({ topicId }) => void ids.add(topicId),
      onRecord: ({ partition, offset, value }) => void seen.push(`${partition}:${offset} ${text.decode(value)}`),
    })
    .catch((error: unknown) => error);
  return { seen, ids, over };
}

describe("A consumer whose topic was deleted, and made again under its name", () => {
  const begin = {
    subscribed: (consumer: Consumer) => consumer.subscribe("t"),
    "assigned at an offset": async (consumer: Consumer) => consumer.assign([{ topic: "t", partition: 0, from: { offset: 0 } }]),
    "assigned from the start": async (consumer: Consumer) => consumer.assign([{ topic: "t", partition: 0, until: { offset: 9 } }]),
  };
  for (const [how, start] of Object.entries(begin)) {
    it(`fails typed when it was ${how}, with all it read of the former, and reads nothing of the new one`, async () => {
      for (const connections of ["stay", "break"] as const) {
        const { world, cluster, client, first } = setup(4);
        fill(first, ["a", "b"]);
        const consumer = client.consumer();
        await world.until(start(consumer));
        const { seen, ids, over } = read(consumer);
        await world.run(world.now + 1_000, () => seen.length === 2);
        const [second] = cluster.addTopic("t", 2);
        // At the offset where the reader is, and before it.
        fill(second, ["A", "B", "C", "D"]);
        if (connections === "break") for (const stream of [...cluster.streams]) stream.break();
        const error = await world.until(over);
        assert.ok(error instanceof TopicDeleted && error.code === "UNKNOWN_TOPIC" && !error.retriable, String(error));
        assert.deepEqual([error.topic, error.topicId, error.remade], ["t", "id-of-t-1", true]);
        assert.deepEqual([seen, [...ids]], [["0:0 a", "0:1 b"], [error.topicId]]);
        const next = client.consumer();
        await world.until(next.subscribe("t", { until: "end" }));
        const again = read(next);
        await world.until(again.over);
        assert.deepEqual(again.seen, ["0:0 A", "0:1 B", "0:2 C", "0:3 D"]);
      }
    });
  }

  it("says so too when nothing has the name any more", async () => {
    const { world, cluster, client } = setup(5);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const { over } = read(consumer);
    await world.run(world.now + 1_000, () => false);
    cluster.topics.delete("t");
    const error = await world.until(over);
    assert.ok(error instanceof TopicDeleted && !error.remade, String(error));
  });

  it("does not take partitions of the new one for new partitions of its own", async () => {
    const { world, cluster, client, first } = setup(6);
    fill(first, ["a"]);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const { seen, over } = read(consumer);
    await world.run(world.now + 1_000, () => seen.length === 1);
    // Nobody tells it: it reads none of the former one now.
    consumer.pause([{ topic: "t", partition: 0 }]);
    for (const log of cluster.addTopic("t", 3)) fill(log, ["new"]);
    await world.run(world.now + 60_000, () => false);
    assert.deepEqual(seen, ["0:0 a"]);
    consumer.resume([{ topic: "t", partition: 0 }]);
    assert.ok((await world.until(over)) instanceof TopicDeleted);
  });

  it("goes on when a broker says how many partitions the former one had", async () => {
    const { world, cluster, client } = setup(9);
    cluster.addTopic("t", 3);
    cluster.stay("t");
    const [log] = cluster.addTopic("t", 1);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const { seen } = read(consumer);
    await world.run(world.now + 60_000, () => false);
    fill(log, ["a"]);
    assert.ok(await world.run(world.now + 5_000, () => seen.length > 0));
    assert.deepEqual(seen, ["0:0 a"]);
  });

  it("begins in the topic that has the name now, whatever the client or a broker heard of it before", async () => {
    const { world, cluster, client, send } = setup(7);
    await world.until(send(client.producer(), "a"));
    cluster.stay("t");
    const [second] = cluster.addTopic("t", 1);
    fill(second, ["b"]);
    for (const start of Object.values(begin)) {
      const consumer = client.consumer();
      await world.until(start(consumer));
      const { seen, over } = read(consumer);
      assert.ok(await world.run(world.now + 5_000, () => seen.length > 0), String(await Promise.race([over, "nothing"])));
      assert.deepEqual(seen, ["0:0 b"]);
      consumer.close();
    }
  });

  it("begins by what a broker heard last while the cluster has no controller", async () => {
    const { world, cluster, client, first } = setup(10);
    cluster.controllerless = true;
    fill(first, ["a"]);
    const consumer = client.consumer();
    await world.until(consumer.subscribe("t"));
    const { seen } = read(consumer);
    assert.ok(await world.run(world.now + 10_000, () => seen.length > 0));
    const [described] = await world.until(client.admin().describeTopics(["t"], { latest: true }));
    assert.equal(described?.topicId, cluster.topicId("t"));
    await assert.rejects(world.until(client.admin().describeTopics(["u"], { latest: true })), { code: "UNKNOWN_TOPIC" });
  });

  it("is refused from the start when an id was given and the name stands for another one", async () => {
    const { world, cluster, client } = setup(8);
    const topicId = cluster.topicId("t");
    fill(cluster.addTopic("t", 1)[0], ["b"]);
    for (const from of ["start", { offset: 0 }] as const) {
      const consumer = client.consumer();
      consumer.assign([{ topic: "t", topicId, partition: 0, from }]);
      const { seen, over } = read(consumer);
      assert.ok((await world.until(over)) instanceof TopicDeleted);
      assert.deepEqual(seen, []);
    }
    await assert.rejects(world.until(client.admin().listOffsets("t", [], { topicId })), { code: "UNKNOWN_TOPIC" });
  });
});

describe("A change that gives the id of its topic", () => {
  it("is refused with both levels while brokers of before may pass over the id, asks once, and goes by the name without one", async () => {
    const { world, cluster, client } = setup(11);
    const admin = client.admin();
    const topicId = cluster.topicId("t");
    const changes: (() => Promise<unknown>)[] = [
      () => admin.alterTopic("t", { set: { "acks.min": "ALL" } }, { topicId }),
      () => admin.addPartitions("t", 3, { topicId }),
      () => admin.trimTopic("t", [{ partition: 0, before: undefined }], { topicId }),
      () => admin.transferLeader("t", 0, undefined, { topicId }),
    ];
    const levels = (): number => cluster.calls.filter((path) => path === AdminService.DescribeCluster.path).length;
    for (const level of [0, TOPIC_ID_LEVEL - 1]) {
      cluster.featureLevel = level;
      assert.equal(await world.until(admin.obeysTopicIds()), false);
      for (const change of changes) {
        await assert.rejects(world.until(change()), (error: unknown) => {
          assert.ok(error instanceof MillraceError && error.code === "UNSUPPORTED_FEATURE_LEVEL", String(error));
          const { feature_level, needs_level } = error.metadata;
          assert.deepEqual([feature_level, needs_level], [String(Math.max(1, level)), String(TOPIC_ID_LEVEL)]);
          return true;
        });
      }
      // What the fake knows nothing of has been sent then.
      await assert.rejects(world.until(admin.addPartitions("t", 3)), { code: "NOT_IMPLEMENTED" });
    }
    cluster.featureLevel = TOPIC_ID_LEVEL;
    const before = levels();
    for (const change of changes) await assert.rejects(world.until(change()), { code: "NOT_IMPLEMENTED" });
    assert.equal(levels() - before, 1, "the level never falls");
  });

  it("takes no longer than its timeout when it has to ask first whether the id is obeyed", async () => {
    const world = new World(20);
    const cluster = new FakeCluster(world, fakeAddresses(1));
    cluster.featureLevel = TOPIC_ID_LEVEL;
    const given: number[] = [];
    const rpc: RpcClient = {
      channel: (address) => {
        const channel = cluster.channel(address);
        const unary: RpcChannel["unary"] = async (path, request, options) => {
          if (path === AdminService.DescribeCluster.path) await new Promise<void>((resolve) => void world.after(600, resolve));
          given.push(options.timeoutMs);
          return channel.unary(path, request, options);
        };
        return Object.assign(Object.create(channel) as RpcChannel, { unary });
      },
    };
    const client = new Client({ brokers: cluster.addresses }, { rpc, clock: world, random: world.random, telemetry: silentTelemetry });
    const admin = client.admin({ timeoutMs: 1_000 });
    const changes: readonly (() => Promise<unknown>)[] = [
      () => admin.addPartitions("t", 3, { topicId: "0123456789abcdef0123456789abcdef" }),
      () => admin.trimTopic("t", [{ partition: 0, before: undefined }], { topicId: "0123456789abcdef0123456789abcdef" }),
    ];
    for (const change of changes) await assert.rejects(world.until(change()), { code: "NOT_IMPLEMENTED" });
    const [asked, changed, later] = given;
    assert.equal(asked, 1_000);
    assert.ok(changed !== undefined && changed <= 400 && changed > 300, `${changed} ms are left`);
    assert.equal(later, 1_000, "it is asked once");
  });
});
