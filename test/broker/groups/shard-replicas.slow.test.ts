import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import { ShardRun } from "./shard-run.ts";

const GROUP = "readers";
const SHARD = shardOf(GROUP);

describe("the replicas of a shard of consumer groups", () => {
  it("agree on what was recorded, on every replica, and go on from snapshot and tail when all start again", async () => {
    const run = await ShardRun.start({ seed: 503 });
    const { cluster } = run;
    await run.commits(GROUP, 1, 20);
    await run.agreed(SHARD);
    const leader = run.leader(SHARD) as number;
    const before = run.shard(leader, SHARD);
    assert.ok((before?.replica.log.start.index ?? 0) > 0, "the log is trimmed behind the older snapshot");
    const { applied, image } = before?.view ?? assert.fail();
    for (const n of [1, 2, 3]) cluster.kill(n);
    for (const n of [1, 2, 3]) cluster.boot(n);
    for (const n of [1, 2, 3]) await cluster.settle(cluster.started(n));
    await run.agreed(SHARD);
    for (const n of [1, 2, 3]) {
      const view = run.shard(n, SHARD)?.view;
      assert.ok((view?.applied ?? 0) >= applied);
      assert.ok((view?.appliedBytes ?? 0) < 6_000, "the beginning came from a snapshot");
      assert.deepEqual([run.offset(n, GROUP, 20), view?.image.groups.size], [20, image.groups.size]);
    }
    await run.commits(GROUP, 21, 2);
    await run.agreed(SHARD);
    cluster.close();
  });

  it("give a replica that was away for long the snapshot, and one on a new disk everything", async () => {
    const run = await ShardRun.start({ seed: 504 });
    const { cluster } = run;
    await run.commits(GROUP, 1, 4);
    const away = ((run.leader(SHARD) as number) % 3) + 1;
    cluster.kill(away);
    // Nothing is kept for who is silent for long.
    await cluster.pass(31_000);
    await run.commits(GROUP, 5, 20);
    const start = run.shard(run.leader(SHARD) as number, SHARD)?.replica.log.start.index as number;
    assert.ok(start > 8, "what it lacks is trimmed away");
    await cluster.restart(away);
    await run.agreed(SHARD);
    assert.ok((run.shard(away, SHARD)?.replica.log.start.index ?? 0) >= start);
    const group = run.groups(1).groupOf(SHARD);
    const former = run.shard(away, SHARD)?.replica.id;
    cluster.kill(away);
    cluster.disk(away).replace();
    await cluster.pass(11_000);
    await cluster.restart(away);
    await cluster.until(() => {
      const configuration = cluster.replica(run.leader(SHARD) ?? 0, group as never)?.core.configuration;
      return configuration !== undefined && !configuration.voters.includes(former as never) && configuration.voters.length === 3;
    }, "its successor votes");
    await run.agreed(SHARD);
    assert.equal(run.offset(away, GROUP, 24), 24);
    cluster.close();
  });
});
