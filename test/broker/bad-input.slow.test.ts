import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { MillraceError } from "../../src/base/errors.ts";
import { ListenError } from "../../src/base/ports/listen-error.ts";
import { RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { createBroker } from "../../src/broker/broker.ts";
import { Hello } from "../../src/protocol/internal.ts";
import { Acks, Compression, ConfigSource, ProduceRequest } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { recordBytesOf } from "../../src/records/record-set-builder.ts";
import { SimDisk } from "../../src/testing/sim/disk/sim-disk.ts";
import { brokerConfig, Cluster, recordSet, WALL_START_MS } from "./harness.ts";
import * as rpc from "./stubs.ts";

const MiB = 1024 * 1024;

/** A set of one record that is exactly so long. */
function setOfBytes(bytes: number): Uint8Array {
  let length = bytes;
  while (recordBytesOf(undefined, new Uint8Array(length)) > bytes) length--;
  const set = recordSet(["v".repeat(length)]);
  assert.equal(set.byteLength, bytes);
  return set;
}

/** Wire bytes of one record around a body. */
const record = (...body: number[]): Uint8Array => Uint8Array.of(0x0a, body.length, ...body);
const repeat = (times: number, bytes: Uint8Array): Uint8Array => Buffer.concat(Array.from({ length: times }, () => bytes));

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

/** A record with so many bytes of fields, its length as varint. */
const longRecord = (body: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0x0a, ...varint(body.byteLength)), body]);

