import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import type { Telemetry } from "../../src/base/ports/telemetry.ts";
import { type Broker, createBroker } from "../../src/broker/broker.ts";
import { Acks } from "../../src/protocol/public.ts";
import { brokerConfig, Cluster, recordSet } from "./harness.ts";
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

  const waitsSaid = () => cluster.warnings.filter((warning) => warning.includes("broker.id_taken"));

  it("waits while the former disk's session lasts, because that one might still run, and can be stopped meanwhile", async () => {
    cluster.boot(EMPTIED);
    await cluster.until(() => cluster.broker(EMPTIED).state === "waiting", "it waits");
    await cluster.stop(EMPTIED);
    assert.equal(cluster.broker(EMPTIED).state, "stopped");
  });

  it("says so once, registers by itself, and gets a new replica of everything it lost, the metadata included", async () => {
    const said = waitsSaid().length;
    const began = cluster.world.now;
    cluster.boot(EMPTIED);
    await cluster.until(() => cluster.broker(EMPTIED).state === "waiting", "it waits");
    await cluster.settle(cluster.started(EMPTIED));
    assert.ok(cluster.world.now - began < 1.5 * SESSION_MS, "as soon as the session is over");
    const [warning, ...more] = waitsSaid().slice(said);
    assert.match(warning ?? "", /^broker 3: .*"brokerId":3,"waitMs":18000,.*one with this id is live at b3:7401/);
    assert.deepEqual(more, []);
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

describe("A broker whose disk was emptied, while the controller changes", () => {
  it("goes on waiting for the full session that a new controller gives everyone", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    await cluster.moveController(2);
    cluster.kill(EMPTIED);
    cluster.disk(EMPTIED).replace();
    cluster.boot(EMPTIED);
    await cluster.until(() => cluster.broker(EMPTIED).state === "waiting", "it waits");
    const began = cluster.world.now;
    for (const controller of [2, 1]) {
      await cluster.pass(SESSION_MS - 500);
      await cluster.stop(controller);
      await cluster.restart(controller);
    }
    assert.equal(cluster.broker(EMPTIED).state, "waiting");
    await cluster.settle(cluster.started(EMPTIED));
    assert.ok(cluster.world.now - began > 2 * SESSION_MS, "longer than a controller that stays would let it wait");
    cluster.close();
  });
});

describe("Two brokers with one id", () => {
  /** Another machine that runs a broker 3, or another one. */
  function second(cluster: Cluster, id = 3, warnings: string[] = []): { readonly broker: Broker; readonly started: Promise<unknown> } {
    const ports = cluster.world.machine("other").boot();
    const log: Telemetry["log"] = (level, event) => void (level === "warn" && warnings.push(event));
    const here = { listen: "other:7400", advertise: "other:7400", peerListen: "other:7401", peerAdvertise: "other:7401" };
    const broker = createBroker(
      { ...ports, telemetry: { log, count() {}, observe() {} } },
      { ...brokerConfig(id, 3), ...here },
      {
        version: "test",
        fatal: (error) => cluster.world.scheduler.fail(error),
      },
    );
    return {
      broker,
      started: broker.start().then(
        () => undefined,
        (error: unknown) => error,
      ),
    };
  }

  it("the second one waits two sessions and ends; the first one keeps its connections and its session", async () => {
    const cluster = await Cluster.start({ seed: 8 });
    await cluster.createTopic("t", 3);
    await cluster.moveLeader("t", 0, 3);
    const group = await cluster.groupOf("t", 0);
    const term = cluster.replica(3, group)?.core.term;
    const began = cluster.world.now;
    const { broker, started } = second(cluster);
    await cluster.until(() => broker.state === "waiting", "it waits");
    const error = await cluster.settle(started);
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, "DUPLICATE_BROKER");
    assert.ok(cluster.world.now - began > 2 * SESSION_MS);
    assert.equal(cluster.replica(3, group)?.core.term, term, "nobody else was elected");
    assert.equal(cluster.serving(group), 3);
    assert.deepEqual((await cluster.call(1, stubs.GetClusterHealth, {})).reasons, []);
    await cluster.call(1, stubs.Produce, { topic: "t", partition: 0, records: recordSet(["through the first one"]) });
    cluster.close();
  });

  it("the second one of the lowest id, whom nobody dials where it is, is told so too, and takes the place of one that is gone", async () => {
    const cluster = await Cluster.start({ seed: 10 });
    await cluster.createTopic("t", 1);
    const group = await cluster.groupOf("t", 0);
    const warnings: string[] = [];
    const { broker, started } = second(cluster, 1, warnings);
    await cluster.until(() => broker.state === "waiting", "it waits");
    assert.deepEqual(warnings, ["broker.id_taken"]);
    await cluster.pass(SESSION_MS);
    assert.equal(broker.state, "waiting", "the first one runs");
    cluster.kill(1);
    assert.equal(await cluster.settle(started), undefined);
    assert.equal(broker.state, "running");
    const { brokers } = await cluster.call(2, stubs.DescribeCluster, {});
    assert.deepEqual(brokers.find(({ brokerId }) => brokerId === 1)?.address, "other:7400");
    await cluster.until(() => [...broker.replicas].some(({ groupId }) => groupId === group), "it gets a replica");
    cluster.close();
  });

  it("the first one ends when it comes back after the second one was registered in its place", async () => {
    const ended: string[] = [];
    const cluster = await Cluster.start({ seed: 9, fatal: (n, error) => ended.push(`${n}: ${(error as MillraceError).code}`) });
    const { network } = cluster.world;
    network.partition([["b3"], ["b1", "b2", "other"]]);
    const { broker, started } = second(cluster);
    await cluster.settle(started);
    assert.equal(broker.state, "running");
    assert.deepEqual(ended, []);
    network.heal();
    await cluster.until(() => ended.length > 0, "it ends");
    assert.deepEqual(ended, ["3: DUPLICATE_BROKER"]);
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
