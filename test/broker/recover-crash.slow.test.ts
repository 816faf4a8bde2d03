import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const WELL_MS = 90_000;
/** Disk operations of the survivor from the moment a plan is applied; behind the last of them nothing of a recovery is left to do. */
const STEPS = 16;

/** Three brokers, of which 3 is left; whoever ends because it was fenced is started again by `well`. */
async function alone(seed: number): Promise<{ cluster: Cluster; group: GroupId; fenced: Set<number> }> {
  const fenced = new Set<number>();
  const cluster: Cluster = await Cluster.start({
    seed,
    fatal: (n, error) => {
      assert.ok(error instanceof MillraceError && error.code === "FENCED", `broker ${n} ends: ${error.message}`);
      fenced.add(n);
      cluster.kill(n);
    },
  });
  await cluster.createTopic("t", 1);
  const group = await cluster.groupOf("t", 0);
  for (const value of ["a", "b"]) await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.all });
  cluster.kill(1);
  cluster.kill(2);
  await cluster.pass(3_000);
  return { cluster, group, fenced };
}

/** Plans and applies until nothing is left to be recovered. */
async function recoverAll(cluster: Cluster): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await cluster.pass(3_000);
    const { digest, clusterId, metadata, partitions } = await cluster.settle(cluster.broker(3).planRecovery());
    if (metadata === undefined && partitions.length === 0) return;
    await cluster.settle(cluster.broker(3).applyRecovery({ digest, clusterId }));
  }
  assert.fail("there is always something left to recover");
}

describe("A survivor that crashes while a plan is applied (scenario 62)", () => {
  for (const how of ["kill", "powerCut"] as const)
    it(`goes on where it was or begins again, whichever disk operation the ${how} came at; the old majority returns to that`, async () => {
      let came = 0;
      for (let step = how === "kill" ? 2 : 1; step <= STEPS; step += 2) {
        const { cluster, group, fenced } = await alone(100 + step);
        const plan = await cluster.settle(cluster.broker(3).planRecovery());
        const disk = cluster.disk(3);
        let left = step;
        disk.watch = () => {
          left -= 1;
          if (left !== 0) return;
          // Not inside the call of the disk.
          cluster.world.scheduler.after(0, "the survivor goes down", () => cluster[how](3));
        };
        const applied = cluster.broker(3).applyRecovery(plan);
        applied.catch(() => {});
        await cluster.pass(5_000);
        disk.watch = undefined;
        if (left > 0) break;
        came += 1;
        cluster.boot(3);
        await recoverAll(cluster);
        await cluster.settle(cluster.started(3));
        await cluster.until(() => [METADATA_GROUP, group].every((id) => cluster.serving(id) === 3), `step ${step}: both go on`);
        await cluster.call(3, stubs.Produce, { topic: "t", records: recordSet(["alone"]), acks: Acks.quorum });
        for (const n of [2, 1]) cluster.boot(n);
        const end = cluster.world.now + WELL_MS;
        for (;;) {
          for (const n of [...fenced]) if (fenced.delete(n)) cluster.boot(n);
          const health = await cluster.call(3, stubs.GetClusterHealth, {}).catch(() => undefined);
          if (health?.healthy === true && health.brokersLive === 3) break;
          assert.ok(cluster.world.now < end, `step ${step}: ${health?.reasons.map(({ text }) => text).join("; ")}`);
          await cluster.pass(500);
        }
        assert.deepEqual(await cluster.values("t", 0, 1), ["a", "b", "alone"], `step ${step}`);
        assert.equal(cluster.replica(3, group)?.core.configuration.voters.length, 3);
        cluster.close();
      }
      assert.ok(came > 4, `the ${how} came ${came} times`);
    });
});
