import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MillraceError } from "../../src/base/errors.ts";
import type { GroupId } from "../../src/base/ids.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;

function started(): Promise<Cluster> {
  return Cluster.start({
    configure: (config) => ({ ...config, log: { ...config.log, segmentBytes: 1 * MiB, hotTailBytes: 1 * MiB } }),
  });
}

/** So many records of 100 KiB. */
async function produce(cluster: Cluster, count: number, topic = "t"): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await cluster.call(cluster.alive[0] ?? 1, stubs.Produce, { topic, records: recordSet(["x".repeat(100 * 1024)]) });
  }
}

async function trim(cluster: Cluster, via: number, beforeOffset: number, partition = 0) {
  const { partitions } = await cluster.call(via, stubs.TrimTopic, { name: "t", partitions: [{ partition, beforeOffset }] });
  assert.equal(partitions.length, 1);
  const [{ error, ...trimmed } = assert.fail()] = partitions;
  return { ...trimmed, error: error === undefined ? undefined : (errorOf(error) as MillraceError) };
}

function starts(cluster: Cluster, group: GroupId): (number | undefined)[] {
  return cluster.alive.map((n) => cluster.replica(n, group)?.log.startOffset);
}

describe("TrimTopic", () => {
  it("through any broker deletes what lies below an offset, on every replica", async () => {
    const cluster = await started();
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 40);
    for (const via of cluster.numbers) {
      const answer = await trim(cluster, via, 5 * via);
      assert.deepEqual(answer, { partition: 0, logStartOffset: 5 * via, highWatermark: 40, moved: true, error: undefined });
      const below = await cluster.refused(via, stubs.Fetch, { topic: "t", offset: 5 * via - 1 }, "OFFSET_OUT_OF_RANGE");
      assert.equal(below.metadata["log_start_offset"], String(5 * via));
      assert.equal((await cluster.call(via, stubs.Fetch, { topic: "t", offset: 5 * via })).batches[0]?.baseOffset, 5 * via);
    }
    await cluster.pass(1_000);
    assert.deepEqual(starts(cluster, group), [15, 15, 15]);

    const again = await trim(cluster, 1, 10);
    assert.deepEqual([again.moved, again.logStartOffset], [false, 15], "below the start nothing changes, and it says so");
    const end = await trim(cluster, 2, -1);
    assert.deepEqual([end.moved, end.logStartOffset], [true, 40], "all there is");
    await cluster.pass(2_000);
    for (const n of cluster.numbers)
      assert.ok((cluster.replica(n, group)?.log.segmentBytes ?? MiB) < MiB / 4, "and the disk has its room back");
    await produce(cluster, 1);
    assert.equal((await cluster.call(3, stubs.Fetch, { topic: "t", offset: 40 })).highWatermark, 41);
    cluster.close();
  });

  it("refuses what makes no sense, and changes nothing then", async () => {
    const cluster = await started();
    await cluster.createTopic("t", 2);
    await produce(cluster, 3);
    const above = await trim(cluster, 1, 4);
    assert.equal(above.error?.code, "OFFSET_OUT_OF_RANGE");
    assert.deepEqual([above.error?.metadata["log_start_offset"], above.error?.metadata["high_watermark"]], ["0", "3"]);
    assert.equal((await trim(cluster, 2, 1, 2)).error?.code, "UNKNOWN_PARTITION");
    await cluster.refused(1, stubs.TrimTopic, { name: "t", partitions: [] }, "INVALID_REQUEST");
    await cluster.refused(1, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: -2 }] }, "INVALID_REQUEST");
    const twice = [
      { partition: 0, beforeOffset: 1 },
      { partition: 0, beforeOffset: 2 },
    ];
    await cluster.refused(1, stubs.TrimTopic, { name: "t", partitions: twice }, "INVALID_REQUEST");
    await cluster.refused(1, stubs.TrimTopic, { name: "nobody", partitions: [{ partition: 0, beforeOffset: 1 }] }, "UNKNOWN_TOPIC");
    const mixed = await cluster.call(1, stubs.TrimTopic, {
      name: "t",
      partitions: [
        { partition: 0, beforeOffset: 2 },
        { partition: 1, beforeOffset: 2 },
      ],
    });
    assert.deepEqual(
      mixed.partitions.map(({ partition, logStartOffset, error }) => [partition, logStartOffset, error === undefined]),
      [
        [0, 2, true],
        [1, 0, false],
      ],
      "each partition has an answer of its own",
    );
    cluster.close();
  });

  it("is not acknowledged by a leader that cannot commit it", async () => {
    const cluster = await started();
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 5);
    const leader = await cluster.leaderOf("t", 0);
    const others = cluster.numbers.filter((n) => n !== leader);
    cluster.world.network.partition([["client", `b${leader}`], others.map((n) => `b${n}`)]);
    const answer = await trim(cluster, leader, 3);
    assert.notEqual(answer.error, undefined, "it was refused or its outcome is unknown");
    assert.equal(cluster.replica(leader, group)?.log.startOffset, 0);
    cluster.world.network.heal();
    await cluster.leaderOf("t", 0);
    await cluster.pass(3_000);
    assert.deepEqual(starts(cluster, group), [0, 0, 0]);
    cluster.close();
  });

  it("that was acknowledged outlives the crash of any broker, and of all of them", async () => {
    const cluster = await started();
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    await produce(cluster, 30);
    for (const n of cluster.numbers) {
      await cluster.leaderOf("t", 0);
      const answer = await trim(cluster, n, 7 * n);
      assert.equal(answer.logStartOffset, 7 * n);
      cluster.powerCut(n);
      await cluster.restart(n);
      await cluster.leaderOf("t", 0);
      await cluster.refused(n, stubs.Fetch, { topic: "t", offset: 7 * n - 1 }, "OFFSET_OUT_OF_RANGE");
      // A follower that is back in the term it left hears of the commit index with the next record.
      await produce(cluster, 1);
      await cluster.until(() => starts(cluster, group).every((start) => start === 7 * n), "every replica begins there");
    }
    for (const n of cluster.numbers) cluster.powerCut(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    await cluster.leaderOf("t", 0);
    await cluster.until(() => starts(cluster, group).every((start) => start === 21), "every replica begins there");
    assert.equal((await cluster.call(1, stubs.Fetch, { topic: "t", offset: 21 })).batches[0]?.baseOffset, 21);
    cluster.close();
  });

  it("leaves a follower that was away able to come back, though what it lacks is gone (scenario 38)", async () => {
    const cluster = await started();
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    const away = cluster.numbers.find((n) => n !== leader) as number;
    await produce(cluster, 5);
    cluster.kill(away);
    await produce(cluster, 60);
    // Longer than a leader waits for one that is silent.
    await cluster.pass(15_000);
    const via = cluster.alive[0] as number;
    assert.equal((await trim(cluster, via, 60)).moved, true);
    await cluster.pass(2_000);
    for (const n of cluster.alive) assert.ok((cluster.replica(n, group)?.log.start.offset ?? 0) > 5, "what it lacks is gone");
    await cluster.restart(away);
    await cluster.until(() => cluster.replica(away, group)?.log.startOffset === 60, "it begins where the others do");
    await cluster.until(() => cluster.replica(away, group)?.log.endOffset === 65, "and has the rest");
    await cluster.moveLeader("t", 0, away);
    assert.equal((await cluster.call(away, stubs.Fetch, { topic: "t", offset: 60 })).batches[0]?.baseOffset, 60);
    await cluster.refused(away, stubs.Fetch, { topic: "t", offset: 59 }, "OFFSET_OUT_OF_RANGE");
    cluster.close();
  });

  it("takes effect on a follower while the piece that streams it there is written, and messages come meanwhile", async () => {
    const KiB = 1024;
    // What broker 3 lacks has left memory, and one piece of it fills several segments there.
    const cluster = await Cluster.start({
      configure: (config) => ({
        ...config,
        log: { ...config.log, hotTailBytes: 256 * KiB, segmentBytes: config.brokerId === 3 ? 256 * KiB : 8 * MiB },
      }),
    });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const group = await cluster.groupOf("t", 0);
    cluster.kill(3);
    await produce(cluster, 6);
    assert.equal((await trim(cluster, 1, 5)).logStartOffset, 5);
    await produce(cluster, 6);
    cluster.boot(3);
    await cluster.until(() => cluster.replica(3, group)?.core.extending !== undefined, "bulk catch-up has begun");
    // A segment takes long enough for a heartbeat.
    cluster.disk(3).platterMs = 60;
    let early = 0;
    await cluster.until(() => {
      const { log, core } = cluster.replica(3, group) ?? {};
      if (log !== undefined && core !== undefined && log.start.index > core.commit) early += 1;
      return log?.startOffset === 5 && log.endOffset === 12;
    }, "the follower has everything, and begins where the others do");
    assert.equal(early, 0, "the piece is said as a whole: its log never begins above all that its Raft core knows to be committed");
    cluster.disk(3).platterMs = 0;
    await cluster.moveLeader("t", 0, 3);
    assert.equal((await cluster.call(3, stubs.Fetch, { topic: "t", offset: 5 })).batches[0]?.baseOffset, 5);
    cluster.close();
  });
});
