import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP, type ReplicaId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const SESSION_MS = 9_000;
const REPLACED_MS = 60_000;

/** @param but reasons that name this do not count */
async function healthy(cluster: Cluster, via: number, but = "nothing"): Promise<void> {
  const end = cluster.world.now + REPLACED_MS;
  for (;;) {
    const { reasons } = await cluster.call(via, stubs.GetClusterHealth, {});
    if (reasons.every(({ text }) => text.includes(but))) return;
    assert.ok(cluster.world.now < end, `still unhealthy: ${reasons.map(({ text }) => text).join("; ")}`);
    await cluster.pass(250);
  }
}

/** Every group is held by three replicas that agree about who votes; nobody learns any more. */
function settled(cluster: Cluster, groups: readonly GroupId[]): void {
  for (const group of groups) {
    const replicas = cluster.numbers.map((n) => cluster.replica(n, group));
    const ids = replicas.map((replica) => replica?.id).sort();
    for (const replica of replicas) {
      const { voters, old, learners } = replica?.core.configuration ?? {};
      assert.deepEqual([...(voters ?? [])].sort(), ids, `voters of group ${group}`);
      assert.deepEqual([old, learners], [undefined, []]);
    }
  }
}

const spare = (cluster: Cluster) => cluster.world.machine("spare").device;

/** A volume is not mounted: broker 3 starts on an empty directory. The volume is kept. */
async function unmounted(cluster: Cluster): Promise<void> {
  cluster.kill(3);
  spare(cluster).takeFrom(cluster.disk(3));
  await cluster.pass(SESSION_MS + 2_000);
}

/** The volume is there again, and the other directory is gone. */
async function mounted(cluster: Cluster): Promise<void> {
  cluster.kill(3);
  cluster.disk(3).takeFrom(spare(cluster));
  await cluster.pass(SESSION_MS + 2_000);
}

async function threeOf(seed: number, partitions = 2): Promise<{ readonly cluster: Cluster; readonly groups: readonly GroupId[] }> {
  const cluster = await Cluster.start({ seed });
  await cluster.createTopic("t", partitions);
  const groups: GroupId[] = [METADATA_GROUP];
  for (let n = 0; n < partitions; n += 1) {
    groups.push(await cluster.groupOf("t", n));
    await cluster.call(1, stubs.Produce, { topic: "t", partition: n, records: recordSet([`a${n}`]), acks: Acks.all });
  }
  return { cluster, groups };
}

const idsOn3 = (cluster: Cluster, groups: readonly GroupId[]): readonly (ReplicaId | undefined)[] =>
  groups.map((group) => cluster.replica(3, group)?.id);

describe("An old disk that comes back after its broker went on with another one", () => {
  it("registers, also a seed's; what it held belongs to nobody and is set aside, and it gets new replicas", async () => {
    const { cluster, groups } = await threeOf(41);
    const before = idsOn3(cluster, groups);
    await unmounted(cluster);
    await cluster.restart(3);
    await healthy(cluster, 1);
    const between = idsOn3(cluster, groups);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
    await mounted(cluster);
    await cluster.restart(3);
    await healthy(cluster, 1);
    settled(cluster, groups);
    for (const [at, id] of idsOn3(cluster, groups).entries())
      assert.ok(id !== before[at] && id !== between[at], `group ${groups[at]} has a replica with an id of its own`);
    const folders = cluster
      .disk(3)
      .tree.list("groups")
      .map(({ name }) => name);
    for (const [at, group] of groups.entries()) assert.ok(folders.includes(`${group}-${before[at]}.replaced`), folders.join());
    assert.deepEqual(await cluster.values("t", 0, 3), ["a0", "b"]);
    // It counts, and is found so by a start, which passes through all that ever was.
    cluster.kill(3);
    await cluster.restart(3);
    cluster.kill(1);
    await cluster.until(() => groups.every((group) => cluster.serving(group) !== undefined), "leaders without broker 1");
    await cluster.call(2, stubs.Produce, { topic: "t", records: recordSet(["c"]), acks: Acks.quorum });
    await cluster.restart(1);
    assert.deepEqual(await cluster.values("t", 0, 3), ["a0", "b", "c"]);
    cluster.close();
  });

  it("keeps its replicas when nothing was replaced yet: what was begun is taken back, and no healthy replica leaves the ISR for long", async () => {
    const { cluster, groups } = await threeOf(42);
    const before = idsOn3(cluster, groups);
    await unmounted(cluster);
    const data = groups.slice(1);
    // The new disk gets as far as empty replicas that learn, and no further: what it is sent in bulk or by appends stays on the way.
    cluster.boot(3);
    await cluster.until(() => data.some((group) => cluster.replica(3, group) !== undefined), "a replica on the other disk");
    await mounted(cluster);
    await cluster.restart(3);
    await healthy(cluster, 1);
    settled(cluster, groups);
    await cluster.pass(3_000);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
    assert.deepEqual(await cluster.values("t", 0, 3), ["a0", "b"]);
    const now = idsOn3(cluster, groups);
    assert.ok(
      data.some((_, at) => now[at + 1] === before[at + 1]),
      "one of them was there before",
    );
    cluster.close();
  });

  it("a seed's new disk that was away before any leader knew of its replica of the metadata registers again", async () => {
    const cluster = await Cluster.start({ seed: 43, brokers: 5 });
    for (const n of [4, 5]) cluster.kill(n);
    for (const n of [4, 5]) cluster.disk(n).replace();
    await cluster.pass(SESSION_MS + 2_000);
    for (const n of [4, 5]) cluster.boot(n);
    await cluster.until(() => [4, 5].every((n) => cluster.replica(n, METADATA_GROUP) !== undefined), "their replicas of the metadata");
    for (const n of [4, 5]) cluster.kill(n);
    await cluster.pass(SESSION_MS + 2_000);
    // One at a time is taken in: it was the turn of 4, which stays away.
    await cluster.restart(5);
    await healthy(cluster, 5, "broker 4");
    cluster.close();
  });
});
