import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { toBrokerId } from "../../src/base/ids.ts";
import { createBroker } from "../../src/broker/broker.ts";
import type { Machine } from "../../src/testing/sim/machine.ts";
import { brokerConfig, Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Broker 1 of a cluster of its own, formed by one seed or three, on the same network. Its machine is off, its disk is full of it. */
async function elsewhere(cluster: Cluster, names: readonly string[]): Promise<readonly Machine[]> {
  const { world } = cluster;
  const machines = names.map((name) => world.machine(name));
  const brokers = machines.map((machine, i) => {
    const host = machine.name;
    const config: BrokerConfig = {
      ...brokerConfig(i + 1, names.length),
      seeds: names.map((name, n) => ({ id: toBrokerId(n + 1), address: `${name}:7401` })),
      listen: `${host}:7400`,
      advertise: `${host}:7400`,
      peerListen: `${host}:7401`,
      peerAdvertise: `${host}:7401`,
    };
    const fatal = (error: Error) => world.scheduler.fail(error);
    return createBroker({ ...machine.boot(), telemetry: { log() {}, count() {}, observe() {} } }, config, { version: "test", fatal });
  });
  const started = brokers.map((broker) => broker.start());
  for (const each of started) await cluster.settle(each);
  for (const machine of machines) machine.crash();
  return machines;
}

/** The disk of a machine that is off, put into the machine of a broker that is off. */
function move(cluster: Cluster, from: Machine, to: number): void {
  cluster.disk(to).takeFrom(from.device);
}

async function refusal(cluster: Cluster, n: number): Promise<MillraceError> {
  const error = await cluster.settle(cluster.started(n)).catch((failure: unknown) => failure);
  assert.ok(error instanceof MillraceError, `broker ${n} is refused: ${String(error)}`);
  return error;
}

/** What a cluster knows and holds; equal before and after: nobody wrote to it. */
async function stateOf(cluster: Cluster): Promise<unknown> {
  const { metadataVersion: _, ...described } = await cluster.call(1, stubs.DescribeTopics, { names: ["t"] });
  const { brokers, clusterId } = await cluster.call(1, stubs.DescribeCluster, {});
  return {
    described,
    clusterId,
    brokers: brokers.map(({ brokerId, address }) => ({ brokerId, address })),
    values: await cluster.values("t"),
    logs: [1, 2].map((n) => [...cluster.broker(n).replicas].map(({ groupId, core }) => [groupId, core.term, core.lastIndex])),
  };
}

describe("A whole broker whose data directory belongs to another cluster", () => {
  for (const [what, running] of [
    ["while the cluster runs", true],
    ["before the cluster runs", false],
  ] as const) {
    it(`is refused by name, with what to do, and nothing is written (${what})`, async () => {
      const cluster = await Cluster.start({ seed: 11 });
      await cluster.createTopic("t");
      await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["ours"]) });
      const { clusterId } = await cluster.call(1, stubs.DescribeCluster, {});
      const foreign = await elsewhere(cluster, ["x1", "x2", "x3"]);
      cluster.kill(3);
      move(cluster, foreign[2] as Machine, 3);
      await cluster.pass(15_000);
      const before = await stateOf(cluster);
      if (!running) for (const n of [1, 2]) cluster.kill(n);

      cluster.boot(3);
      await cluster.pass(running ? 0 : 5_000);
      if (!running) {
        assert.equal(cluster.broker(3).state, "joining", "nobody told it yet");
        for (const n of [1, 2]) cluster.boot(n);
        for (const n of [1, 2]) await cluster.settle(cluster.started(n));
      }
      const error = await refusal(cluster, 3);
      assert.equal(error.code, "WRONG_CLUSTER");
      assert.equal(error.outcomeKnown, true);
      assert.ok(error.message.includes(clusterId) && error.message.includes("/sim/b3"), error.message);
      assert.match(error.message, /Start this broker with the seeds of its own cluster, or with an empty data directory/);
      cluster.kill(3);
      await cluster.pass(1_000);
      if (running) assert.deepEqual(await stateOf(cluster), before);
      else assert.deepEqual(await cluster.values("t"), ["ours"]);

      // Nor was its own disk touched: back where it belongs it starts.
      const back = foreign[2] as Machine;
      back.device.takeFrom(cluster.disk(3));
      const healthy = await elsewhere(cluster, ["x1", "x2", "x3"]);
      assert.equal(healthy.length, 3);
      cluster.close();
    });
  }

  it("is refused too when it alone is its cluster, and would not need anybody", async () => {
    const cluster = await Cluster.start({ seed: 12 });
    await cluster.createTopic("t");
    cluster.kill(3);
    // Its id is 1 there.
    const [foreign] = await elsewhere(cluster, ["x1"]);
    cluster.kill(1);
    move(cluster, foreign as Machine, 1);
    cluster.boot(1);
    const error = await refusal(cluster, 1);
    assert.equal(error.code, "INVALID_CONFIG");
    assert.match(error.message, /seeds 1,2,3: .* was formed by the seeds 1\. Start it with these, or with an empty data directory/);
    cluster.close();
  });

  it("does not keep the others from starting again, all of them, while it stands at a seed's address", async () => {
    const cluster = await Cluster.start({ seed: 13 });
    await cluster.createTopic("t");
    const foreign = await elsewhere(cluster, ["x1", "x2", "x3"]);
    for (const n of cluster.numbers) cluster.kill(n);
    move(cluster, foreign[1] as Machine, 2);
    cluster.boot(2);
    cluster.boot(1);
    await cluster.pass(5_000);
    assert.deepEqual([cluster.broker(1).state, cluster.broker(2).state], ["joining", "joining"], "one voice is not believed");
    await cluster.restart(3);
    await cluster.settle(cluster.started(1));
    assert.equal((await refusal(cluster, 2)).code, "WRONG_CLUSTER");
    await cluster.call(3, stubs.Produce, { topic: "t", records: recordSet(["two of three"]) }, { timeoutMs: 30_000 });
    cluster.close();
  });
});
