import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { type LimitName, limits } from "../../../src/base/limits.ts";
import { PRODUCER_BATCHES_MAX, PRODUCERS_MAX } from "../../../src/log/model/producers.ts";
import { ListOffsetsRequest } from "../../../src/protocol/public.ts";
import { Cluster, recordSet, WALL_START_MS } from "../harness.ts";
import * as rpc from "../stubs.ts";

const KiB = 1024;
const big = (): Uint8Array => recordSet(["x".repeat(60 * KiB)]);
/** A record with these bytes as its fields, in a set. */
function recordOf(times: number, ...body: readonly number[]): Uint8Array {
  const bytes = Buffer.concat(Array.from({ length: times }, () => Buffer.from(body)));
  const length = [(bytes.length & 127) | 128, ((bytes.length >> 7) & 127) | 128, bytes.length >> 14];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}

type Row = readonly [limit: string, code: ErrorCode, hit: (cluster: Cluster) => Promise<unknown>];

/** Each limit a request can reach, with a request that does: whoever is asked says the code, and the limit by its name. */
const rows: readonly Row[] = [
  ["topic.name.max", "INVALID_NAME", (c) => c.call(1, rpc.CreateTopic, { name: "x".repeat(250) })],
  ["partitions.per.topic.max", "INVALID_REQUEST", (c) => c.call(2, rpc.CreateTopic, { name: "wide", partitions: 9 })],
  ["partitions.per.topic.max", "INVALID_REQUEST", (c) => c.call(3, rpc.AddPartitions, { name: "t", partitions: 9 })],
  [
    "partitions.per.topic.max",
    "INVALID_REQUEST",
    (c) => c.call(1, rpc.ListOffsets, { topic: "t", partitions: [0, 1, 2, 3, 4, 5, 6, 7, 8] }),
  ],
  [
    "describe.topics.max",
    "INVALID_REQUEST",
    (c) => c.call(2, rpc.DescribeTopics, { names: Array.from({ length: 1_001 }, (_, n) => `t${n}`) }),
  ],
  ["partitions.max", "TOO_MANY_REQUESTS", (c) => c.call(2, rpc.CreateTopic, { name: "wide", partitions: 8 })],
  [
    "configs.max",
    "INVALID_CONFIG",
    (c) => c.call(1, rpc.AlterTopic, { name: "t", set: new Map(Array.from({ length: 101 }, (_, n) => [`key.${n}`, "1"])) }),
  ],
  ["max.message.bytes", "RECORD_SET_TOO_LARGE", (c) => c.call(3, rpc.Produce, { topic: "t", records: recordSet(["x".repeat(100 * KiB)]) })],
  ["record.headers.max", "MALFORMED_RECORD_SET", (c) => c.call(1, rpc.Produce, { topic: "t", records: recordOf(1_001, 0x1a, 0) })],
  ["records.unknown.fields.max", "MALFORMED_RECORD_SET", (c) => c.call(2, rpc.Produce, { topic: "t", records: recordOf(10_001, 0x50, 0) })],
  ["request.unknown.fields.max", "INVALID_REQUEST", (c) => c.call(3, raw(Buffer.alloc(20_002, Buffer.from([0x78, 0]))), {})],
  ["request.elements.max", "INVALID_REQUEST", (c) => c.call(1, raw(packed(262_145)), {})],
  [
    "timestamp.ahead.max.ms",
    "TIMESTAMP_TOO_NEW",
    (c) => c.call(2, rpc.Produce, { topic: "t", records: recordSet(["x"], WALL_START_MS + 2 * 3_600_000) }),
  ],
];

/** ListOffsets with these bytes as its request. */
const raw = (bytes: Uint8Array): typeof rpc.ListOffsets => ({ ...rpc.ListOffsets, encode: () => bytes });
function packed(count: number): Uint8Array {
  return ListOffsetsRequest.encode({ topic: "t", partitions: Array.from({ length: count }, () => 0) });
}

