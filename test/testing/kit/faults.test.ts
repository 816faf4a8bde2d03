import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Producer } from "../../../src/client/index.ts";
import { TestCluster } from "../../../src/testing/kit/cluster.ts";
import { startCluster, TestClusterError } from "../../../src/testing/kit/index.ts";

const TOPIC = "t";

/** A topic of one partition, and a producer that gives up soon. */
async function withTopic(cluster: TestCluster, replicas: number, deliveryTimeoutMs = 5_000): Promise<Producer> {
  const client = cluster.client("app");
  await client.admin().createTopic({ name: TOPIC, replicas });
  const producer = client.producer({ deliveryTimeoutMs, requestTimeoutMs: 1_000 });
  await producer.send({ topic: TOPIC, value: "first" });
  return producer;
}

const write = (producer: Producer) => producer.send({ topic: TOPIC, value: "more" });

function leading(cluster: TestCluster): NonNullable<ReturnType<TestCluster["leaderOf"]>> {
  const leader = cluster.leaderOf(TOPIC, 0);
  assert.ok(leader !== undefined);
  return leader;
}

describe("A broker of a simulated cluster", () => {
  it("that is isolated is replaced by another leader, and comes back when it is reconnected", async () => {
    await using cluster = await startCluster({ seed: 1 });
    const producer = await withTopic(cluster, 3);
    const before = leading(cluster);
    before.isolate();
    await write(producer);
    const after = leading(cluster);
    assert.notEqual(after.id, before.id);
    before.reconnect();
    await cluster.until(() => before.running && leading(cluster).id === after.id);
    // The other two hear each other no more: with the one that came back there is a majority again.
    const [third] = cluster.brokers.filter(({ id }) => id !== before.id && id !== after.id);
    assert.ok(third !== undefined);
    after.cutFrom(third.id);
    await write(producer);
    assert.deepEqual(cluster.faults, { isolate: 1, cut: 1 });
  });

  it("that its clients cannot reach is gone around", async () => {
    await using cluster = await startCluster({ seed: 2 });
    const producer = await withTopic(cluster, 3);
    const leader = leading(cluster);
    leader.cutFrom("app");
    await write(producer);
    assert.equal(leading(cluster).id, leader.id);
    for (const broker of cluster.brokers) broker.cutFrom("app", { direction: "from" });
    await assert.rejects(write(producer), { name: "DeliveryFailed" });
    cluster.heal();
    await write(producer);
  });

  it("that hangs is replaced by another leader, and follows it when it goes on", async () => {
    await using cluster = await startCluster({ seed: 13 });
    const producer = await withTopic(cluster, 3, 60_000);
    const before = leading(cluster);
    before.pause();
    before.pause();
    await write(producer);
    const after = cluster.brokers.find((broker) => broker !== before && broker === cluster.leaderOf(TOPIC, 0));
    assert.ok(after !== undefined);
    assert.equal(before.state, "running");
    before.resume();
    await cluster.run(1_000);
    assert.equal(leading(cluster).id, after.id);
    await cluster.healthy();
    assert.deepEqual(cluster.faults, { pause: 1 });
  });

  it("hands over what it leads when it is stopped, and starts again", async () => {
    await using cluster = await startCluster({ seed: 3 });
    const producer = await withTopic(cluster, 3);
    const leader = leading(cluster);
    const began = cluster.now;
    await Promise.all([leader.stop(), write(producer)]);
    assert.ok(cluster.now - began < 2_000);
    assert.equal(leader.state, "down");
    assert.equal(leader.ended, undefined);
    await leader.stop();
    leader.start();
    await cluster.until(() => leader.running);
    assert.deepEqual(cluster.faults, { stop: 1 });
  });

  it("keeps what it acknowledged over a power cut of all", async () => {
    await using cluster = await startCluster({ seed: 4 });
    const producer = await withTopic(cluster, 3);
    const { offset } = await write(producer);
    for (const broker of cluster.brokers) broker.powerCut();
    assert.ok(cluster.brokers.every(({ state }) => state === "down"));
    cluster.heal();
    await cluster.until(() => cluster.leaderOf(TOPIC, 0) !== undefined);
    const [offsets] = await cluster.client("app").admin().listOffsets(TOPIC);
    assert.equal(offsets?.highWatermark, (offset ?? 0) + 1);
  });

  it("refuses records while its disk is full, and takes them when it is not", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 5 });
    const producer = await withTopic(cluster, 1);
    const only = cluster.broker(1);
    only.fillDisk();
    // A broker asks now and then how much is free.
    await cluster.run(2_000);
    await assert.rejects(write(producer), { code: "DEADLINE_PASSED", outcomeKnown: true });
    only.mendDisk();
    await cluster.run(2_000);
    await write(producer);
  });

  it("takes as long as its disk", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 6 });
    const producer = await withTopic(cluster, 1);
    cluster.broker(1).slowDisk({ extraMs: 400 });
    const began = cluster.now;
    await write(producer);
    assert.ok(cluster.now - began >= 400);
  });

  it("ends when its disk fails, and says why", async () => {
    await using cluster = await startCluster({ seed: 7 });
    const producer = await withTopic(cluster, 3);
    const leader = leading(cluster);
    leader.failDisk("write");
    await write(producer);
    await cluster.until(() => leader.state === "down");
    assert.match(leader.ended?.message ?? "", /EIO/);
  });

  it("joins again when its disk was wiped, and gets everything anew", async () => {
    await using cluster = await startCluster({ seed: 8 });
    const producer = await withTopic(cluster, 3, 60_000);
    const [wiped, ...others] = cluster.brokers;
    wiped?.wipeDisk();
    await write(producer);
    await assert.rejects(cluster.healthy({ within: 1_000 }), /not healthy within 1000 ms.*broker 1 down/s);
    wiped?.start();
    await cluster.healthy();
    for (const other of others.slice(0, 1)) other.crash();
    await write(producer);
  });

  it("dies in the middle of a disk call that is named by its number", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 9 });
    const producer = await withTopic(cluster, 1);
    const only = cluster.broker(1);
    only.crashAtDiskCall(1);
    assert.equal(only.state, "running");
    const sent = write(producer);
    await cluster.until(() => only.state === "down");
    only.start();
    // The call may have reached the disk: then the record is there already, and the answer says so.
    await sent;
    const [end] = await cluster.client("app").admin().listOffsets(TOPIC);
    assert.equal(end?.highWatermark, 2, "the first record, and this one once");
  });

  it("hears nobody but those of its own side when the machines are split", async () => {
    await using cluster = await startCluster({ seed: 10 });
    const producer = await withTopic(cluster, 3);
    const leader = leading(cluster).id;
    const others = cluster.brokers.map(({ id }) => id).filter((id) => id !== leader);
    cluster.split([leader], [...others, "app"]);
    await write(producer);
    assert.notEqual(leading(cluster).id, leader);
  });

  it("is refused by name when there is none, and so are faults nobody knows", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 11 });
    const only = cluster.broker(1);
    const refused = (act: () => unknown, message: RegExp) =>
      assert.throws(act, (error: unknown) => {
        assert.ok(error instanceof TestClusterError);
        assert.equal(error.code, "INVALID_OPTION");
        assert.match(error.message, message);
        return true;
      });
    refused(() => cluster.broker(2), /There is no broker 2: ids are 1 to 1/);
    refused(() => only.cutFrom("nobody"), /no broker, client or process "nobody"; there are 1/);
    refused(() => only.cutFrom(1), /cannot be cut from itself/);
    refused(() => only.cutFrom("x", { direction: "up" as "to" }), /direction must be both, to or from: got up/);
    refused(() => only.slowDisk({ time: 3 } as object), /slowDisk has no option time: did you mean times\?/);
    refused(() => only.slowDisk({ times: 0 }), /times must be a whole number from 1/);
    refused(() => only.failDisk("unlink" as "read"), /failDisk takes read, write or sync: got unlink/);
    refused(() => only.fillDisk(-1), /freeBytes/);
    refused(() => only.crashAtDiskCall(0), /disk call must be/);
    refused(() => only.jumpClock(Number.NaN), /jumpClock takes milliseconds/);
    refused(() => cluster.client("white space"), /A name has 1 to 40 letters/);
    refused(() => cluster.split([1], ["nobody"]), /nobody/);
    assert.deepEqual(cluster.faults, {});
  });

  it("whose disk breaks its promises is found out, and everything awaited says so", async () => {
    const settings = { brokers: 1, seed: 12, drawn: false, trace: undefined };
    await using cluster = new TestCluster(settings, { durableWrites: true });
    await cluster.formed();
    const producer = await withTopic(cluster, 1);
    const failed = cluster.run(60_000).catch((error: unknown) => error);
    for (let cut = 0; cut < 20 && cluster.failure === undefined; cut++) {
      cluster.broker(1).powerCut();
      cluster.broker(1).start();
      await cluster.run(3_000).catch(() => {});
    }
    const error = await failed;
    assert.ok(error instanceof TestClusterError);
    assert.equal(error.code, "CLUSTER_FAILED");
    assert.match(error.message, /^R\d .*\n.*seed 12/s);
    await assert.rejects(write(producer), { code: "CLUSTER_FAILED" });
  });
});