describe("A request that names what is not there", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 11 });
    await cluster.createTopic("t", 2);
  });
  after(() => cluster.close());

  it("is refused by every broker with the name of the topic", async () => {
    for (const n of cluster.numbers) {
      const topic = "nowhere";
      const errors = [
        await cluster.refused(n, rpc.Produce, { topic, records: recordSet(["x"]) }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.Fetch, { topic }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.ListOffsets, { topic }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.DescribeTopics, { names: ["t", topic] }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.AlterTopic, { name: topic, set: new Map([["retention.ms", "5000"]]) }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.DeleteTopic, { name: topic }, "UNKNOWN_TOPIC"),
        await cluster.refused(n, rpc.TransferLeader, { topic, toBrokerId: 1 }, "UNKNOWN_TOPIC"),
      ];
      for (const error of errors) assert.match(error.message, /nowhere/);
      const subscription = cluster.subscribe(n, { topic, partitions: [{ partition: 0, offset: 0 }] });
      await subscription.over();
      assert.ok(subscription.error instanceof MillraceError && subscription.error.code === "UNKNOWN_TOPIC", `${subscription.error}`);
    }
  });

  it("is refused with the number of partitions there are", async () => {
    for (const n of cluster.numbers) {
      for (const partition of [2, -1, 2 ** 31 - 1]) {
        const produced = await cluster.refused(n, rpc.Produce, { topic: "t", partition, records: recordSet(["x"]) }, "UNKNOWN_PARTITION");
        assert.equal(produced.metadata["partitions"], "2");
        await cluster.refused(n, rpc.Fetch, { topic: "t", partition }, "UNKNOWN_PARTITION");
        await cluster.refused(n, rpc.TransferLeader, { topic: "t", partition, toBrokerId: 1 }, "UNKNOWN_PARTITION");
      }
      const { partitions } = await cluster.call(n, rpc.ListOffsets, { topic: "t", partitions: [0, 7] });
      assert.equal(partitions[0]?.error, undefined);
      const inner = partitions[1]?.error;
      assert.equal(inner === undefined ? undefined : errorOf(inner)?.code, "UNKNOWN_PARTITION", "each partition has its own answer");
    }
  });

  it("is refused with the brokers that hold the partition", async () => {
    for (const n of cluster.numbers) {
      const error = await cluster.refused(n, rpc.TransferLeader, { topic: "t", partition: 1, toBrokerId: 9 }, "UNKNOWN_BROKER");
      assert.deepEqual((error.metadata["brokers"] ?? "").split(", ").sort(), ["1", "2", "3"]);
    }
  });

  it("cannot make a topic of a bad name (case 44)", async () => {
    const bad = ["", ".", "..", "a/b", "../t", "a\0b", "__proto__", "__groups", "käse", "a b", "x".repeat(250)];
    for (const [i, name] of bad.entries()) {
      const error = await cluster.refused((i % 3) + 1, rpc.CreateTopic, { name }, "INVALID_NAME");
      assert.equal(error.metadata["field"], "name");
    }
    const { topics } = await cluster.call(1, rpc.ListTopics, {});
    assert.deepEqual(
      topics.map(({ name }) => name),
      ["t"],
      "nothing of it was made",
    );
  });

  it("cannot make a topic twice, nor with impossible numbers", async () => {
    for (const n of cluster.numbers) {
      await cluster.refused(n, rpc.CreateTopic, { name: "t" }, "TOPIC_EXISTS");
      await cluster.refused(n, rpc.CreateTopic, { name: "many", replicas: 4 }, "INSUFFICIENT_BROKERS");
      for (const partitions of [-1, 1_001]) await cluster.refused(n, rpc.CreateTopic, { name: "many", partitions }, "INVALID_REQUEST");
    }
    await cluster.refused(2, rpc.DescribeTopics, { names: ["many"] }, "UNKNOWN_TOPIC");
  });

  it("cannot set an unknown configuration key, and learns the nearest known one", async () => {
    for (const n of cluster.numbers) {
      const set = new Map([
        ["retention.ms", "60000"],
        ["min.insync.replica", "2"],
      ]);
      const error = await cluster.refused(n, rpc.AlterTopic, { name: "t", set }, "INVALID_CONFIG");
      assert.equal(error.metadata["key"], "min.insync.replica");
      assert.equal(error.metadata["nearest"], "min.insync.replicas");
      await cluster.refused(n, rpc.AlterTopic, { name: "t", set: new Map([["max.message.bytes", "4000000"]]) }, "INVALID_CONFIG");
      await cluster.refused(n, rpc.CreateTopic, { name: "u", configs: set }, "INVALID_CONFIG");
    }
    const { topics } = await cluster.call(3, rpc.DescribeTopics, { names: ["t"] });
    const retention = topics[0]?.configs.find(({ key }) => key === "retention.ms");
    assert.equal(retention?.value, String(7 * 24 * 60 * 60 * 1000), "the good half was not taken either");
  });

  it("sees the min.insync.replicas that applies, not the 0 that stands for a majority", async () => {
    const shown = async (name: string): Promise<string | undefined> => {
      const { topics } = await cluster.call(1, rpc.DescribeTopics, { names: [name] });
      const entry = topics[0]?.configs.find(({ key }) => key === "min.insync.replicas");
      return `${entry?.value} ${entry?.source}`;
    };
    for (const replicas of [1, 2, 3]) await cluster.call(1, rpc.CreateTopic, { name: `shown-${replicas}`, replicas });
    assert.equal(await shown("shown-1"), `1 ${ConfigSource.default}`);
    assert.equal(await shown("shown-2"), `2 ${ConfigSource.default}`);
    assert.equal(await shown("shown-3"), `2 ${ConfigSource.default}`);
    await cluster.call(1, rpc.AlterTopic, { name: "shown-3", set: new Map([["min.insync.replicas", "3"]]) });
    assert.equal(await shown("shown-3"), `3 ${ConfigSource.topic}`);
  });
});

