import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { defaultMemorySettings, memorySum, memorySumBytes } from "../../src/config/memory-sum.ts";
import { isSettingKey, settingKeys } from "../../src/config/table.ts";

const MiB = 1024 * 1024;
const of = defaultMemorySettings;

describe("What the limits add up to", () => {
  it("has every limit on bytes or numbers that callers share, in a formula or in the words below", () => {
    const page = readFileSync("docs/limits.md", "utf8");
    const section = page.slice(page.indexOf("## What they add up to"));
    const shared = settingKeys.filter(
      (key) => key.endsWith(".pending.max.bytes") || /^(subscribe\.partitions|client\.calls)\.max$/.test(key),
    );
    assert.ok(shared.length >= 8);
    for (const key of shared) assert.ok(section.includes(`\`${key}\``), key);
  });

  it("names settings only, and grows with each that a formula names", () => {
    for (const { what, formula, bytes } of memorySum) {
      const named = [...formula.matchAll(/`([a-z.]+)`/g)].map(([, name = ""]) => name).filter((name) => name !== "request.max.bytes");
      assert.ok(named.length > 0 && named.every(isSettingKey), formula);
      for (const name of named) {
        const more = bytes((key) => (key === name ? 2 : 1) * of(key));
        assert.ok(more > bytes(of), `${what}: ${name}`);
      }
    }
    assert.ok(memorySumBytes(of, "readers") + memorySumBytes(of, "requests") < memorySumBytes(of));
  });

  it("leaves room for those who behave: fifty producers with five batches of 1 MiB each, fifty consumers of a thousand partitions", () => {
    const batches = 50 * 5 * (MiB + 64 * 1024);
    assert.ok(of("request.pending.max.bytes") > 1.5 * batches, "as calls of their own, with as much again on the way for some");
    assert.ok(of("stream.credit.bytes") * 50 <= of("stream.pending.max.bytes"), "as streams, each with all of its credit");
    assert.ok(of("subscribe.partitions.max") >= 50 * 1_000, "as subscriptions");
    assert.ok((15 / 16) * of("client.calls.max") >= 50 * 1_000 + 50 * 5, "as long polls of one partition each");
    assert.ok(of("client.streams.max") >= 1_000);
  });
});
