import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { probesOf } from "../../src/telemetry/probes.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** As `/readyz` answers. */
function ready(cluster: Cluster, n: number): boolean {
  return probesOf(() => ({ state: cluster.broker(n).state, started: true })).ready().ok;
}

describe("What a broker knows about itself", () => {
  it("is true of all brokers together: one controller, each partition led once, what is committed and what is not in sync", async () => {
    const cluster = await Cluster.start({ seed: 12 });
    await cluster.createTopic("t", 4);
    const acknowledged = { topic: "t", partition: 0, records: recordSet(["a", "b"]) };
    await cluster.call(1, stubs.Produce, acknowledged);
    const numbers = () => cluster.alive.map((n) => cluster.broker(n).numbers).filter((each) => each !== undefined);
    const led = () => numbers().flatMap((each) => [...each.partitions()].filter(({ leads }) => leads));
    assert.equal(numbers().filter(({ controller }) => controller).length, 1);
    assert.deepEqual(
      numbers().map(({ partitionCount, brokersKnown, brokersConnected, topics }) => [
        partitionCount,
        brokersKnown,
        brokersConnected,
        topics,
      ]),
      [4, 4, 4].map((count) => [count, 3, 3, 1]),
    );
    assert.deepEqual(
      led()
        .map(({ partition }) => partition)
        .sort(),
      [0, 1, 2, 3],
    );
    const first = led().find(({ partition }) => partition === 0);
    assert.deepEqual(
      [first?.highWatermark, first?.logEndOffset, first?.inSyncReplicas, first?.replicas, first?.serves],
      [2, 2, 3, 3, true],
    );
    assert.ok(numbers().every(({ walFilesUsed, walFilesMax }) => walFilesUsed >= 1 && walFilesUsed <= walFilesMax));
    cluster.kill(cluster.alive.find((n) => cluster.broker(n).numbers?.controller === true) ?? 1);
    await cluster.until(
      () => led().length === 4 && led().every(({ inSyncReplicas, serves }) => serves && inSyncReplicas === 2),
      "every partition is led and says that it is under-replicated",
      60_000,
    );
    assert.deepEqual(
      numbers().map(({ brokersConnected }) => brokersConnected),
      [2, 2],
    );
    cluster.close();
  });

  it("says ready once it is registered, and not from the moment it is told to stop", async () => {
    const cluster = await Cluster.start({ brokers: 1, seed: 13 });
    assert.equal(ready(cluster, 1), true);
    const stopping = cluster.broker(1).stop();
    assert.equal(ready(cluster, 1), false);
    await cluster.settle(stopping);
    assert.equal(cluster.broker(1).numbers, undefined);
    cluster.kill(1);
    cluster.boot(1);
    assert.deepEqual([ready(cluster, 1), cluster.broker(1).state, cluster.broker(1).numbers], [false, "starting", undefined]);
    await cluster.settle(cluster.started(1));
    assert.equal(ready(cluster, 1), true);
    cluster.close();
  });
});