describe("A record set that is not one", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 12 });
    await cluster.createTopic("t");
    await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(["first"]) });
  });
  after(() => cluster.close());

  const good = recordSet(["x"]);
  const refusals: readonly (readonly [what: string, request: Parameters<typeof rpc.Produce.encode>[0], code: MillraceError["code"]])[] = [
    ["no records field", {}, "INVALID_REQUEST"],
    ["both fields", { records: good, compressedRecords: gzipSync(good), compression: Compression.gzip, recordCount: 1 }, "INVALID_REQUEST"],
    ["no record", { records: new Uint8Array(0) }, "MALFORMED_RECORD_SET"],
    ["a length beyond the end (case 40)", { records: Uint8Array.of(0x0a, 100, 0x0a, 1, 65) }, "MALFORMED_RECORD_SET"],
    ["a length cut short (case 40)", { records: Uint8Array.of(0x0a, 0x80) }, "MALFORMED_RECORD_SET"],
    ["a varint of 11 bytes (case 40)", { records: record(0x20, ...Array<number>(10).fill(0xff), 1) }, "MALFORMED_RECORD_SET"],
    ["a record that ends inside its field", { records: record(0x12, 5, 65) }, "MALFORMED_RECORD_SET"],
    ["group tags without end (case 39)", { records: record(...Array<number>(100).fill(0x2b)) }, "MALFORMED_RECORD_SET"],
    ["a stray field in the set", { records: Buffer.concat([good, Uint8Array.of(0x10, 1)]) }, "MALFORMED_RECORD_SET"],
    ["a value given twice", { records: record(0x12, 1, 65, 0x12, 1, 66) }, "MALFORMED_RECORD_SET"],
    [
      "a timestamp of 2^60 (case 41)",
      { records: record(0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10) },
      "MALFORMED_RECORD_SET",
    ],
    ["a header key that is not UTF-8", { records: record(0x1a, 4, 0x0a, 2, 0xc0, 0x80) }, "MALFORMED_RECORD_SET"],
    ["100,000 headers (case 45)", { records: longRecord(repeat(100_000, Uint8Array.of(0x1a, 0))) }, "MALFORMED_RECORD_SET"],
    [
      "more unknown fields than are counted (case 40)",
      { records: longRecord(repeat(10_001, Uint8Array.of(0x50, 0))) },
      "MALFORMED_RECORD_SET",
    ],
    ["two hours in the future (case 45)", { records: recordSet(["x"], WALL_START_MS + 2 * 3_600_000) }, "TIMESTAMP_TOO_NEW"],
    ["no gzip", { compressedRecords: good, compression: Compression.gzip, recordCount: 1 }, "MALFORMED_RECORD_SET"],
    [
      "gzip of no record set",
      { compressedRecords: gzipSync("text"), compression: Compression.gzip, recordCount: 1 },
      "MALFORMED_RECORD_SET",
    ],
    [
      "a lying count (case 45)",
      { compressedRecords: gzipSync(good), compression: Compression.gzip, recordCount: 2 },
      "MALFORMED_RECORD_SET",
    ],
    [
      "a negative count (case 42)",
      { compressedRecords: gzipSync(good), compression: Compression.gzip, recordCount: -1 },
      "MALFORMED_RECORD_SET",
    ],
    [
      "gzip that inflates without end",
      { compressedRecords: gzipSync(new Uint8Array(17 * MiB)), compression: Compression.gzip, recordCount: 1 },
      "RECORD_SET_TOO_LARGE",
    ],
    ["zstd", { compressedRecords: good, compression: Compression.zstd, recordCount: 1 }, "COMPRESSION_UNSUPPORTED"],
    ["lz4", { compressedRecords: good, compression: Compression.lz4, recordCount: 1 }, "COMPRESSION_UNSUPPORTED"],
    ["snappy", { compressedRecords: good, compression: Compression.snappy, recordCount: 1 }, "COMPRESSION_UNSUPPORTED"],
    ["plain records said to be gzip", { records: good, compression: Compression.gzip }, "INVALID_REQUEST"],
    ["a sequence without a producer", { records: good, baseSequence: 4 }, "INVALID_REQUEST"],
    ["a negative sequence (case 42)", { records: good, producerId: 2 ** 30, baseSequence: -1 }, "INVALID_REQUEST"],
    ["a negative producer", { records: good, producerId: -7 }, "INVALID_REQUEST"],
    ["a level a producer id does not allow", { records: good, producerId: 2 ** 30, acks: Acks.leader }, "ACKS_NOT_ALLOWED"],
  ];

  for (const [what, request, code] of refusals) {
    it(`is refused as a whole, on every broker: ${what}`, async () => {
      for (const n of cluster.numbers) {
        const error = await cluster.refused(n, rpc.Produce, { topic: "t", ...request }, code);
        assert.ok(error.outcomeKnown, "nothing was written");
        if (code === "MALFORMED_RECORD_SET") assert.match(error.metadata["position"] ?? "", /^\d+$/);
      }
      assert.deepEqual(await cluster.values("t"), ["first"]);
    });
  }

  it("is refused when the request itself is broken: a field twice, a wrong wire type, an unknown level, garbage (cases 40, 42)", async () => {
    const request = ProduceRequest.encode({ topic: "t", records: good });
    const broken = [
      Buffer.concat([request, Uint8Array.of(0x1a, good.byteLength), good]),
      Buffer.concat([request, Uint8Array.of(0x18, 1)]),
      Buffer.concat([request, Uint8Array.of(0x38, 9)]),
      Buffer.concat([request, Uint8Array.of(0x38, ...varint(2 ** 40))]),
      Uint8Array.of(0xff, 0xff, 0xff),
    ];
    for (const bytes of broken) {
      for (const n of cluster.numbers) {
        const raw = { ...rpc.Produce, encode: () => bytes };
        const error = await cluster.call(n, raw, {}).then(
          () => assert.fail(`${Buffer.from(bytes).toString("hex")} was taken`),
          (failure: unknown) => failure,
        );
        assert.ok(error instanceof MillraceError && error.status === "INVALID_ARGUMENT", String(error));
      }
    }
    assert.deepEqual(await cluster.values("t"), ["first"]);
  });

  it("leaves no trace: the next batch has the next offset", async () => {
    const { baseOffset } = await cluster.call(2, rpc.Produce, { topic: "t", records: recordSet(["second"]) });
    assert.equal(baseOffset, 1);
    assert.deepEqual(await cluster.values("t", 0, 3), ["first", "second"]);
  });
});

