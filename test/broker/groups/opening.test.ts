import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeldReplicas } from "../../../src/broker/recovery/held-replicas.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import { World } from "../../../src/testing/sim/world.ts";
import * as stubs from "../stubs.ts";
import { ShardRun, shards } from "./shard-run.ts";

// What the metadata has deleted is looked for among the replicas that are open (`PartitionSet`). Only a replica of a machine takes time to open,
// and it is opened by a start or inside a round: both wait for it, so that no round looks while one is still opening.
describe("A replica that takes its time to open", () => {
  it("is open before its broker registers, and so before it looks at any metadata of now", async () => {
    const run = await ShardRun.start({ seed: 571 }, 1);
    const { cluster } = run;
    const epochOf3 = async (): Promise<number> => {
      const { brokers } = await cluster.call(1, stubs.DescribeCluster, {});
      return brokers.find(({ brokerId }) => brokerId === 3)?.brokerEpoch ?? assert.fail("broker 3");
    };
    const former = await epochOf3();
    await cluster.until(() => shards.every((shard) => run.shard(3, shard) !== undefined), "it has all of them");
    const groups = new Set(shards.map((shard) => `groups/${run.groups(1).groupOf(shard)}-`));
    cluster.kill(3);
    const disk = cluster.disk(3);
    let stuck = 0;
    // The folder of each shard is listed for snapshots.
    disk.watch = (kind, path) => {
      if (kind !== "list" || ![...groups].some((group) => path.startsWith(group))) return;
      stuck += 1;
      disk.slowness = 20_000;
      cluster.world.scheduler.after(0, "the rest is as fast as ever", () => {
        disk.slowness = 1;
      });
    };
    cluster.boot(3);
    const open = (): boolean => shards.every((shard) => run.shard(3, shard) !== undefined);
    let waited = 0;
    for (; (await epochOf3()) === former; waited += 50) await cluster.pass(50);
    assert.ok(open(), "it registers behind that");
    assert.ok(stuck > 1 && waited > 500, `${stuck} folders were listed, ${waited} ms passed`);
    disk.watch = undefined;
    await cluster.settle(cluster.started(3));
    cluster.close();
  });

  it("and was held back is open before the round that lets it go looks further", async () => {
    const world = new World(1);
    const { scheduler } = world;
    const held = new HeldReplicas(world.machine("a").boot().clock);
    for (const groupId of [7, 8]) {
      const log: GroupLog = Object.assign(Object.create(null), { groupId, replicaId: groupId });
      held.hold(log);
    }
    const opened: number[] = [];
    let over = false;
    const released = held
      .release(
        () => false,
        ({ groupId }) => new Promise((resolve) => void scheduler.after(1_000, "opened", () => resolve(void opened.push(groupId)))),
      )
      .then(() => {
        over = true;
      });
    await scheduler.run(scheduler.now + 1_500);
    assert.deepEqual([opened, over], [[7], false]);
    await scheduler.run(scheduler.now + 1_000);
    await released;
    assert.deepEqual([opened, held.any], [[7, 8], false]);
  });
});
