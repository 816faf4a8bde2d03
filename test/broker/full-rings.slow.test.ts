import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;
const SEGMENTS = 7;

/** Three brokers with a partition led by broker 1, whose segments get no further: all that is written stays in the rings. */
async function standing() {
  const cluster = await Cluster.start({
    seed: SEGMENTS,
    configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: MiB, walFilesMax: 6, diskReserveBytes: 0 } }),
  });
  await cluster.createTopic("t");
  await cluster.moveLeader("t", 0, 1);
  const group = await cluster.groupOf("t", 0);
  const starts = cluster.numbers.map((n) => {
    const disk = cluster.disk(n);
    const start = disk.start.bind(disk);
    disk.start = (operation) => {
      if (!operation.path.startsWith(`groups/${group}-`)) start(operation);
    };
    return () => {
      disk.start = start;
    };
  });
  return {
    cluster,
    group,
    free: () => {
      for (const start of starts) start();
    },
  };
}

function produce(cluster: Cluster): Promise<boolean> {
  const records = recordSet(["x".repeat(60_000)]);
  return cluster.call(1, stubs.Produce, { topic: "t", records, acks: Acks.all }, { timeoutMs: 1_500 }).then(
    () => true,
    () => false,
  );
}

async function roomIn(): Promise<number> {
  const { cluster } = await standing();
  let batches = 0;
  while (await produce(cluster)) batches += 1;
  cluster.close();
  return batches;
}

// FS18
describe("A partition whose rings were full when all its brokers died", () => {
  it("goes on, though its leader has a batch that its followers find no room for", async () => {
    const most = await roomIn();
    assert.ok(most > 20, `${most} batches`);
    for (const fewer of [1, 2, 4]) {
      const { cluster, group, free } = await standing();
      for (let n = 0; n < most - fewer; n += 1) assert.ok(await produce(cluster));
      await cluster.pass(50);
      for (const n of [2, 3]) cluster.kill(n);
      assert.equal(await produce(cluster), false, "only the leader has it");
      cluster.kill(1);
      free();
      // The leader and one that lacks its last batch; the third one would lead them out of it, and comes too late for that.
      for (const n of [1, 2]) cluster.boot(n);
      await cluster.pass(60_000);
      assert.ok(cluster.serving(group) !== undefined, `${fewer} batches below the most: nobody serves`);
      assert.ok(await produce(cluster), `${fewer} batches below the most`);
      assert.ok(cluster.warnings.some((warning) => warning.includes("log.ring_grew")));
      cluster.close();
    }
  });
});