describe("A batch at the limit", () => {
  let cluster: Cluster;
  before(async () => {
    // The largest block needs files of 16 MiB.
    cluster = await Cluster.start({ seed: 13, configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: 16 * MiB } }) });
  });
  after(() => cluster.close());

  for (const limit of [1024, MiB, 3 * MiB]) {
    it(`of ${limit} bytes is accepted, replicated and readable, one byte more is refused (case 46)`, async () => {
      const topic = `t${limit}`;
      await cluster.createTopic(topic, 1, [["max.message.bytes", String(limit)]]);
      const set = setOfBytes(limit);
      for (const n of cluster.numbers) {
        const error = await cluster.refused(n, rpc.Produce, { topic, records: setOfBytes(limit + 1) }, "RECORD_SET_TOO_LARGE");
        assert.equal(error.metadata["max_bytes"], String(limit));
        assert.equal(error.metadata["bytes"], String(limit + 1));
        const { baseOffset, durableBrokerIds } = await cluster.call(n, rpc.Produce, { topic, records: set });
        assert.equal(baseOffset, n - 1);
        assert.deepEqual([...durableBrokerIds].sort(), [1, 2, 3]);
      }
      for (const n of cluster.numbers) {
        await cluster.moveLeader(topic, 0, n);
        for (const via of cluster.numbers) {
          const { batches, nextOffset } = await cluster.call(via, rpc.Fetch, { topic, offset: 1, maxBytes: 1 });
          assert.equal(nextOffset, 2, "one batch, whole, though it is larger than asked for");
          assert.deepEqual(batches[0]?.records, set);
        }
      }
    });
  }
});

