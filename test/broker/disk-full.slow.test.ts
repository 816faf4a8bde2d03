import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;
const VALUE = "x".repeat(200_000);

async function started(
  seed: number,
  segmentBytes = 8 * MiB,
  limits: Partial<BrokerConfig["limits"]> = {},
  log: Partial<BrokerConfig["log"]> = {},
): Promise<{ cluster: Cluster; leader: number; others: readonly number[] }> {
  const configure = (config: BrokerConfig): BrokerConfig => ({
    ...config,
    log: { ...config.log, segmentBytes, ...log },
    limits: { ...config.limits, ...limits },
  });
  const cluster = await Cluster.start({ seed, configure });
  await cluster.createTopic("t");
  const [leader = 0, ...others] = cluster.numbers;
  await cluster.moveLeader("t", 0, leader);
  await write(cluster, leader, "before");
  // Every in-sync replica is recorded.
  await inSync(cluster, 3);
  return { cluster, leader, others };
}

function write(cluster: Cluster, via: number, value: string, acks: (typeof Acks)[keyof typeof Acks] = Acks.all): Promise<unknown> {
  return cluster.call(via, stubs.Produce, { topic: "t", records: recordSet([value]), acks });
}

async function inSync(cluster: Cluster, size: number): Promise<void> {
  for (let n = 0; n < 200; n++) {
    const { topics } = await cluster.call(1, stubs.DescribeTopics, { names: ["t"] });
    if (topics[0]?.partitions[0]?.isrBrokerIds.length === size) return;
    await cluster.pass(100);
  }
  assert.fail(`never ${size} in-sync replicas`);
}

async function reasons(cluster: Cluster, via = 1): Promise<string> {
  const { healthy, reasons } = await cluster.call(via, stubs.GetClusterHealth, {});
  return `${healthy} ${reasons.map(({ code, text }) => `${code}: ${text}`).join("; ")}`;
}

/** Nothing but what the ring and the reserve hold: below the reserve of 4 MiB at once. */
async function fillUp(cluster: Cluster, brokers: readonly number[], leftBytes = MiB): Promise<void> {
  for (const n of brokers) cluster.disk(n).leaveFree(leftBytes);
  await cluster.pass(2_500);
}

async function giveRoom(cluster: Cluster): Promise<void> {
  for (const n of cluster.numbers) cluster.disk(n).leaveFree(500 * MiB);
  await cluster.pass(5_000);
}

async function end(cluster: Cluster, values: readonly string[]): Promise<void> {
  assert.deepEqual(await cluster.values("t"), values);
  for (const n of cluster.numbers) await cluster.stop(n);
  cluster.close();
}

