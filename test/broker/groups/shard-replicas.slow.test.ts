import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupsImage } from "../../../src/consumer-groups/image.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import { Surgery } from "../surgery.ts";
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
    const began = (): number => run.shard(run.leader(SHARD) as number, SHARD)?.replica.log.start.index ?? 0;
    await cluster.until(() => began() > 8, "what it lacks is trimmed away");
    const start = began();
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

  it("are read behind everything that is committed, where one leads, and nowhere else", async () => {
    const run = await ShardRun.start({ seed: 510 });
    const { cluster } = run;
    await run.commit(GROUP, 0, 1);
    const leader = run.leader(SHARD) as number;
    for (const n of cluster.numbers) {
      const image = await cluster.settle(new Promise<GroupsImage | undefined>((done) => void run.shard(n, SHARD)?.read(done)));
      assert.equal(image?.groups.size, n === leader ? 1 : undefined, `broker ${n}`);
    }
    cluster.close();
  });

  it("are led by another broker when theirs stops, which answers before what waits for a commit", async () => {
    const run = await ShardRun.start({ seed: 514 });
    const { cluster } = run;
    await run.commit(GROUP, 0, 1);
    const leader = run.leader(SHARD) as number;
    const shard = run.shard(leader, SHARD) ?? assert.fail();
    const stopped = cluster.broker(leader).stop();
    const codes: string[] = [];
    let offset = 1;
    // Commits go on until others lead; each is done, or refused as one that was not begun.
    await cluster.until(() => {
      offset += 1;
      const offsets = [{ topic: "t", topicId: undefined, partition: 0, offset, term: -1, metadata: "", highWatermark: undefined }];
      run.decider(shard).submit({ kind: "commitOffsets", groupId: GROUP, member: undefined, offsets }, (answer) => {
        codes.push("error" in answer ? answer.error.code : "done");
      });
      return !shard.replica.leads;
    }, "another broker leads");
    await cluster.settle(stopped);
    assert.ok(codes.includes("done"), "until the handover commits are taken");
    assert.deepEqual([...new Set(codes)].sort(), ["NOT_LEADER", "done"]);
    cluster.kill(leader);
    await cluster.until(() => run.leader(SHARD) !== undefined, "it is led");
    await run.commit(GROUP, 0, offset + 1);
    cluster.close();
  });

  it("take the snapshot of another broker when both of their own are rotten (scenario 49)", async () => {
    const run = await ShardRun.start({ seed: 511 });
    const { cluster } = run;
    await run.commits(GROUP, 1, 20);
    await run.agreed(SHARD);
    const rotten = ((run.leader(SHARD) as number) % 3) + 1;
    await rotSnapshots(run, rotten);
    await cluster.restart(rotten);
    await run.agreed(SHARD);
    assert.equal(run.offset(rotten, GROUP, 20), 20);
    assert.ok(cluster.warnings.some((warning) => warning.includes("groups.snapshot_damaged")));
    cluster.close();
  });

  it("are lost alone when nobody has what their snapshots said: the broker and all other groups go on", async () => {
    const run = await ShardRun.start({ seed: 512, brokers: 1 });
    const { cluster } = run;
    const other = Array.from({ length: 100 }, (_, n) => `other-${n}`).find((name) => shardOf(name) !== SHARD) ?? assert.fail();
    await run.commit(other, 0, 5);
    await run.commits(GROUP, 1, 20);
    await cluster.until(() => (run.shard(1, SHARD)?.replica.log.start.index ?? 0) > 0, "only snapshots have the beginning");
    await rotSnapshots(run, 1);
    await cluster.restart(1);
    await run.agreed(shardOf(other));
    assert.equal(run.offset(1, other, 0), 5);
    await run.commit(other, 0, 6);
    assert.ok(cluster.warnings.some((warning) => warning.includes("groups.lost")));
    const shard = run.shard(1, SHARD) ?? assert.fail();
    assert.equal(run.decider(shard).active, false, "nobody decides on what is missing");
    cluster.close();
  });
});

/** Power goes, and every snapshot of the shard on that disk has another bit. */
async function rotSnapshots(run: ShardRun, n: number): Promise<void> {
  const { groupId, id } = run.shard(n, SHARD)?.replica ?? assert.fail();
  run.cluster.powerCut(n);
  const surgery = new Surgery(run.cluster, n);
  const paths = surgery.paths(`groups/${groupId}-${id}/`, ".snapshot");
  assert.ok(paths.length > 0, "there are snapshots");
  for (const path of paths) await surgery.rot(path, surgery.read(path).length - 20);
}