describe("A fetch for more than one message between brokers holds", () => {
  it("gets what fits, whoever it asks (case 48)", async () => {
    const cluster = await Cluster.start({
      seed: 21,
      configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: 16 * MiB, hotTailBytes: 64 * MiB } }),
    });
    await cluster.createTopic("large", 1, [["max.message.bytes", String(3 * MiB)]]);
    for (let n = 0; n < 7; n++) await cluster.call(1, rpc.Produce, { topic: "large", records: setOfBytes(3 * MiB) });
    for (const n of cluster.numbers) {
      const { nextOffset } = await cluster.call(n, rpc.Fetch, { topic: "large", maxBytes: 2 ** 31 - 1 });
      assert.ok(nextOffset >= 3, `broker ${n}: ${nextOffset} of 7`);
    }
    cluster.close();
  });
});

describe("An offset or a size out of range", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 14 });
    await cluster.createTopic("t");
    await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(["a", "b", "c"]) });
  });
  after(() => cluster.close());

  it("is refused with the valid range (case 48)", async () => {
    for (const n of cluster.numbers) {
      for (const offset of [4, 2 ** 40]) {
        const error = await cluster.refused(n, rpc.Fetch, { topic: "t", offset, maxWaitMs: 1_000 }, "OFFSET_OUT_OF_RANGE");
        assert.deepEqual(error.metadata, { topic: "t", partition: "0", log_start_offset: "0", high_watermark: "3" });
        const subscription = cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, offset }] });
        await subscription.over();
        assert.ok(
          subscription.error instanceof MillraceError && subscription.error.code === "OFFSET_OUT_OF_RANGE",
          `${subscription.error}`,
        );
        assert.deepEqual([subscription.error.metadata["partition"], subscription.error.metadata["high_watermark"]], ["0", "3"]);
      }
      for (const [field, request] of [
        ["offset", { offset: -1 }],
        ["max_bytes", { maxBytes: -1 }],
        ["min_bytes", { minBytes: -5 }],
        ["max_wait_ms", { maxWaitMs: -1 }],
      ] as const) {
        const error = await cluster.refused(n, rpc.Fetch, { topic: "t", ...request }, "INVALID_REQUEST");
        assert.equal(error.metadata["field"], field);
      }
      const subscription = cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, offset: -3 }] });
      await subscription.over();
      assert.ok(subscription.error instanceof MillraceError && subscription.error.code === "INVALID_REQUEST");
    }
  });

  it("at the end of the log is no error: there is nothing yet", async () => {
    const { batches, nextOffset } = await cluster.call(2, rpc.Fetch, { topic: "t", offset: 3 });
    assert.deepEqual(batches, []);
    assert.equal(nextOffset, 3);
  });

  it("of 0 or 2^31 - 1 bytes gets a bounded reply (case 48)", async () => {
    for (const maxBytes of [0, 1, 2 ** 31 - 1]) {
      const { nextOffset } = await cluster.call(3, rpc.Fetch, { topic: "t", maxBytes });
      assert.equal(nextOffset, 3);
    }
  });

  it("refuses a subscription of no partition, and one with a negative rate or credit (case 42)", async () => {
    for (const [request, code] of [
      [{ topic: "t", partitions: [] }, "INVALID_REQUEST"],
      [{ topic: "t", partitions: [{ partition: 0, offset: 0 }], maxRate: -5 }, "INVALID_REQUEST"],
      [{ topic: "t", partitions: [{ partition: 0, offset: 0 }], creditBytes: -1 }, "INVALID_REQUEST"],
    ] as const) {
      const subscription = cluster.subscribe(1, request);
      await subscription.over();
      assert.ok(subscription.error instanceof MillraceError && subscription.error.code === code, `${subscription.error}`);
    }
  });
});

