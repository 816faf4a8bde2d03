import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Brokers } from "../../src/client/brokers.ts";
import { Calls } from "../../src/client/calls.ts";
import { Consumer } from "../../src/client/consumer/consumer.ts";
import { ClientCore } from "../../src/client/core.ts";
import { Metadata } from "../../src/client/metadata.ts";
import { Producer } from "../../src/client/producer/producer.ts";
import { FakeCluster, fakeAddresses } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

function setup(bootstrap = ["b1:7400"]) {
  const world = new World(1);
  const cluster = new FakeCluster(world, fakeAddresses(3));
  const [log] = cluster.addTopic("t", 1) as [PartitionLog];
  const brokers = new Brokers(bootstrap, cluster, world, world.random);
  const calls = new Calls(brokers, { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry });
  return { world, cluster, log, brokers, metadata: new Metadata(calls, brokers, world) };
}

describe("Metadata", () => {
  it("knows the leader once the topic was loaded, and learns the other brokers with it", async () => {
    const { world, metadata, brokers } = setup();
    assert.equal(metadata.leader("t", 0), undefined);
    assert.equal(await world.until(metadata.load("t", 1_000)), 1);
    assert.equal(metadata.leader("t", 0), "b1:7400");
    await world.run(world.now + 100, () => false);
    assert.deepEqual(brokers.addresses.toSorted(), ["b1:7400", "b2:7400", "b3:7400"]);
  });

  it("believes a hint of the same or a later term, and no older one", async () => {
    const { world, metadata } = setup();
    await world.until(metadata.load("t", 1_000));
    metadata.hint("t", 0, { address: "b2:7400", term: 5 });
    metadata.hint("t", 0, { address: "b3:7400", term: 4 });
    assert.equal(metadata.leader("t", 0), "b2:7400");
    metadata.hint("t", 0, { address: "b3:7400", term: 5 });
    assert.equal(metadata.leader("t", 0), "b3:7400");
  });

  it("forgets a leader that failed, unless it is another by now, and keeps a later term over an older description", async () => {
    const { world, metadata } = setup();
    await world.until(metadata.load("t", 1_000));
    metadata.leaderFailed("t", 0, "b2:7400");
    assert.equal(metadata.leader("t", 0), "b1:7400");
    metadata.leaderFailed("t", 0, "b1:7400");
    assert.equal(metadata.leader("t", 0), undefined);
    metadata.hint("t", 0, { address: "b2:7400", term: 7 });
    await world.run(world.now + 1_000, () => false);
    metadata.refresh("t");
    await world.run(world.now + 1_000, () => false);
    assert.equal(metadata.leader("t", 0), "b2:7400");
  });

  it("asks once for several callers, and not again right after", async () => {
    const { world, metadata, cluster } = setup();
    await world.until(Promise.all([metadata.load("t", 1_000), metadata.load("t", 1_000)]));
    metadata.refresh("t");
    await world.run(world.now + 50, () => false);
    assert.equal(cluster.calls.filter((path) => path.endsWith("DescribeTopics")).length, 1);
  });

  it("is loaded by whichever broker of the list is alive", async () => {
    const { world, metadata, cluster } = setup(["b1:7400", "b2:7400", "b3:7400"]);
    cluster.kill("b1:7400");
    cluster.kill("b3:7400");
    assert.equal(await world.until(metadata.load("t", 1_000)), 1);
  });

  it("says that no broker could be reached once the time is over", async () => {
    const { world, metadata, cluster } = setup();
    cluster.kill("b1:7400");
    await assert.rejects(world.until(metadata.load("t", 1_000), 2_000), { code: "BROKERS_UNREACHABLE", outcomeKnown: true });
  });
});

describe("What is closed leaves the client", () => {
  it("a producer whose topic was still being looked up hears nothing of it any more, and what it held is free", async () => {
    const { world, cluster, brokers, log } = setup();
    let watched = 0;
    class Counted extends Metadata {
      override watch(topic: string, told: (partitions: number, topicId: string) => void): () => void {
        watched += 1;
        const unwatch = super.watch(topic, told);
        return () => {
          watched -= 1;
          unwatch();
        };
      }
    }
    const ports = { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry };
    const calls = new Calls(brokers, ports);
    const core = new ClientCore(ports, brokers, calls, new Counted(calls, brokers, world));
    const gone: string[] = [];
    const make = (name: string) => new Producer(core, {}, () => gone.push(name));
    for (const address of cluster.addresses) cluster.dead.add(address);
    const early = make("early");
    const sent = early.send({ topic: "t", value: "x" });
    const refused = assert.rejects(sent, { code: "CLIENT_CLOSED" });
    await world.until(early.close({ timeoutMs: 100 }));
    await refused;
    cluster.dead.clear();
    await world.run(world.now + 10_000, () => false);
    assert.equal(core.metadata.partitionCount("t"), 1, "the look-up went on");
    assert.deepEqual([watched, gone, log.end], [0, ["early"], 0]);
    // One that is closed in good time is served to its end.
    core.metadata.forget("t");
    const late = make("late");
    const written = late.send({ topic: "t", value: "x" });
    await world.until(late.close());
    assert.equal((await written).offset, 0);
    const consumer = new Consumer(core, {}, () => gone.push("consumer"));
    await world.until(consumer.subscribe("t"));
    assert.equal(watched, 1);
    consumer.close();
    consumer.close();
    assert.deepEqual([watched, gone], [0, ["early", "late", "consumer"]]);
  });
});