/** Limits whose typed error is read elsewhere: a file that names them. */
const elsewhere: Readonly<Record<string, string>> = {
  "produce.pending.max.bytes": "broker/services/limits.test.ts",
  "forward.pending.max.bytes": "broker/services/limits.test.ts",
  "reply.pending.max.bytes": "broker/services/reply-room.test.ts",
  "request.pending.max.bytes": "grpc/held-requests.test.ts",
  "subscribe.partitions.max": "broker/services/sums.test.ts",
  "client.calls.max": "grpc/limits.test.ts",
  "client.request.timeout.ms": "grpc/limits.test.ts",
  "produce.stream.batches.max": "broker/services/produce-stream.test.ts",
  "produce.stream.partitions.max": "broker/services/produce-stream.test.ts",
  "producers.per.partition.max": "log/model.test.ts",
  "producer.batches.max": "broker/idempotence.test.ts",
  "compression.inflate.waiting": "compression/gzip.test.ts",
  "time.searches.waiting": "broker/partition/time-searches.test.ts",
  "request.max.bytes": "grpc/limits.test.ts",
  "request.headers.max.bytes": "grpc/limits.test.ts",
  "request.headers.max": "grpc/limits.test.ts",
  "probe.request.max.bytes": "grpc/services.test.ts",
  "session.first.heartbeat.ms": "broker/groups/session.test.ts",
  "group.name.max": "consumer-groups/limits.test.ts",
  "group.member.id.max": "consumer-groups/limits.test.ts",
  "group.epochs.max": "consumer-groups/limits.test.ts",
  "groups.per.coordinator.max": "consumer-groups/limits.test.ts",
  "group.members.max": "consumer-groups/limits.test.ts",
  "group.topics.per.member.max": "consumer-groups/limits.test.ts",
  "group.topic.pattern.max": "patterns/re2-patterns.test.ts",
  "group.topic.pattern.program.max": "patterns/re2-patterns.test.ts",
  "group.rebalance.timeout.max.ms": "consumer-groups/limits.test.ts",
  "group.offsets.max": "consumer-groups/limits.test.ts",
  "group.offsets.per.commit.max": "consumer-groups/limits.test.ts",
  "offset.metadata.max.bytes": "consumer-groups/limits.test.ts",
  "session.heartbeats.waiting": "broker/groups/limits.test.ts",
  "group.answer.max.bytes": "broker/groups/limits.test.ts",
  "wal.files.max": "broker/ring-full.test.ts",
  "disk.reserve.bytes": "broker/disk-full.slow.test.ts",
};

/** Limits that end no call with an error, so that there is none to read, and where each is hit: what is seen of it stands in docs/limits.md. */
const unanswered: Readonly<Record<string, string>> = {
  "fetch.wait.max.ms": "broker/services/limits.test.ts",
  "fetch.default.bytes": "broker/services/limits.test.ts",
  "fetch.max.bytes": "broker/services/limits.test.ts",
  "stream.credit.bytes": "broker/services/produce-stream.test.ts",
  "stream.pending.max.bytes": "broker/services/produce-stream.test.ts",
  "read.pending.max.bytes": "log/read-turns.test.ts",
  "time.searches.max": "broker/time-lookup.test.ts",
  "replica.catchups.max": "broker/catch-up/pace.test.ts",
  "replica.replacements.max": "broker/membership/replacements.test.ts",
  "client.connections.max": "grpc/limits.test.ts",
  "client.streams.max": "grpc/limits.test.ts",
  "client.preface.timeout.ms": "grpc/hardening.test.ts",
  "client.answer.timeout.ms": "grpc/limits.test.ts",
  "connection.memory.max.bytes": "grpc/limits.test.ts",
  "client.linger.ms": "grpc/hardening.test.ts",
  "client.keepalive.ms": "grpc/limits.test.ts",
  "client.keepalive.timeout.ms": "grpc/limits.test.ts",
  "metrics.partitions.max": "telemetry/metrics.test.ts",
};