describe("acks=ALL with min.insync.replicas 3", () => {
  it("is refused before the append when a broker is gone, and says so; QUORUM goes on; back again, ALL works", async () => {
    const cluster = await Cluster.start({ seed: 15 });
    await cluster.createTopic("t", 1, [["min.insync.replicas", "3"]]);
    await cluster.moveLeader("t", 0, 1);
    await cluster.call(2, rpc.Produce, { topic: "t", records: recordSet(["before"]) });
    cluster.kill(3);
    // The first one meets a leader that does not know yet: it appends, then the recorded ISR shrinks below the minimum.
    const late = await cluster.refused(2, rpc.Produce, { topic: "t", records: recordSet(["unknown"]) }, "NOT_ENOUGH_REPLICAS_AFTER_APPEND");
    assert.equal(late.outcomeKnown, false);
    assert.equal(late.status, "UNKNOWN");
    for (const n of [1, 2]) {
      const error = await cluster.refused(n, rpc.Produce, { topic: "t", records: recordSet(["refused"]) }, "NOT_ENOUGH_REPLICAS");
      assert.ok(error.outcomeKnown && error.retriable);
      assert.equal(error.status, "UNAVAILABLE");
      assert.match(error.message, /3/);
      await cluster.call(n, rpc.Produce, { topic: "t", records: recordSet([`quorum ${n}`]), acks: Acks.quorum });
    }
    await cluster.restart(3);
    const group = await cluster.groupOf("t", 0);
    const whole = async (): Promise<boolean> => {
      const { topics } = await cluster.call(1, rpc.DescribeTopics, { names: ["t"] });
      return topics[0]?.partitions[0]?.isrBrokerIds.length === 3;
    };
    for (let tries = 0; tries < 100 && !(await whole()); tries++) await cluster.pass(100);
    assert.ok(await whole(), `group ${group} is whole again`);
    await cluster.call(3, rpc.Produce, { topic: "t", records: recordSet(["after"]) });
    assert.deepEqual(await cluster.values("t"), ["before", "unknown", "quorum 1", "quorum 2", "after"]);
    cluster.close();
  });
});

