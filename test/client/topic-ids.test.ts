import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Client, type ClientOptions, MillraceError, type Producer } from "../../src/client/index.ts";
import { records } from "../../src/records/log-record.ts";
import { FakeCluster, fakeAddresses, noFaults } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();
const valuesOf = (log: PartitionLog | undefined): string[] =>
  (log?.batches ?? []).flatMap((batch) => [...records(batch.records)].map((record) => text.decode(record.value)));

function setup(seed: number, options: Partial<ClientOptions> = {}) {
  const world = new World(seed);
  const cluster = new FakeCluster(world, fakeAddresses(3));
  const [first] = cluster.addTopic("t", 1);
  const ports = { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry };
  const client = new Client({ brokers: cluster.addresses, ...options }, ports);
  const send = (producer: Producer, value: string): Promise<unknown> =>
    producer.send({ topic: "t", value }).catch((error: unknown) => (error instanceof MillraceError ? error : Promise.reject(error)));
  return { world, cluster, client, first, send };
}

describe("A producer whose topic was deleted, and made again under its name", () => {
  it("sends what comes later into the new one", async () => {
    const { world, cluster, client, first, send } = setup(1);
    const producer = client.producer();
    for (const value of ["a", "b"]) await world.until(send(producer, value));
    const [second] = cluster.addTopic("t", 1);
    const acks = await world.until(Promise.all(["c", "d"].map((value) => send(producer, value))));
    assert.ok(!acks.some((ack) => ack instanceof Error), String(acks));
    await world.until(send(producer, "e"));
    assert.deepEqual(
      [valuesOf(first), valuesOf(second)],
      [
        ["a", "b"],
        ["c", "d", "e"],
      ],
    );
    assert.deepEqual(cluster.complaints, []);
  });

  it("never sends there what may have been written into the former one", async () => {
    for (const breaks of ["breakBefore", "breakAfter"] as const) {
      const { world, cluster, client, first, send } = setup(2);
      const producer = client.producer();
      cluster.faults = { ...noFaults, [breaks]: 1 };
      const sent = send(producer, "a");
      await world.run(world.now + 60, () => false);
      cluster.faults = noFaults;
      const [second] = cluster.addTopic("t", 1);
      const error = await world.until(sent);
      assert.ok(error instanceof MillraceError && !error.outcomeKnown, String(error));
      assert.deepEqual([valuesOf(first), valuesOf(second)], [breaks === "breakAfter" ? ["a"] : [], []]);
      await world.until(send(producer, "b"));
      assert.deepEqual(valuesOf(second), ["b"]);
    }
  });

  it("hears that there is none of that name, and finds one that is made later", async () => {
    const { world, cluster, client, send } = setup(3);
    const producer = client.producer();
    await world.until(send(producer, "a"));
    cluster.topics.delete("t");
    const error = await world.until(send(producer, "b"));
    assert.equal(error instanceof MillraceError && error.code, "UNKNOWN_TOPIC");
    const [second] = cluster.addTopic("t", 1);
    await world.until(send(producer, "c"));
    assert.deepEqual(valuesOf(second), ["c"]);
  });
});
