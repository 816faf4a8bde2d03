import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP, type ReplicaId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const SESSION_MS = 9_000;
/** Virtual time a replacement may take, the session of the former disk included. */
const REPLACED_MS = 60_000;

const voters = (cluster: Cluster, n: number, group: GroupId): readonly ReplicaId[] =>
  cluster.replica(n, group)?.core.configuration.voters ?? [];

/** The disk of a broker is replaced by an empty one, and the broker started again once its session is over. */
async function emptied(cluster: Cluster, n: number): Promise<void> {
  cluster.kill(n);
  cluster.disk(n).replace();
  await cluster.pass(SESSION_MS + 2_000);
  await cluster.restart(n);
}

async function healthy(cluster: Cluster, via = cluster.alive[0] ?? 1): Promise<void> {
  const end = cluster.world.now + REPLACED_MS;
  for (;;) {
    const { healthy: well, reasons } = await cluster.call(via, stubs.GetClusterHealth, {});
    if (well) return;
    assert.ok(cluster.world.now < end, `still unhealthy: ${reasons.map(({ text }) => text).join("; ")}`);
    await cluster.pass(250);
  }
}

/** Every group is held by three replicas that agree about who votes, and the logs are equal up to the least commit index. */
function settled(cluster: Cluster, groups: readonly GroupId[]): void {
  for (const group of groups) {
    const replicas = cluster.numbers.map((n) => cluster.replica(n, group));
    const ids = replicas.map((replica) => replica?.id);
    assert.deepEqual([...new Set(ids)].length, 3, `group ${group} is on all brokers`);
    for (const replica of replicas) {
      assert.deepEqual([...(replica?.core.configuration.voters ?? [])].sort(), [...ids].sort(), `voters of group ${group}`);
      assert.equal(replica?.core.configuration.old, undefined);
      assert.deepEqual(replica?.core.configuration.learners, []);
    }
  }
}

describe("A broker whose disk was replaced", () => {
  it("gets new replicas in place of the lost ones while writes go on, the metadata's included, and all is healthy again (scenario 61)", async () => {
    const cluster = await Cluster.start({ seed: 11 });
    await cluster.createTopic("orders", 2);
    const groups = [METADATA_GROUP, await cluster.groupOf("orders", 0), await cluster.groupOf("orders", 1)];
    const before = new Map(groups.map((group) => [group, cluster.replica(3, group)?.id]));
    const values: string[] = [];
    const write = async (): Promise<void> => {
      const value = `v${values.length}`;
      await cluster.call(1, stubs.Produce, { topic: "orders", records: recordSet([value]), acks: Acks.quorum });
      values.push(value);
    };
    for (let i = 0; i < 5; i++) await write();
    cluster.kill(3);
    cluster.disk(3).replace();
    for (let i = 0; i < 11; i++) {
      await write();
      await cluster.pass(1_000);
    }
    cluster.boot(3);
    const orders = groups[1] as GroupId;
    await cluster.until(() => [...cluster.broker(3).replicas].some(({ groupId }) => groupId === orders), "the new replica");
    // Silent: it may not vote from nothing, whoever asks it (design §5).
    const born = cluster.replica(3, orders);
    assert.equal(born?.core.configuration.voters.includes(born.id), false);
    assert.equal(born?.core.nextDeadline, Number.POSITIVE_INFINITY);
    for (let i = 0; i < 20; i++) {
      await write();
      await cluster.pass(200);
    }
    await cluster.settle(cluster.started(3));
    await healthy(cluster);
    settled(cluster, groups);
    for (const group of groups) {
      const now = cluster.replica(3, group)?.id;
      assert.notEqual(now, before.get(group), "the old id is void");
      assert.equal(voters(cluster, 1, group).includes(before.get(group) as ReplicaId), false);
    }
    // It counts: with it and one other everything goes on.
    cluster.kill(1);
    await cluster.until(() => groups.every((group) => cluster.serving(group) !== undefined), "leaders without broker 1");
    await cluster.call(2, stubs.Produce, { topic: "orders", records: recordSet(["after"]), acks: Acks.quorum });
    assert.deepEqual(await cluster.values("orders", 0, 3), [...values, "after"]);
    await cluster.restart(1);
    await healthy(cluster);
    cluster.close();
  });

  it("is found as it is after a restart of all, and then another one is replaced", async () => {
    const cluster = await Cluster.start({ seed: 12 });
    await cluster.createTopic("t");
    const groups = [METADATA_GROUP, await cluster.groupOf("t", 0)];
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]) });
    await emptied(cluster, 3);
    await healthy(cluster);
    for (const n of cluster.numbers) cluster.powerCut(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    await healthy(cluster);
    settled(cluster, groups);
    await emptied(cluster, 1);
    await healthy(cluster, 2);
    settled(cluster, groups);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["b"]) });
    assert.deepEqual(await cluster.values("t", 0, 1), ["a", "b"]);
    cluster.close();
  });

  it("is replaced again when it is lost in the middle of that", async () => {
    const cluster = await Cluster.start({ seed: 13 });
    await cluster.createTopic("t", 2);
    const groups = [METADATA_GROUP, await cluster.groupOf("t", 0), await cluster.groupOf("t", 1)];
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]) });
    cluster.kill(3);
    cluster.disk(3).replace();
    await cluster.pass(SESSION_MS + 2_000);
    // Lost again at different moments: before it holds anything, while it learns, about when it votes.
    for (const afterMs of [300, 900, 1_500]) {
      await cluster.restart(3);
      await cluster.pass(afterMs);
      cluster.kill(3);
      cluster.disk(3).replace();
      await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet([`after ${afterMs}`]), acks: Acks.quorum });
      await cluster.pass(SESSION_MS + 2_000);
    }
    await cluster.restart(3);
    await healthy(cluster);
    settled(cluster, groups);
    assert.deepEqual(await cluster.values("t", 0, 3), ["a", "after 300", "after 900", "after 1500"]);
    cluster.close();
  });

  it("was the controller, or stops in the middle: another one goes on", async () => {
    const cluster = await Cluster.start({ seed: 14 });
    await cluster.createTopic("t", 2);
    const groups = [METADATA_GROUP, await cluster.groupOf("t", 0), await cluster.groupOf("t", 1)];
    await cluster.moveController(1);
    await emptied(cluster, 1);
    // Whoever controls now, and whoever leads, is killed while replicas are being replaced.
    for (let i = 0; i < 3; i++) {
      const controller = cluster.controller;
      if (controller !== undefined && controller !== 1) {
        await cluster.pass(400);
        cluster.kill(controller);
        await cluster.pass(700);
        await cluster.restart(controller);
      }
    }
    await healthy(cluster);
    settled(cluster, groups);
    cluster.close();
  });
});

