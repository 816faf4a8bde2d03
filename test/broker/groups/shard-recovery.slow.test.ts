import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import type { Cluster } from "../harness.ts";
import { ShardRun, SNAPSHOT_BYTES } from "./shard-run.ts";

const GROUP = "readers";
const SHARD = shardOf(GROUP);
/** Partitions of the topic. */
const READ = 2;

describe("a shard of consumer groups that has lost its majority (scenario 62)", () => {
  for (const [how, seed, comeBack] of [
    ["on new disks", 505, withNewDisks],
    ["on disks that are fenced", 513, withOldDisks],
  ] as const)
    it(`goes on from the survivor, gives out no epoch twice, and grows to three replicas again, ${how}`, async () => {
      const run: ShardRun = await ShardRun.start(
        {
          seed,
          configure: (config) => ({ ...config, limits: { ...config.limits, metadataSnapshotBytes: SNAPSHOT_BYTES } }),
          fatal: (n, error) => {
            assert.ok(error instanceof MillraceError && error.code === "FENCED", `broker ${n} ends: ${error.message}`);
            run.cluster.kill(n);
          },
        },
        READ,
      );
      const { cluster } = run;
      await run.commit("other", 0, 5);
      await run.join(GROUP, "a");
      await run.agreed(SHARD);
      await run.agreed(shardOf("other"));
      cluster.kill(3);
      // The two that will be lost tell more, which nobody else hears of.
      const lost = [await run.join(GROUP, "b"), await run.join(GROUP, "c")];
      for (const n of [1, 2]) cluster.kill(n);
      cluster.boot(3);
      await cluster.pass(5_000);
      const { clusterId, digest } = await cluster.settle(cluster.broker(3).planRecovery());
      const outcome = await cluster.settle(cluster.broker(3).applyRecovery({ clusterId, digest }));
      assert.equal(outcome.partitions.length, 16 + READ, "all shards, and the topic that is read");
      await cluster.settle(cluster.started(3));
      await cluster.until(() => run.leader(SHARD) === 3, "the survivor leads");
      const joined = await run.join(GROUP, "a");
      assert.ok(joined > Math.max(...lost), `${joined} after ${lost}`);
      assert.deepEqual([...(run.shard(3, SHARD)?.view.image.group(GROUP)?.members.keys() ?? [])], ["a"]);
      await comeBack(cluster);
      await cluster.until(
        () => [1, 2].every((n) => run.shard(n, SHARD)?.replica.core.configuration.voters.length === 3),
        "three replicas vote again",
        120_000,
      );
      await run.agreed(SHARD);
      await run.agreed(shardOf("other"));
      assert.equal(run.offset(1, "other", 0), 5);
      // They count, and know of the recovery.
      cluster.kill(3);
      await cluster.until(() => run.leader(SHARD) !== undefined, "a leader without the survivor");
      assert.ok((await run.join(GROUP, "b")) > joined);
      cluster.close();
    });
});

async function withNewDisks(cluster: Cluster): Promise<void> {
  for (const n of [1, 2]) cluster.disk(n).replace();
  await cluster.pass(11_000);
  for (const n of [1, 2]) await cluster.restart(n);
}

/** What they held is void, as they hear at the door. */
async function withOldDisks(cluster: Cluster): Promise<void> {
  for (const n of [1, 2]) await cluster.restart(n);
  const told = (n: number) => cluster.warnings.some((warning) => warning.startsWith(`broker ${n}: partition.fenced`));
  await cluster.until(() => told(1) && told(2), "what they held is set aside");
}
