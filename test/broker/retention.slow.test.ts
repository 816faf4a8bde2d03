import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId } from "../../src/base/ids.ts";
import { ConfigSource } from "../../src/protocol/public.ts";
import { Cluster, type ClusterOptions, recordSet, valuesOf } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;
const DAY_MS = 86_400_000;

/** Looks every second; small segments. */
function started(prepare: NonNullable<ClusterOptions["prepare"]> = () => {}): Promise<Cluster> {
  return Cluster.start({
    prepare,
    configure: (config) => ({
      ...config,
      timings: { ...config.timings, retentionCheckMs: 1_000 },
      log: { ...config.log, segmentBytes: 1 * MiB, hotTailBytes: 1 * MiB },
    }),
  });
}

/** So many records of 100 KiB, numbered from `first`. */
async function produce(cluster: Cluster, first: number, count: number): Promise<void> {
  for (let n = first; n < first + count; n += 1) {
    const value = `${n} `.padEnd(100 * 1024, "x");
    await cluster.call(cluster.alive[0] ?? 1, stubs.Produce, { topic: "t", records: recordSet([value]) });
  }
}

function logs(cluster: Cluster, group: GroupId) {
  return cluster.alive.map((n) => {
    const replica = cluster.replica(n, group);
    assert.ok(replica !== undefined);
    return replica.log;
  });
}

function starts(cluster: Cluster, group: GroupId): number[] {
  return logs(cluster, group).map((log) => log.startOffset);
}