describe("A deadline that passes", () => {
  it("before the append writes nothing", async () => {
    const cluster = await Cluster.start({ seed: 16 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    cluster.kill(1);
    cluster.kill(3);
    // Broker 2 hears that their connections are gone before the call comes.
    await cluster.pass(50);
    // One of three: nobody can lead. The call is held and its deadline comes first.
    const error = await cluster
      .call(2, rpc.Produce, { topic: "t", records: recordSet(["x"]) }, { timeoutMs: 700 })
      .catch((failure) => failure);
    assert.ok(error instanceof MillraceError || error instanceof RpcFailure, String(error));
    assert.ok(["DEADLINE_EXCEEDED", "UNAVAILABLE"].includes(error.status), error.message);
    const told = await cluster.refused(2, rpc.Produce, { topic: "t", records: recordSet(["y"]) }, "LEADER_UNKNOWN", { timeoutMs: 9_000 });
    assert.ok(told.outcomeKnown && told.retryAfterMs !== undefined);
    await cluster.restart(1);
    await cluster.restart(3);
    const { baseOffset } = await cluster.call(1, rpc.Produce, { topic: "t", records: recordSet(["z"]) });
    assert.equal(baseOffset, 0);
    assert.deepEqual(await cluster.values("t"), ["z"]);
    cluster.close();
  });

  it("after the append leaves the outcome unknown, and the batch whole or absent", async () => {
    const cluster = await Cluster.start({ seed: 17 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    cluster.world.network.partition([
      ["b1", "client"],
      ["b2", "b3"],
    ]);
    const error = await cluster
      .call(1, rpc.Produce, { topic: "t", records: recordSet(["x", "y"]) }, { timeoutMs: 300 })
      .catch((failure) => failure);
    assert.ok(error instanceof MillraceError || error instanceof RpcFailure, String(error));
    assert.equal(error.status, "DEADLINE_EXCEEDED");
    if (error instanceof MillraceError) assert.equal(error.outcomeKnown, false);
    cluster.world.network.heal();
    await cluster.leaderOf("t", 0);
    await cluster.call(2, rpc.Produce, { topic: "t", records: recordSet(["z"]) });
    const values = await cluster.values("t");
    assert.ok(["x,y,z", "z"].includes(values.join()), values.join());
    cluster.close();
  });
});

describe("A client that is gone in the middle of a call (case 35)", () => {
  const PENDING = 256 * 1024;
  let cluster: Cluster;
  before(async () => {
    const configure: NonNullable<Parameters<typeof Cluster.start>[0]>["configure"] = (config) => ({
      ...config,
      limits: { ...config.limits, producePendingMaxBytes: PENDING },
    });
    cluster = await Cluster.start({ seed: 18, configure });
    await cluster.createTopic("t");
  });
  after(() => cluster.close());

  it("leaves whole batches or none, and nothing that counts against later calls", async () => {
    const big = "v".repeat(60_000);
    for (let round = 0; round < 24; round++) {
      const abort = new AbortController();
      const call = cluster.ask(
        (round % 3) + 1,
        rpc.Produce,
        { topic: "t", records: recordSet([`${round} first`, big, `${round} last`]) },
        { signal: abort.signal },
      );
      const ended = call.then(
        () => "answered",
        (error: unknown) => error,
      );
      await cluster.pass((round % 8) / 2);
      abort.abort();
      const outcome = await cluster.settle(ended);
      assert.ok(outcome === "answered" || outcome instanceof Error);
    }
    for (let round = 0; round < 6; round++) {
      const stream = cluster.produceStream((round % 3) + 1);
      const batches = [1, 2, 3].map((id) => ({
        correlationId: id,
        request: { topic: "t", records: recordSet([`s${round}.${id} first`, big, `s${round}.${id} last`]) },
      }));
      stream.send({ batches });
      await cluster.pass(round / 2);
      stream.cancel();
      await stream.over();
    }
    await cluster.pass(2_000);
    // Everything the bound allows fits at once: nothing of the calls that ended is still counted.
    const last = ["one", "two", "three", "four"].map((name) =>
      cluster.ask(1, rpc.Produce, { topic: "t", records: recordSet([name, big]) }),
    );
    await cluster.settle(Promise.all(last));
    const values = await cluster.values("t");
    for (const [i, value] of values.entries()) {
      if (value.endsWith("first")) {
        assert.equal(values[i + 1], big);
        assert.equal(values[i + 2], value.replace("first", "last"));
      }
    }
    assert.equal(values.filter((value) => value.endsWith("first")).length, values.filter((value) => value.endsWith("last")).length);
    assert.equal(new Set(values.filter((value) => value !== big)).size, values.filter((value) => value !== big).length, "nothing twice");
  });

  it("ends its long poll and its subscription at the leader too", async () => {
    for (const n of cluster.numbers) {
      const abort = new AbortController();
      const end = (await cluster.call(n, rpc.ListOffsets, { topic: "t" })).partitions[0]?.highWatermark ?? 0;
      const poll = cluster
        .ask(n, rpc.Fetch, { topic: "t", offset: end, maxWaitMs: 20_000 }, { signal: abort.signal })
        .catch((error) => error);
      const subscription = cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, end: true }] });
      await cluster.pass(50);
      abort.abort();
      subscription.cancel();
      assert.ok((await cluster.settle(poll)) instanceof RpcFailure);
      await subscription.over();
    }
    await cluster.call(2, rpc.Produce, { topic: "t", records: recordSet(["nobody waits for this"]) });
  });
});

