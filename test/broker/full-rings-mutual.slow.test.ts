import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;
const FILES = 6;
/** Of a pause in the network that no follower takes for the end of its leader. */
const PAUSE_MS = 300;

function produce(cluster: Cluster, n: number, topic: string, partition: number): Promise<boolean> {
  const records = recordSet(["x".repeat(60_000)]);
  return cluster.ask(n, stubs.Produce, { topic, partition, records, acks: Acks.all }, { timeoutMs: 2_000 }).then(
    () => true,
    () => false,
  );
}

/** Partitions of "t": 0 is led by broker 1, 1 by broker 2. Each of these has a partition of "alone" that has no other replica. Broker 3 is down. */
async function standing() {
  const cluster = await Cluster.start({
    seed: 7,
    configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: MiB, walFilesMax: FILES, diskReserveBytes: 0 } }),
  });
  await cluster.createTopic("t", 2);
  await cluster.call(1, stubs.CreateTopic, { name: "alone", partitions: 3, replicas: 1 });
  const alone = [0, 0, 0, 0];
  for (const partition of [0, 1, 2]) alone[await cluster.leaderOf("alone", partition)] = partition;
  await cluster.moveLeader("t", 0, 1);
  await cluster.moveLeader("t", 1, 2);
  const groups = [await cluster.groupOf("t", 0), await cluster.groupOf("t", 1)] as const;
  cluster.kill(3);
  await cluster.pass(15_000);
  for (const [partition, group] of groups.entries()) assert.equal(cluster.serving(group), partition + 1);
  return { cluster, groups, alone };
}

/** Both have records of their own terms that the other one has no room for, in front of all that fills their rings. */
async function waiting() {
  const { cluster, groups, alone } = await standing();
  cluster.world.network.partition([["b1"], ["b2"]]);
  const sent: Promise<boolean>[] = [];
  for (let i = 0; i < 16; i += 1) for (const n of [1, 2]) sent.push(produce(cluster, n, "t", n - 1));
  await cluster.pass(30);
  for (let i = 0; i < 60; i += 1) {
    for (const n of [1, 2]) sent.push(produce(cluster, n, "alone", alone[n] as number));
    await cluster.pass(PAUSE_MS / 75);
  }
  await cluster.pass(PAUSE_MS / 10);
  cluster.world.network.heal();
  await cluster.settle(Promise.all(sent));
  await cluster.pass(60_000);
  for (const lacking of uncommitted(cluster, groups)) assert.ok(lacking > 10, `${lacking} entries wait`);
  return { cluster, groups };
}

/** Entries that the leader of each group has not committed; infinite without a leader. */
function uncommitted(cluster: Cluster, groups: readonly GroupId[]): number[] {
  return groups.map((group) => {
    const leader = cluster.serving(group);
    const core = leader === undefined ? undefined : cluster.replica(leader, group)?.core;
    return core === undefined ? Number.POSITIVE_INFINITY : core.lastIndex - core.commit;
  });
}

/** All that waited is committed, and both take records again. */
async function requireEnded(cluster: Cluster, groups: readonly GroupId[]): Promise<void> {
  await cluster.until(() => uncommitted(cluster, groups).every((entries) => entries === 0), "what waited is committed", 20_000);
  await cluster.pass(20_000);
  for (const [partition, group] of groups.entries()) {
    const leader = cluster.serving(group) as number;
    assert.ok(await cluster.settle(produce(cluster, leader, "t", partition)), `partition ${partition}`);
  }
  cluster.close();
}

// FS18
describe("Two brokers whose full rings wait for each other's commit, of records of their leaders' own terms, while the third one is down", () => {
  it("say so, and no transfer ends it", async () => {
    const { cluster, groups } = await waiting();
    for (const n of [1, 2]) {
      assert.ok(cluster.warnings.some((warning) => warning.startsWith(`broker ${n}: log.ring_pinned`)));
      const numbers = cluster.broker(n).numbers;
      assert.equal(numbers?.walFilesUsed, FILES - 2);
      assert.equal(numbers?.walFilesMax, FILES);
      assert.ok((numbers?.uncommittedBytes ?? 0) > MiB / 2);
      const topic = { topic: "t", partition: n - 1 };
      const records = recordSet(["x"]);
      const { metadata } = await cluster.refused(n, stubs.Produce, { ...topic, records, acks: Acks.all }, "PENDING_FULL");
      assert.equal(metadata.limit, "wal.files.max");
      await cluster.refused(n, stubs.TransferLeader, { ...topic, toBrokerId: 3 - n }, "TRANSFER_FAILED", { timeoutMs: 30_000 });
    }
    const { reasons } = await cluster.call(1, stubs.GetClusterHealth, {});
    for (const reason of ["BROKER_DOWN", "UNDER_MIN_ISR"]) assert.ok(reasons.some(({ code }) => code === reason));
    for (const entries of uncommitted(cluster, groups)) assert.ok(entries > 10);
    cluster.close();
  });

  it("go on when the third one is back", async () => {
    const { cluster, groups } = await waiting();
    await cluster.restart(3);
    await requireEnded(cluster, groups);
  });

  for (const n of [1, 2])
    for (const how of ["is stopped", "is killed"] as const)
      it(`go on when broker ${n} ${how} and starts again: what it led is inherited then`, async () => {
        const { cluster, groups } = await waiting();
        if (how === "is stopped") await cluster.stop(n);
        else cluster.kill(n);
        await cluster.restart(n);
        await requireEnded(cluster, groups);
      });

  it("go on when they lost each other for longer than an election takes", async () => {
    const { cluster, groups } = await waiting();
    cluster.world.network.partition([["b1"], ["b2"]]);
    await cluster.pass(5_000);
    cluster.world.network.heal();
    await requireEnded(cluster, groups);
  });
});