describe("retention", () => {
  it("by time lets old records go on every replica, and says where the log begins", async () => {
    const cluster = await started();
    await cluster.createTopic("t", 1, [
      ["retention.ms", "20000"],
      ["segment.ms", "5000"],
    ]);
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 0, 30);
    await cluster.pass(10_000);
    await produce(cluster, 30, 30);
    assert.deepEqual(starts(cluster, group), [0, 0, 0], "nothing is old yet");
    await cluster.pass(15_000);
    assert.deepEqual(starts(cluster, group), [30, 30, 30], "the first half is");
    const error = await cluster.refused(1, stubs.Fetch, { topic: "t", offset: 29 }, "OFFSET_OUT_OF_RANGE");
    assert.deepEqual([error.metadata["log_start_offset"], error.metadata["high_watermark"]], ["30", "60"]);
    const offsets = await cluster.call(2, stubs.ListOffsets, { topic: "t", timeMs: 0 });
    assert.deepEqual([offsets.partitions[0]?.logStartOffset, offsets.partitions[0]?.offset], [30, 30]);
    for (const log of logs(cluster, group)) assert.equal(log.start.offset, 30, "and is off the disk");
    await cluster.pass(15_000);
    assert.deepEqual(starts(cluster, group), [60, 60, 60], "all of it is, the newest segment too");

    const leader = await cluster.leaderOf("t", 0);
    cluster.kill(leader);
    await cluster.restart(leader);
    await cluster.leaderOf("t", 0);
    assert.deepEqual(starts(cluster, group), [60, 60, 60], "a restart keeps it");
    await produce(cluster, 60, 1);
    const fetched = await cluster.call(1, stubs.Fetch, { topic: "t", offset: 60 });
    assert.match(valuesOf(fetched.batches)[0] ?? "", /^60 /);
    cluster.close();
  });

  it("by size keeps at least so much, and follows a change of the topic without a restart", async () => {
    const cluster = await started();
    await cluster.createTopic("t", 1, [["retention.ms", "-1"]]);
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 0, 50);
    await cluster.pass(5_000);
    assert.deepEqual(starts(cluster, group), [0, 0, 0]);
    await cluster.call(1, stubs.AlterTopic, { name: "t", set: new Map([["retention.bytes", String(2 * MiB)]]) });
    await cluster.pass(5_000);
    const [start = 0] = starts(cluster, group);
    assert.ok(start > 0);
    assert.deepEqual(starts(cluster, group), [start, start, start]);
    for (const log of logs(cluster, group)) {
      const bytes = log.segmentBytes + log.pendingBytes;
      assert.ok(bytes >= 2 * MiB && bytes < 4 * MiB, `${bytes} bytes are left`);
    }
    assert.equal((await cluster.call(1, stubs.Fetch, { topic: "t", offset: start })).logStartOffset, start);
    cluster.close();
  });

  it("lets nothing go because of its age while the wall clock has jumped", async () => {
    const cluster = await started();
    await cluster.createTopic("t", 1, [
      ["retention.ms", String(DAY_MS)],
      ["segment.ms", "1000"],
    ]);
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 0, 30);
    await cluster.pass(5_000);
    for (const n of cluster.numbers) cluster.world.machine(`b${n}`).wall.offsetMs += 30 * DAY_MS;
    await cluster.pass(60_000);
    assert.deepEqual(starts(cluster, group), [0, 0, 0]);
    for (const n of cluster.numbers) cluster.world.machine(`b${n}`).wall.offsetMs -= 30 * DAY_MS;
    await cluster.pass(60_000);
    assert.deepEqual(starts(cluster, group), [0, 0, 0]);
    cluster.close();
  });

  it("lets nothing go by the clock of a leader that is off the others' since its start, and says so", async () => {
    const cluster = await started((n, _disk, machine) => {
      if (n === 1) machine.wall.offsetMs = 30 * DAY_MS;
    });
    await cluster.createTopic("t", 1, [
      ["retention.ms", String(DAY_MS)],
      ["segment.ms", "1000"],
    ]);
    const group = await cluster.groupOf("t", 0);
    await cluster.moveLeader("t", 0, 2);
    await produce(cluster, 0, 30);
    await cluster.moveLeader("t", 0, 1);
    await cluster.pass(3_000);
    cluster.warnings.length = 0;
    await cluster.pass(30_000);
    assert.deepEqual(starts(cluster, group), [0, 0, 0], "its clock says that all of it is 30 days old");
    const [wrong, right] = [1, 2].map((n) => cluster.broker(n).numbers);
    assert.deepEqual([wrong?.ageTrusted, right?.ageTrusted], [false, true]);
    assert.ok(Math.abs((wrong?.clockAheadSeconds ?? 0) - (30 * DAY_MS) / 1000) < 2 && Math.abs(right?.clockAheadSeconds ?? 9) < 2);
    const said = cluster.warnings.filter((line) => line.includes("retention.suspended"));
    assert.ok(said.length > 0 && said.every((line) => /^broker 1: .*"aheadMs":259[12]\d{6},"clocks":3/.test(line)), said[0]);
    cluster.close();
  });

  it("closes segments as a topic says, from the next one on and without a restart", async () => {
    const cluster = await started();
    await cluster.createTopic("t", 1, [["segment.bytes", String(4 * MiB)]]);
    const shown = async (setting: string) => {
      const { topics } = await cluster.call(2, stubs.DescribeTopics, { names: ["t"] });
      const { value, source } = topics[0]?.configs.find(({ key }) => key === setting) ?? assert.fail();
      return [value, source];
    };
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 0, 35);
    await cluster.pass(2_000);
    for (const log of logs(cluster, group)) assert.ok(log.segments.length <= 1, "one segment takes it all");
    assert.deepEqual(await shown("segment.bytes"), [String(4 * MiB), ConfigSource.topic]);
    await cluster.call(1, stubs.AlterTopic, { name: "t", delete: ["segment.bytes"] });
    // Another broker reads of it a moment later.
    await cluster.pass(50);
    assert.deepEqual(await shown("segment.bytes"), [String(MiB), ConfigSource.broker], "as this broker is configured");
    await produce(cluster, 35, 35);
    await cluster.pass(2_000);
    for (const log of logs(cluster, group)) assert.ok(log.segments.length >= 3, `${log.segments.length} segments, a MiB each again`);
    cluster.close();
  });
});
