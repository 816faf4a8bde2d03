import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { nearest } from "../../src/cluster/nearest.ts";
import {
  describeTopicConfig,
  refuseTopicConfig,
  type TopicConfigKey,
  topicConfig,
  topicConfigKeys,
} from "../../src/cluster/topic-config.ts";

const none = new Map<string, string>();

describe("topic configuration", () => {
  it("has defaults that its own rules allow", () => {
    for (const { key, value, source } of describeTopicConfig(none, none)) {
      assert.equal(refuseTopicConfig(key, value), undefined, key);
      assert.equal(source, "default");
    }
  });

  it("takes the topic's value before the cluster's before the default", () => {
    const cluster = new Map([
      ["segment.ms", "5000"],
      ["acks.min", "QUORUM"],
    ]);
    const config = topicConfig(new Map([["segment.ms", "7000"]]), cluster);
    assert.equal(config.segmentMs, 7000);
    assert.equal(config.acksMin, "QUORUM");
    assert.equal(config.maxMessageBytes, 1024 * 1024);
    const source = (key: TopicConfigKey) =>
      describeTopicConfig(new Map([["segment.ms", "7000"]]), cluster).find((each) => each.key === key)?.source;
    assert.deepEqual([source("segment.ms"), source("acks.min"), source("retention.ms")], ["topic", "cluster", "default"]);
  });

  it("reads the values that mean none as undefined", () => {
    const config = topicConfig(
      new Map([
        ["retention.ms", "-1"],
        ["retention.bytes", "-1"],
        ["min.insync.replicas", "0"],
      ]),
      none,
    );
    assert.deepEqual([config.retentionMs, config.retentionBytes, config.minInsyncReplicas], [undefined, undefined, undefined]);
  });

  it("refuses values that are no whole number in range, or no choice", () => {
    const wrong: [string, string][] = [
      ["segment.bytes", "1e9"],
      ["segment.bytes", "2000000.5"],
      ["segment.bytes", "0x200000"],
      ["segment.bytes", " 2000000"],
      ["segment.bytes", ""],
      ["segment.bytes", "-1"],
      ["segment.bytes", "1073741825"],
      ["retention.ms", "9007199254740993"],
      ["retention.ms", "0"],
      ["retention.ms", "-2"],
      ["max.message.bytes", "3145729"],
      ["min.insync.replicas", "16"],
      ["acks.min", "quorum"],
      ["acks.min", "toString"],
    ];
    for (const [key, value] of wrong) assert.equal(refuseTopicConfig(key, value)?.code, "INVALID_CONFIG", `${key}=${value}`);
    assert.equal(refuseTopicConfig("max.message.bytes", "3145728"), undefined);
  });

  it("refuses by name what others have and this version has not, with the reason", () => {
    const compact = refuseTopicConfig("cleanup.policy", "compact");
    assert.equal(compact?.code, "INVALID_CONFIG");
    assert.match(compact?.message ?? "", /not yet: this version has no compaction/);
    assert.deepEqual(
      [compact?.metadata["key"], compact?.metadata["value"], compact?.metadata["range"]],
      ["cleanup.policy", "compact", "delete"],
    );
    for (const value of ["gzip", "zstd", "none"])
      assert.match(refuseTopicConfig("compression.type", value)?.message ?? "", /the producer's codec is kept/);
    assert.match(refuseTopicConfig("message.timestamp.type", "LogAppendTime")?.message ?? "", /its name here is append/);
    assert.match(refuseTopicConfig("cleanup.policy", "toString")?.message ?? "", /it must be delete$/);
    for (const [key, value] of [
      ["cleanup.policy", "delete"],
      ["compression.type", "producer"],
      ["message.timestamp.type", "append"],
    ] as const)
      assert.equal(refuseTopicConfig(key, value), undefined);
    const range = refuseTopicConfig("segment.bytes", "5")?.metadata;
    assert.deepEqual(
      [range?.["key"], range?.["value"], range?.["range"]],
      ["segment.bytes", "5", "a whole number from 1048576 to 1073741824"],
    );
  });

  it("names the nearest key for a wrong one, and none for what is like nothing", () => {
    assert.equal(refuseTopicConfig("retention_ms", "1")?.metadata["nearest"], "retention.ms");
    assert.equal(refuseTopicConfig("segment_bytes", "1")?.metadata["nearest"], "segment.bytes");
    assert.equal(refuseTopicConfig("compaction", "1")?.metadata["nearest"], undefined);
    assert.equal(refuseTopicConfig("__proto__", "1")?.metadata["nearest"], undefined);
    assert.ok((refuseTopicConfig("x".repeat(10_000), "1")?.message.length ?? 0) < 200);
  });
});

describe("nearest", () => {
  it("finds every known key with one letter wrong, missing or too many", () => {
    const keys = Object.keys(topicConfigKeys);
    const edit = fc.record({ key: fc.constantFrom(...keys), at: fc.nat(6), how: fc.constantFrom("drop", "add", "swap") });
    fc.assert(
      fc.property(edit, ({ key, at, how }) => {
        const wrong =
          how === "drop" ? key.slice(0, at) + key.slice(at + 1) : `${key.slice(0, at)}#${key.slice(how === "add" ? at : at + 1)}`;
        assert.equal(nearest(wrong, keys), key);
      }),
    );
  });
});