describe("A data directory that was restored from a copy", () => {
  const settledDown = async (seed: number): Promise<{ cluster: Cluster; groups: readonly GroupId[] }> => {
    const cluster = await Cluster.start({ seed });
    await cluster.createTopic("t");
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]) });
    await cluster.pass(500);
    return { cluster, groups: [METADATA_GROUP, await cluster.groupOf("t", 0)] };
  };
  const incarnationOf = (cluster: Cluster, n: number): string => {
    const file = cluster
      .disk(n)
      .files()
      .find(({ path }) => path === "meta.json")?.file;
    const bytes = new Uint8Array(file?.size ?? 0);
    file?.read(0, bytes);
    return (JSON.parse(new TextDecoder().decode(bytes)) as { readonly incarnation: string }).incarnation;
  };
  const paths = (cluster: Cluster, n: number): readonly string[] =>
    cluster
      .disk(n)
      .files()
      .map(({ path }) => path);

  it("joins as a new disk when it is told to, and what it held is set aside", async () => {
    const { cluster, groups } = await settledDown(15);
    const before = groups.map((group) => cluster.replica(3, group)?.id);
    cluster.kill(3);
    const held = paths(cluster, 3).filter((path) => !path.startsWith("lock"));
    await cluster.pass(SESSION_MS + 2_000);
    const told: unknown[] = [];
    const of = incarnationOf(cluster, 3);
    const asWritten = { newIncarnation: { of, done: (outcome: unknown) => void told.push(outcome) } };
    cluster.boot(3, asWritten);
    await cluster.settle(cluster.started(3));
    await healthy(cluster);
    settled(cluster, groups);
    assert.deepEqual(told, [{ found: of, folder: "set-aside/1" }]);
    for (const path of held) assert.ok(paths(cluster, 3).includes(`set-aside/1/${path}`), `${path} is kept`);
    assert.ok(groups.every((group, at) => cluster.replica(3, group)?.id !== before[at]));
    // From then on it is a disk like any other, also when it is started with the same words again.
    const after = groups.map((group) => cluster.replica(3, group)?.id);
    cluster.kill(3);
    cluster.boot(3, asWritten);
    await cluster.settle(cluster.started(3));
    assert.deepEqual(told[1], { found: incarnationOf(cluster, 3), folder: undefined });
    assert.deepEqual(
      groups.map((group) => cluster.replica(3, group)?.id),
      after,
    );
    await healthy(cluster);
    assert.deepEqual(await cluster.values("t", 0, 3), ["a"]);
    cluster.close();
  });

  it("is brought back so when its meta.json cannot be read, which refuses to start by name before", async () => {
    const { cluster, groups } = await settledDown(16);
    cluster.kill(3);
    cluster
      .disk(3)
      .files()
      .find(({ path }) => path === "meta.json")
      ?.file.flipBit(5, 2);
    await cluster.pass(SESSION_MS + 2_000);
    cluster.boot(3);
    await assert.rejects(cluster.settle(cluster.started(3)), /meta\.json/);
    cluster.kill(3);
    cluster.boot(3, { newIncarnation: { of: "unreadable", done() {} } });
    await cluster.settle(cluster.started(3));
    await healthy(cluster);
    settled(cluster, groups);
    cluster.close();
  });
});
