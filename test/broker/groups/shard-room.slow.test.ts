import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import { ShardRun } from "./shard-run.ts";

const MiB = 1024 * 1024;
const GROUP = "readers";
const SHARD = shardOf(GROUP);

describe("a shard of consumer groups without room (FS5)", () => {
  it("refuses what would be recorded, with a reason that may be tried again, and the same one decides on as soon as there is room", async () => {
    const run = await ShardRun.start({ seed: 506 });
    const { cluster } = run;
    await run.commit(GROUP, 0, 1);
    for (const n of cluster.numbers) cluster.disk(n).leaveFree(MiB);
    await cluster.pass(2_500);
    const leader = run.leader(SHARD) as number;
    const decider = run.decider(run.shard(leader, SHARD) ?? assert.fail());
    const { applied } = run.shard(leader, SHARD)?.view ?? assert.fail();
    const offsets = [{ topic: "t", topicId: undefined, partition: 0, offset: 2, term: -1, metadata: "", highWatermark: undefined }];
    const refused = await run.submit({ kind: "commitOffsets", groupId: GROUP, member: undefined, offsets });
    assert.ok(refused instanceof MillraceError && refused.code === "DISK_FULL" && refused.retriable, String(refused));
    assert.deepEqual([decider.active, run.offset(leader, GROUP, 0)], [true, 1]);
    assert.equal(run.shard(leader, SHARD)?.view.applied, applied);
    for (const n of cluster.numbers) cluster.disk(n).leaveFree(500 * MiB);
    await cluster.pass(5_000);
    assert.equal(decider.active, true);
    await run.commit(GROUP, 0, 2);
    await run.agreed(SHARD);
    assert.equal(run.offset(leader, GROUP, 0), 2);
    cluster.close();
  });

  it("refuses what fits no frame, and goes on", async () => {
    const run = await ShardRun.start(
      {
        seed: 507,
        configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: MiB } }),
      },
      64,
    );
    await run.commit(GROUP, 0, 1);
    const shard = run.shard(run.leader(SHARD) as number, SHARD) ?? assert.fail();
    const decider = run.decider(shard);
    const large = { topic: "t", topicId: undefined, offset: 2, term: -1, metadata: "x".repeat(4_000), highWatermark: undefined };
    const offsets = Array.from({ length: 64 }, (_, partition) => ({ ...large, partition }));
    const refused = await run.submit({ kind: "commitOffsets", groupId: GROUP, member: undefined, offsets });
    assert.ok(refused instanceof MillraceError && refused.code === "REQUEST_TOO_LARGE" && !refused.retriable, String(refused));
    assert.equal(decider.active, true);
    await run.commit(GROUP, 0, 2);
    run.cluster.close();
  });
});
