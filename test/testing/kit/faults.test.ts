import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Producer } from "../../../src/client/index.ts";
import { TestCluster } from "../../../src/testing/kit/cluster.ts";
import { startCluster, type TestBroker, TestClusterError } from "../../../src/testing/kit/index.ts";

const TOPIC = "t";

/** A topic of one partition, and a producer that gives up soon. */
async function withTopic(cluster: TestCluster, replicas: number): Promise<Producer> {
  const client = cluster.client("app");
  await client.admin().createTopic({ name: TOPIC, replicas });
  const producer = client.producer({ deliveryTimeoutMs: 5_000, requestTimeoutMs: 1_000 });
  await producer.send({ topic: TOPIC, value: "first" });
  return producer;
}

const write = (producer: Producer) => producer.send({ topic: TOPIC, value: "more" });

function leading(cluster: TestCluster): TestBroker {
  const leader = cluster.leaderOf(TOPIC, 0);
  assert.ok(leader !== undefined);
  return leader;
}

describe("One of three simulated brokers", () => {
  let cluster: TestCluster;
  let producer: Producer;
  before(async () => {
    cluster = await startCluster({ seed: 1 });
    producer = await withTopic(cluster, 3);
  });
  afterEach(async () => {
    cluster.heal();
    await cluster.healthy();
  });
  after(() => cluster.close());

  /** Records go on, and so does the leadership: with another broker. */
  async function handsOver(before: TestBroker): Promise<TestBroker> {
    await write(producer);
    const now = cluster.brokers.find((broker) => broker !== before && broker === cluster.leaderOf(TOPIC, 0));
    assert.ok(now !== undefined);
    return now;
  }

  it("that is isolated is replaced by another leader, and comes back when it is reconnected", async () => {
    const before = leading(cluster);
    before.isolate();
    const now = await handsOver(before);
    before.reconnect();
    await cluster.healthy();
    assert.equal(leading(cluster), now);
    // The other two hear each other no more: with the one that came back there is a majority.
    const [third] = cluster.brokers.filter((broker) => broker !== before && broker !== now);
    now.cutFrom(third?.id ?? 0);
    await write(producer);
  });

  it("that its clients cannot reach is gone around", async () => {
    const leader = leading(cluster);
    leader.cutFrom("app");
    await write(producer);
    assert.equal(leading(cluster), leader);
    for (const broker of cluster.brokers) broker.cutFrom("app", { direction: "from" });
    await assert.rejects(write(producer), { name: "DeliveryFailed" });
    cluster.heal();
    await write(producer);
  });

  it("hears nobody but those of its own side when the machines are split", async () => {
    const leader = leading(cluster);
    const others = cluster.brokers.flatMap(({ id }) => (id === leader.id ? [] : [id]));
    cluster.split([leader.id], [...others, "app"]);
    await handsOver(leader);
  });

  it("that hangs is replaced by another leader, and follows it when it goes on", async () => {
    const before = leading(cluster);
    const counted = cluster.faults["pause"] ?? 0;
    before.pause();
    before.pause();
    const now = await handsOver(before);
    assert.equal(before.state, "running");
    before.resume();
    await cluster.healthy();
    assert.equal(leading(cluster), now);
    assert.equal(cluster.faults["pause"], counted + 1);
  });

  it("hands over what it leads when it is stopped, and starts again", async () => {
    const leader = leading(cluster);
    const began = cluster.now;
    await Promise.all([leader.stop(), write(producer)]);
    assert.ok(cluster.now - began < 2_000);
    assert.equal(leader.state, "down");
    assert.equal(leader.ended, undefined);
    await leader.stop();
    leader.start();
    await cluster.until(() => leader.running);
    assert.equal(cluster.faults["stop"], 1);
  });

  it("ends when its disk fails, and says why", async () => {
    const leader = leading(cluster);
    leader.failDisk("write");
    await write(producer);
    await cluster.until(() => leader.state === "down");
    assert.match(leader.ended?.message ?? "", /EIO/);
  });

  it("keeps what it acknowledged over a power cut of all", async () => {
    const { offset } = await write(producer);
    for (const broker of cluster.brokers) broker.powerCut();
    assert.ok(cluster.brokers.every(({ state }) => state === "down"));
    cluster.heal();
    await cluster.healthy();
    const [offsets] = await cluster.client("app").admin().listOffsets(TOPIC);
    assert.equal(offsets?.highWatermark, (offset ?? 0) + 1);
  });

  it("joins again when its disk was wiped, and gets everything anew", async () => {
    const [wiped, other] = cluster.brokers;
    wiped?.wipeDisk();
    await write(producer);
    await assert.rejects(cluster.healthy({ within: 1_000 }), /not healthy within 1000 ms.*broker 1 down/s);
    wiped?.start();
    await cluster.healthy();
    other?.crash();
    await write(producer);
  });
});