describe("a full disk (FS5)", () => {
  it("of the leader: records are refused before they are written, reads go on, and another one leads a moment later (ADR 0013)", async () => {
    const { cluster, leader, others } = await started(51);
    const group = await cluster.groupOf("t", 0);
    cluster.disk(leader).leaveFree(MiB);
    await cluster.until(() => cluster.broker(leader).numbers?.diskFull === true, "it notices");
    for (const via of [leader, ...others]) {
      const error = await cluster.refused(via, stubs.Produce, { topic: "t", records: recordSet(["no"]) }, "DISK_FULL");
      assert.deepEqual([error.status, error.retriable, error.outcomeKnown], ["RESOURCE_EXHAUSTED", true, true]);
      assert.deepEqual([error.metadata["limit"], error.metadata["limit_bytes"]], ["disk.reserve.bytes", String(4 * MiB)]);
      assert.equal(error.metadata["broker_ids"], String(leader));
      assert.ok(Number(error.metadata["free_bytes"]) < 4 * MiB);
      assert.ok((error.retryAfterMs ?? 0) > 0);
    }
    assert.deepEqual(await cluster.values("t"), ["before"]);
    assert.match(await reasons(cluster), /false .*DISK_FULL: the disk of broker 1 is full \(1\.0 MiB free, its reserve is 4\.0 MiB\)/);
    // Another replica has room: it leads, and the full one follows, outside the ISR.
    await cluster.until(() => others.some((n) => cluster.serving(group) === n), "it hands over", 2_000);
    const next = cluster.serving(group);
    const values = ["elsewhere", "and more"];
    for (const value of values) await write(cluster, leader, value);
    await inSync(cluster, 2);
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await write(cluster, leader, "after");
    await cluster.pass(20_000);
    assert.equal(cluster.serving(group), next, "nobody takes it back");
    assert.match(await reasons(cluster), /^true/);
    await end(cluster, ["before", ...values, "after"]);
  });

  it("of the leader and of a follower: the leader keeps what the third could not commit either", async () => {
    const { cluster, leader, others } = await started(56);
    const group = await cluster.groupOf("t", 0);
    const before = cluster.replica(leader, group)?.core.term;
    await fillUp(cluster, [others[0] as number]);
    await fillUp(cluster, [leader]);
    await cluster.pass(10_000);
    assert.deepEqual([cluster.serving(group), cluster.replica(leader, group)?.core.term], [leader, before]);
    await cluster.refused(leader, stubs.Produce, { topic: "t", records: recordSet(["no"]), acks: Acks.quorum }, "DISK_FULL");
    // As soon as the follower has room again, there are two that can.
    cluster.disk(others[0] as number).leaveFree(500 * MiB);
    await cluster.until(() => cluster.serving(group) !== leader && cluster.serving(group) !== undefined, "it hands over", 20_000);
    await write(cluster, leader, "elsewhere", Acks.quorum);
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await end(cluster, ["before", "elsewhere"]);
  });

  it("of a follower while another is down: it takes what must be committed, also while the other one comes back from far behind", async () => {
    const { cluster, leader, others } = await started(57, 8 * MiB, { catchUpBytesPerSecond: 2 * MiB }, { hotTailBytes: MiB / 4 });
    const [full = 0, away = 0] = others;
    const group = await cluster.groupOf("t", 0);
    cluster.kill(away);
    const values = Array.from({ length: 15 }, (_, n) => `${n} ${VALUE}`);
    for (const value of values) await write(cluster, leader, value, Acks.quorum);
    await fillUp(cluster, [full]);
    cluster.boot(away);
    const behind = (): string | undefined => {
      const replica = cluster.replica(leader, group);
      const id = cluster.replica(away, group)?.id;
      return id === undefined ? undefined : replica?.core.progress(id)?.mode;
    };
    await cluster.until(() => behind() === "extend", "the one that was away is caught up in bulk");
    await cluster.pass(500);
    const began = cluster.world.now;
    await write(cluster, leader, "meanwhile", Acks.quorum);
    assert.equal(behind(), "extend", "it is not back yet");
    assert.ok(cluster.world.now - began < 500, `the commit waited ${cluster.world.now - began} ms for it`);
    await cluster.settle(cluster.started(away));
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await end(cluster, ["before", ...values, "meanwhile"]);
  });

  it("of a follower: it leaves the ISR at once, the others go on, and it catches up when there is room", async () => {
    const { cluster, leader, others } = await started(52);
    const full = others[0] as number;
    await fillUp(cluster, [full]);
    const group = await cluster.groupOf("t", 0);
    const values = Array.from({ length: 30 }, (_, n) => `${n} ${VALUE}`);
    const began = cluster.world.now;
    for (const value of values) await write(cluster, leader, value);
    assert.ok(cluster.world.now - began < 3_000, "no acknowledgement waited for it");
    await inSync(cluster, 2);
    const behind = (cluster.replica(leader, group)?.core.lastIndex ?? 0) - (cluster.replica(full, group)?.core.lastIndex ?? 0);
    assert.ok(behind >= 25, `it is ${behind} behind`);
    assert.match(await reasons(cluster, full), /DISK_FULL: the disk of broker 2/);
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await write(cluster, full, "after");
    await end(cluster, ["before", ...values, "after"]);
  });

  it("of two: the third refuses too, because nothing could be committed", async () => {
    const { cluster, leader, others } = await started(53);
    await fillUp(cluster, others);
    const error = await cluster.refused(leader, stubs.Produce, { topic: "t", records: recordSet(["no"]), acks: Acks.quorum }, "DISK_FULL");
    assert.equal(error.metadata["broker_ids"], others.join(","));
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await write(cluster, leader, "after");
    await end(cluster, ["before", "after"]);
  });

  it("of all, without any room at all: elections and reads go on, and nothing acknowledged is lost", async () => {
    const { cluster, leader, others } = await started(54, 2 * MiB);
    const values: string[] = [];
    for (const n of cluster.numbers) cluster.disk(n).leaveFree(100_000);
    // The brokers notice within a second: what is appended before finds no room but in the ring.
    for (let n = 0; n < 40; n++) {
      const value = `${n} ${VALUE}`;
      const taken = await write(cluster, leader, value).then(
        () => true,
        (error: unknown) => {
          assert.match(String(error), /MillraceError/);
          return false;
        },
      );
      if (taken) values.push(value);
    }
    assert.ok(values.length > 0 && values.length < 40, `${values.length} of 40 were taken`);
    await cluster.pass(2_500);
    await cluster.refused(leader, stubs.Produce, { topic: "t", records: recordSet(["no"]) }, "DISK_FULL");
    const read = async (via: number): Promise<readonly string[]> =>
      (await cluster.values("t", 0, via)).filter((value) => value !== "before");
    assert.deepEqual(await read(leader), values);
    // Its power goes; the others elect.
    cluster.powerCut(leader);
    await cluster.until(() => others.some((n) => cluster.replica(n, 0 as never) === undefined), "alive");
    await cluster.leaderOf("t", 0);
    assert.deepEqual(await read(others[0] as number), values);
    await cluster.restart(leader);
    await giveRoom(cluster);
    await inSync(cluster, 3);
    await write(cluster, leader, "after");
    await end(cluster, ["before", ...values, "after"]);
  });

  it("while a topic is made and another deleted: the deletion goes on, the making waits", async () => {
    const { cluster } = await started(55);
    for (const n of cluster.numbers) cluster.disk(n).failNext("makeDirectory", "ENOSPC", "groups/");
    await cluster.call(1, stubs.CreateTopic, { name: "later", partitions: 1 });
    await cluster.leaderOf("later", 0);
    await cluster.pass(3_000);
    await end(cluster, ["before"]);
  });
});
