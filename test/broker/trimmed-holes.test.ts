import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";
import { Surgery } from "./surgery.ts";

const KiB = 1024;

/** Broker 3 is killed, and its write-ahead log loses the record by which its log of the group began anew. */
async function installForgotten(cluster: Cluster, group: GroupId): Promise<void> {
  cluster.kill(3);
  const surgery = new Surgery(cluster, 3);
  await surgery.rotBlockWith((op) => op.kind === "install" && op.groupId === group);
  for (const path of surgery.paths(`groups/${group}-`, ".snapshot")) await surgery.rot(path, 150);
  cluster.boot(3);
  await cluster.settle(cluster.started(3));
  const said = cluster.errors.splice(0);
  assert.ok(
    said.some((event) => /log.hole_found .*a segment is missing/.test(event)),
    said.join("\n"),
  );
}

async function wholeAgain(cluster: Cluster, group: GroupId): Promise<void> {
  const ended = (): boolean => {
    const replica = cluster.replica(3, group);
    return replica?.log.holes.length === 0 && !replica.core.lastResort && !replica.core.quarantined;
  };
  await cluster.until(ended, "the hole that nobody can close is behind the start of the log");
  await cluster.settle(cluster.broker(3).scrub());
  assert.deepEqual(cluster.broker(3).scrubStatus?.holes, []);
}

describe("A hole below what all other replicas have trimmed", () => {
  it("ends by the trim they obeyed, when a partition lost the record that began its log and the trim with it", async () => {
    const cluster = await Cluster.start({
      seed: 31,
      configure: (config) => ({ ...config, log: { ...config.log, segmentBytes: 64 * KiB, segmentMs: 2_000, hotTailBytes: 64 * KiB } }),
    });
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    let written = 0;
    const produce = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1, written += 1) {
        const records = recordSet([`${written}-`.padEnd(20_000, "x")]);
        await cluster.call(1, stubs.Produce, { topic: "t", records, acks: Acks.quorum });
      }
    };
    await produce(10);
    await cluster.moveLeader("t", 0, 1);
    cluster.kill(3);
    await produce(40);
    await cluster.call(1, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: -1 }] });
    // The trim itself stands alone in a segment, which goes when the next one is there.
    const trimmed = written;
    for (let round = 0; round < 2; round += 1) {
      await cluster.pass(12_000);
      await produce(16);
    }
    const start = (n: number): number => cluster.replica(n, group)?.log.start.index ?? 0;
    await cluster.until(() => [1, 2].every((n) => start(n) > 50), "even the trim is trimmed away");
    await cluster.restart(3);
    await cluster.until(() => start(3) > 50, "broker 3 begins where its leader begins");
    await produce(8);
    await cluster.pass(2_000);
    cluster.errors.splice(0);

    await installForgotten(cluster, group);
    await wholeAgain(cluster, group);
    assert.equal(cluster.replica(3, group)?.log.startOffset, trimmed);
    for (let restart = 0; restart < 2; restart += 1) {
      cluster.powerCut(3);
      await cluster.restart(3);
      assert.deepEqual(cluster.replica(3, group)?.log.holes, []);
    }
    await cluster.moveLeader("t", 0, 3);
    const values = await cluster.values("t", 0, 3, trimmed);
    assert.deepEqual(
      values.map((value) => Number.parseInt(value, 10)),
      Array.from({ length: written - trimmed }, (_, i) => trimmed + i),
    );
    // The block is still bad, nothing else.
    assert.ok(cluster.errors.splice(0).every((event) => /log.wal_found_damaged/.test(event)));
    cluster.close();
  });

  it("of the metadata ends when this disk has a snapshot that passes over it, from another broker when its own are rotten", async () => {
    const often = (config: BrokerConfig): BrokerConfig => ({
      ...config,
      limits: { ...config.limits, metadataSnapshotBytes: 12 * KiB },
      log: { ...config.log, hotTailBytes: 64 * KiB },
    });
    const cluster = await Cluster.start({ seed: 32, configure: often });
    await cluster.createTopic("stays");
    const end = cluster.replica(3, METADATA_GROUP)?.log.lastIndex ?? 0;
    cluster.kill(3);
    const start = (n: number): number => cluster.replica(n, METADATA_GROUP)?.log.start.index ?? 0;
    // Who is silent for so long is not waited for.
    await cluster.pass(12_000);
    let made = 0;
    const churn = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1, made += 1) {
        await cluster.call(1, stubs.CreateTopic, { name: `churn-${made}`, partitions: 1, configs: new Map() });
        await cluster.call(1, stubs.DeleteTopic, { name: `churn-${made}` });
      }
    };
    for (let round = 0; round < 40 && ![1, 2].every((n) => start(n) > end); round += 1) await churn(4);
    await cluster.restart(3);
    await cluster.until(() => start(3) > end, "broker 3 begins at its leader's snapshot");
    const began = start(3);
    await churn(1);
    cluster.errors.splice(0);

    await installForgotten(cluster, METADATA_GROUP);
    await wholeAgain(cluster, METADATA_GROUP);
    assert.ok(start(3) >= began);
    for (let restart = 0; restart < 2; restart += 1) {
      cluster.powerCut(3);
      await cluster.restart(3);
      assert.deepEqual(cluster.replica(3, METADATA_GROUP)?.log.holes, []);
      const { topics } = await cluster.call(3, stubs.ListTopics, {});
      assert.deepEqual(
        topics.map(({ name }) => name),
        ["stays"],
      );
    }
    await cluster.moveController(3);
    await churn(2);
    // The block is still bad, nothing else.
    assert.ok(cluster.errors.splice(0).every((event) => /log.wal_found_damaged/.test(event)));
    cluster.close();
  });
});
