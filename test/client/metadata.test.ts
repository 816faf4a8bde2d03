import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Brokers } from "../../src/client/brokers.ts";
import { Calls } from "../../src/client/calls.ts";
import { Metadata } from "../../src/client/metadata.ts";
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