describe("A single simulated broker", () => {
  let cluster: TestCluster;
  let producer: Producer;
  before(async () => {
    cluster = await startCluster({ brokers: 1, seed: 2 });
    producer = await withTopic(cluster, 1);
  });
  after(() => cluster.close());

  it("refuses records while its disk is full, and takes them when it is not", async () => {
    cluster.broker(1).fillDisk();
    // A broker asks now and then how much is free.
    await cluster.run(2_000);
    await assert.rejects(write(producer), { code: "DEADLINE_PASSED", outcomeKnown: true });
    cluster.broker(1).mendDisk();
    await cluster.run(2_000);
    await write(producer);
  });

  it("takes as long as its disk", async () => {
    cluster.broker(1).slowDisk({ extraMs: 400 });
    const began = cluster.now;
    await write(producer);
    assert.ok(cluster.now - began >= 400);
    cluster.broker(1).mendDisk();
  });

  it("writes times of a clock that jumped", async () => {
    const { timestampMs: before = 0 } = await write(producer);
    cluster.broker(1).jumpClock(3_600_000);
    const { timestampMs: after = 0 } = await write(producer);
    assert.ok(after - before >= 3_600_000);
  });

  it("dies in the middle of a disk call that is named by its number", async () => {
    const only = cluster.broker(1);
    only.crashAtDiskCall(1);
    assert.equal(only.state, "running");
    const sent = write(producer);
    await cluster.until(() => only.state === "down");
    only.start();
    await sent;
  });

  it("is refused by name when there is none, and so are faults nobody knows", () => {
    const only = cluster.broker(1);
    const { faults } = cluster;
    const refused = (act: () => unknown, message: RegExp) =>
      assert.throws(act, (error: unknown) => {
        assert.ok(error instanceof TestClusterError);
        assert.equal(error.code, "INVALID_OPTION");
        assert.match(error.message, message);
        return true;
      });
    refused(() => cluster.broker(2), /There is no broker 2: ids are 1 to 1/);
    refused(() => only.cutFrom("nobody"), /no broker, client or process "nobody"; there are 1, "app"/);
    refused(() => only.cutFrom(1), /cannot be cut from itself/);
    refused(() => only.cutFrom("app", { direction: "up" as "to" }), /direction must be both, to or from: got up/);
    refused(() => only.slowDisk({ time: 3 } as object), /slowDisk has no option time: did you mean times\?/);
    refused(() => only.slowDisk({ times: 0 }), /times must be a whole number from 1/);
    refused(() => only.failDisk("unlink" as "read"), /failDisk takes read, write or sync: got unlink/);
    refused(() => only.fillDisk(-1), /freeBytes/);
    refused(() => only.crashAtDiskCall(0), /disk call must be/);
    refused(() => only.jumpClock(Number.NaN), /jumpClock takes milliseconds/);
    refused(() => cluster.client("white space"), /A name has 1 to 40 letters/);
    refused(() => cluster.process("app"), /There is a client or process of the name app already/);
    refused(() => cluster.split([1], ["nobody"]), /nobody/);
    assert.deepEqual(cluster.faults, faults);
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
