import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../../src/protocol/public.ts";
import { Cluster, recordSet } from "../harness.ts";
import * as stubs from "../stubs.ts";
import { overhear } from "./overheard.ts";

const LINGERS_MS = 300;

/** Three brokers with one partition and some records, and what each says when it cannot go on. */
async function working(seed: number, reported: (cluster: Cluster, n: number) => void = () => {}) {
  const fatal: { n: number; error: Error }[] = [];
  const cluster: Cluster = await Cluster.start({
    seed,
    fatal: (n, error) => {
      fatal.push({ n, error });
      reported(cluster, n);
    },
  });
  await cluster.createTopic("t");
  const group = await cluster.groupOf("t", 0);
  const leader = await cluster.leaderOf("t", 0);
  const [follower = 0, other = 0] = cluster.numbers.filter((n) => n !== leader);
  await cluster.moveController(other);
  const produce = (via: number, value: string, acks: (typeof Acks)["all" | "quorum" | "leader"], timeoutMs?: number) =>
    cluster.ask(via, stubs.Produce, { topic: "t", records: recordSet([value]), acks }, timeoutMs === undefined ? {} : { timeoutMs });
  await cluster.settle(produce(leader, "before", Acks.all));
  return { cluster, group, leader, follower, other, produce, fatal };
}

/** It reported once, by the name of what failed. */
function assertReported(cluster: Cluster, fatal: readonly { n: number; error: Error }[], n: number, what: RegExp): void {
  assert.deepEqual(
    fatal.map((one) => one.n),
    [n],
  );
  assert.match(fatal[0]?.error.message ?? "", what);
  const said = cluster.errors.splice(0);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? "", new RegExp(`^broker ${n}: log.write_failed .*EIO`));
}

// FS3 and FS4: what failed is partly in the page cache, whose pages count as clean; the power of all goes later (FS2).
describe("A whole broker whose disk fails", () => {
  it("scenario 43: a leader whose write fails stops and says so, acknowledges nothing any more, and another one leads", async () => {
    const { cluster, group, leader, follower, produce, fatal } = await working(1);
    cluster.disk(leader).failNext("write", "EIO");
    // All of them are asked of the leader, the last ones after it has failed.
    const open = (["all", "leader"] as const).map((level) => produce(leader, `open ${level}`, Acks[level], 5_000));
    await cluster.until(() => fatal.length > 0, "the broker reports");
    open.push(...(["all", "leader"] as const).map((level) => produce(leader, `late ${level}`, Acks[level], 5_000)));
    // Even if its process took its time to end.
    let answered = 0;
    for (const call of open)
      call.then(
        () => answered++,
        () => {},
      );
    const term = cluster.replica(leader, group)?.core.term ?? 0;
    await cluster.pass(LINGERS_MS);
    cluster.kill(leader);
    await Promise.all(open.map((call) => assert.rejects(cluster.settle(call))));
    assert.equal(answered, 0);
    assertReported(cluster, fatal, leader, /EIO.*wal\/|wal\/.*EIO/);

    await cluster.until(() => cluster.serving(group) !== undefined, "another one leads");
    await cluster.settle(produce(follower, "after", Acks.all, 15_000));
    assert.ok((cluster.replica(follower, group)?.core.term ?? 0) > term);
    const read = await cluster.values("t");
    assert.equal(new Set(read).size, read.length, "what was open is there once, or not at all");
    assert.ok(read.includes("before") && read.includes("after"));

    // With a disk that works it takes part again, and what it finds is not durable because it can be read.
    await cluster.restart(leader);
    await cluster.settle(produce(follower, "again", Acks.all));
    for (const n of cluster.numbers) cluster.powerCut(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    for (const n of cluster.numbers) assert.deepEqual(await cluster.values("t", 0, n), [...read, "again"]);
    cluster.close();
  });

  it("scenario 43: a follower whose write fails stops and says so, claims nothing any more, and the others go on", async () => {
    const { cluster, group, leader, follower, other, produce, fatal } = await working(2);
    const durable = cluster.replica(follower, group)?.core.durable ?? 0;
    const overheard = overhear(cluster, group);
    cluster.disk(follower).failNext("write", "EIO");
    const all = produce(leader, "all", Acks.all);
    const { durableBrokerIds } = await cluster.settle(produce(leader, "quorum", Acks.quorum));
    assert.ok(!durableBrokerIds.includes(follower));
    await cluster.until(() => fatal.length > 0, "the broker reports");
    await cluster.pass(LINGERS_MS);
    const claims = overheard.flatMap(({ from, message }) => (from === follower && "durable" in message ? [message.durable] : []));
    assert.ok(claims.length > 0 && claims.every((claim) => claim <= durable), "it claims what it had before");
    cluster.kill(follower);
    assertReported(cluster, fatal, follower, /EIO.*wal\/|wal\/.*EIO/);
    // The in-sync replicas shrink by the dead one: what waited for it is acknowledged.
    assert.deepEqual([...(await cluster.settle(all)).durableBrokerIds].sort(), [leader, other].sort());
    assert.equal(cluster.serving(group), leader);
    await cluster.restart(follower);
    await cluster.until(
      () => cluster.replica(follower, group)?.core.commit === cluster.replica(leader, group)?.core.commit,
      "it caught up",
    );
    assert.deepEqual(await cluster.values("t", 0, follower), ["before", "all", "quorum"]);
    cluster.close();
  });

  it("scenario 43: a segment whose sync fails ends its broker too, and nothing acknowledged is lost by it", async () => {
    const { cluster, follower, leader, produce, fatal } = await working(3, (failed, n) => failed.kill(n));
    const values: string[] = [];
    cluster.disk(follower).failNext("sync", "EIO", "groups/");
    for (let n = 0; fatal.length === 0 && n < 60; n++) {
      const value = `${n} `.padEnd(1_000_000, "x");
      await cluster.settle(produce(leader, value, Acks.all));
      values.push(value);
    }
    assertReported(cluster, fatal, follower, /EIO.*groups\/|groups\/.*EIO/);
    await cluster.settle(produce(leader, "after", Acks.all, 15_000));
    await cluster.restart(follower);
    await cluster.until(() => cluster.alive.length === 3, "all run");
    assert.deepEqual(await cluster.values("t", 0, follower), ["before", ...values, "after"]);
    cluster.close();
  });
});
