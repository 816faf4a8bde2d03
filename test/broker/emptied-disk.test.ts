import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const EMPTIED = 3;
const SESSION_MS = 9_000;

describe("A broker whose disk was emptied", () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ seed: 5 });
    await cluster.createTopic("orders", 2);
    await cluster.createTopic("payments");
    for (const topic of ["orders", "payments"]) await cluster.call(1, stubs.Produce, { topic, records: recordSet([`first of ${topic}`]) });
    await cluster.pass(2_000);
    assert.deepEqual(await reasons(1), []);
    cluster.kill(EMPTIED);
    cluster.disk(EMPTIED).replace();
  });
  after(() => cluster.close());

  const reasons = async (via: number) => (await cluster.call(via, stubs.GetClusterHealth, {})).reasons;

  it("is refused while the former disk's session lasts, because that one might still run", async () => {
    cluster.boot(EMPTIED);
    const error = await cluster.settle(cluster.started(EMPTIED)).catch((failure: unknown) => failure);
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, "DUPLICATE_BROKER");
    cluster.kill(EMPTIED);
    cluster.disk(EMPTIED).replace();
    await cluster.pass(SESSION_MS + 2_000);
  });

  it("registers then, and gets a new replica of everything it lost, the metadata included", async () => {
    await cluster.restart(EMPTIED);
    assert.equal(cluster.broker(EMPTIED).state, "running");
    const { brokers } = await cluster.call(1, stubs.DescribeCluster, {});
    assert.deepEqual(
      brokers.map(({ brokerId }) => brokerId),
      [1, 2, 3],
    );
    for (let tries = 0; (await reasons(2)).length > 0; tries++) {
      assert.ok(tries < 100, "healthy again");
      await cluster.pass(100);
    }
    const held = [
      METADATA_GROUP,
      await cluster.groupOf("orders", 0),
      await cluster.groupOf("orders", 1),
      await cluster.groupOf("payments", 0),
    ];
    assert.deepEqual([...cluster.broker(EMPTIED).replicas].map(({ groupId }) => groupId).sort(), held.sort());
  });

  it("forwards what it is asked", async () => {
    await cluster.call(EMPTIED, stubs.Produce, { topic: "orders", partition: 1, records: recordSet(["through the empty one"]) });
    assert.deepEqual(await cluster.values("orders", 1, EMPTIED), ["through the empty one"]);
    assert.deepEqual(await cluster.values("orders", 0, EMPTIED), ["first of orders"]);
    await cluster.call(EMPTIED, stubs.CreateTopic, { name: "later", partitions: 1 });
    await cluster.call(EMPTIED, stubs.DeleteTopic, { name: "later" });
    const subscription = cluster.subscribe(EMPTIED, { topic: "payments", partitions: [{ partition: 0, offset: 0 }] });
    assert.deepEqual(await subscription.has(0, 1), ["first of payments"]);
    subscription.cancel();
  });

  it("takes new replicas, and stays as it is when it is started again", async () => {
    await cluster.createTopic("fresh");
    const group = await cluster.groupOf("fresh", 0);
    await cluster.until(() => cluster.replica(EMPTIED, group) !== undefined, "it holds the new topic");
    const held = (): readonly number[] => [...cluster.broker(EMPTIED).replicas].map(({ id }) => id).sort();
    const before = held();
    cluster.kill(EMPTIED);
    await cluster.restart(EMPTIED);
    assert.deepEqual(held(), before);
    assert.equal(before.length, 5);
  });
});

describe("A broker whose disk was emptied, and that is started again whenever it ends", () => {
  it("is let in when the session of the former disk is over: its asking does not keep that alive", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    cluster.kill(EMPTIED);
    cluster.disk(EMPTIED).replace();
    const end = cluster.world.now + 2 * SESSION_MS;
    for (let isIn = false; !isIn; ) {
      assert.ok(cluster.world.now < end, "it is kept out");
      cluster.boot(EMPTIED);
      isIn = await cluster.settle(cluster.started(EMPTIED)).then(
        () => true,
        () => false,
      );
      if (!isIn) await cluster.pass(1_000);
    }
    cluster.close();
  });
});

describe("A disk that was emptied while it was needed", () => {
  it("gives no vote in place of the lost one: what only it and a dead broker had acknowledged is not elected away (FS12, L2)", async () => {
    const cluster = await Cluster.start({ seed: 6 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const group = await cluster.groupOf("t", 0);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["everywhere"]) });
    await cluster.pass(1_000);
    const { network } = cluster.world;
    network.partition([["b1"], ["b2"]]);
    const { durableBrokerIds } = await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["on two"]), acks: Acks.quorum });
    assert.deepEqual([...durableBrokerIds].sort(), [1, EMPTIED]);
    cluster.kill(1);
    cluster.kill(EMPTIED);
    cluster.disk(EMPTIED).replace();
    network.heal();

    // It learns the metadata from broker 2, where its replica stands; two of three brokers run, and must not elect.
    cluster.boot(EMPTIED);
    await cluster.pass(20_000);
    assert.equal(cluster.serving(group), undefined);
    assert.deepEqual([...cluster.broker(EMPTIED).replicas], []);
    cluster.kill(EMPTIED);
    await cluster.restart(1);
    assert.deepEqual(await cluster.values("t", 0, 2), ["everywhere", "on two"]);
    cluster.close();
  });
});