describe("A limit that is reached", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({
      seed: 91,
      configure: (config) => ({
        ...config,
        timings: { ...config.timings, fetchWaitMaxMs: 200 },
        limits: {
          ...config.limits,
          maxMessageBytes: 80 * KiB,
          producePendingMaxBytes: 100 * KiB,
          forwardPendingMaxBytes: 100 * KiB,
          partitionsPerTopicMax: 8,
          partitionsMax: 10,
          fetchDefaultBytes: 2 * KiB + 500,
          fetchMaxBytes: 8 * KiB + 900,
        },
      }),
    });
    await cluster.createTopic("t", 2);
    await cluster.createTopic("f", 1);
  });
  after(() => cluster.close());

  for (const [limit, code, hit] of rows) {
    it(`is named: ${limit} (${code})`, async () => {
      const error: unknown = await hit(cluster).then(
        () => assert.fail("it was taken"),
        (failure: unknown) => failure,
      );
      assert.ok(error instanceof MillraceError && error.code === code, String(error));
      assert.equal(error.metadata["limit"], limit, error.message);
    });
  }

  it("is named: produce.pending.max.bytes and forward.pending.max.bytes, with when to try again", async () => {
    await cluster.moveLeader("t", 0, 1);
    cluster.world.network.partition([
      ["b1", "client"],
      ["b2", "b3"],
    ]);
    const asked = Array.from({ length: 2 }, () => cluster.ask(1, rpc.Produce, { topic: "t", records: big() }, { timeoutMs: 400 }));
    const [, second] = await cluster.settle(Promise.allSettled(asked));
    assert.ok(second?.status === "rejected" && second.reason instanceof MillraceError, JSON.stringify(second));
    assert.deepEqual([second.reason.code, second.reason.metadata["limit"]], ["PENDING_FULL", "produce.pending.max.bytes"]);
    assert.ok(second.reason.retryAfterMs !== undefined);
    // The old leader steps down: who asks it now is held until another is known, within a bound.
    await cluster.pass(3_000);
    const held = Array.from({ length: 2 }, () => cluster.ask(1, rpc.Produce, { topic: "t", records: big() }, { timeoutMs: 400 }));
    const [, refused] = await cluster.settle(Promise.allSettled(held));
    assert.ok(refused?.status === "rejected" && refused.reason instanceof MillraceError, JSON.stringify(refused));
    assert.deepEqual([refused.reason.code, refused.reason.metadata["limit"]], ["TOO_MANY_REQUESTS", "forward.pending.max.bytes"]);
    assert.ok(refused.reason.retryAfterMs !== undefined);
    cluster.world.network.heal();
    await cluster.leaderOf("t", 0);
  });

  it("is what a fetch gets at most, whatever it asks: fetch.max.bytes, fetch.default.bytes, and fetch.wait.max.ms of patience", async () => {
    for (let n = 0; n < 20; n++) await cluster.call(1, rpc.Produce, { topic: "f", records: recordSet(["x".repeat(KiB)]) });
    for (const via of [1, 2, 3]) {
      const batches = async (maxBytes: number) => (await cluster.call(via, rpc.Fetch, { topic: "f", maxBytes })).batches.length;
      assert.deepEqual([await batches(0), await batches(1_000 * KiB)], [2, 8], `broker ${via}`);
      const asked = cluster.world.now;
      const end = await cluster.call(via, rpc.Fetch, { topic: "f", offset: 20, maxWaitMs: 5_000 });
      assert.equal(end.batches.length, 0);
      const waited = cluster.world.now - asked;
      assert.ok(waited >= 200 && waited < 400, `${waited} ms`);
    }
  });

  it("has a row here, or a test elsewhere that names it or its constant", () => {
    const files: Readonly<Record<string, string>> = { ...elsewhere, ...unanswered };
    const named = new Set([...rows.map(([limit]) => limit), ...Object.keys(files)]);
    const page = readFileSync("docs/limits.md", "utf8").split("## Without an answer")[0] ?? "";
    const listed = [...page.matchAll(/^\| `([a-z.]+)` \|/gm)].map(([, limit = ""]) => limit);
    assert.ok(listed.length > 45 && Object.keys(limits).every((limit) => listed.includes(limit)));
    // All that a caller may meet are on the page, and all that are on the page are hit.
    assert.deepEqual(
      [...named].filter((limit) => !listed.includes(limit)),
      [],
    );
    assert.deepEqual(
      listed.filter((limit) => !named.has(limit)),
      [],
    );
    for (const [limit, file] of Object.entries(files)) {
      const text = readFileSync(`test/${file}`, "utf8");
      assert.ok(text.includes(limit) || /PRODUCERS_MAX|ALREADY_WRITTEN/.test(text), `test/${file}: ${limit}`);
    }
    const value = (limit: LimitName): number => limits[limit].value;
    assert.deepEqual([value("producers.per.partition.max"), value("producer.batches.max")], [PRODUCERS_MAX, PRODUCER_BATCHES_MAX]);
  });
});