describe("A broker that cannot start", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 19 });
  });
  after(() => cluster.close());

  /** A second process on a host of its own, with ports of the test's choice. */
  const second = (host: string, disk: string, change: Partial<ReturnType<typeof brokerConfig>>): Promise<unknown> => {
    const ports = cluster.world.machine(host).boot();
    const other = new SimDisk(cluster.world.machine(disk).device, ports.process);
    const broker = createBroker(
      { ...ports, disk: other, telemetry: { log() {}, count() {}, observe() {} } },
      { ...brokerConfig(1, 3), ...change },
      {
        version: "test",
        fatal: (error) => cluster.world.scheduler.fail(error),
      },
    );
    return cluster.settle(
      broker.start().then(
        () => assert.fail("it started"),
        (error: unknown) => error,
      ),
    );
  };

  it("says that the data directory is in use, and the one that runs goes on", async () => {
    const error = await second("other1", "b1", { listen: "other1:7400", peerListen: "other1:7401" });
    assert.ok(error instanceof Error && /in use|held|lock/i.test(error.message), String(error));
    assert.equal((await cluster.call(1, rpc.DescribeCluster, {})).answeredBy, 1);
  });

  it("says which address is taken", async () => {
    const error = await second("b9", "fresh", { listen: "b1:7400", peerListen: "b9:7401" });
    assert.ok(error instanceof ListenError, String(error));
    assert.match(error.message, /b1:7400/);
    const peer = await second("b9", "fresh2", { listen: "b9:7400", peerListen: "b2:7401" });
    assert.ok(peer instanceof ListenError, String(peer));
    assert.match(peer.message, /b2:7401/);
  });

  it("says that the data directory belongs to another broker", async () => {
    await cluster.stop(3);
    const error = await second("other2", "b3", { listen: "other2:7400", peerListen: "other2:7401" });
    assert.ok(error instanceof MillraceError && error.code === "INVALID_CONFIG", String(error));
    assert.match(error.message, /belongs to broker 3/);
    cluster.world.machine("other2").crash();
    await cluster.restart(3);
  });
});

describe("A peer connection of a foreigner", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 20 });
    await cluster.createTopic("t");
  });
  after(() => cluster.close());

  const hello = {
    protocol: 1,
    clusterId: "00000000-0000-4000-8000-000000000000",
    recoveryEpoch: 0,
    fromBroker: 2,
    toBroker: 1,
    incarnation: "11111111-0000-4000-8000-000000000000",
    startNumber: 1,
    featureLevel: 1,
    durableBlockSequence: 0,
    remembered: [],
    admittedBlockSequence: 0,
    kind: "control",
  };
  /** What a dialer is told after its first message: the text of the refusal, or that the connection ended. */
  const greet = async (kind: number, body: Uint8Array): Promise<string> => {
    const ports = cluster.world.machine("foreign").boot();
    let told: string | undefined;
    ports.transport.dial("b1:7401", 1_000).then(
      (connection) => {
        connection.handlers = {
          message: (type, bytes) => {
            told = `${type}: ${Buffer.from(bytes).toString()}`;
          },
          drain() {},
          closed: () => {
            told ??= "closed";
          },
        };
        connection.send(kind, [body]);
      },
      (error: Error) => {
        told = error.message;
      },
    );
    await cluster.until(() => told !== undefined, "an answer to the hello");
    return told ?? "";
  };

  it("is refused with the names of both clusters", async () => {
    const { clusterId } = await cluster.call(1, rpc.DescribeCluster, {});
    const told = await greet(0, Hello.encode(hello));
    assert.match(told, /^255: WRONG_CLUSTER/);
    assert.ok(told.includes(clusterId) && told.includes(hello.clusterId));
  });

  it("is refused for another protocol, another addressee, an unknown kind, its own id, garbage or silence about who it is", async () => {
    const { clusterId } = await cluster.call(1, rpc.DescribeCluster, {});
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId, protocol: 7 })), /^255: .*protocol 7/);
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId, toBroker: 3 })), /^255: this is broker 1, not 3/);
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId, kind: "gossip" })), /^255: unknown kind/);
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId, fromBroker: 1 })), /^255: both sides are broker 1/);
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId: "" })), /^255: not a member/);
    assert.match(await greet(0, Hello.encode({ ...hello, clusterId, recoveryEpoch: 3 })), /^255: recovery epoch 3/);
    assert.equal(await greet(0, Uint8Array.of(0xff, 0xff)), "closed");
    assert.equal(await greet(5, Hello.encode(hello)), "closed");
  });

  it("disturbs nobody", async () => {
    const { durableBrokerIds } = await cluster.call(3, rpc.Produce, { topic: "t", records: recordSet(["calm"]) });
    assert.deepEqual([...durableBrokerIds].sort(), [1, 2, 3]);
    assert.equal((await cluster.call(1, rpc.GetClusterHealth, {})).healthy, true);
  });
});
