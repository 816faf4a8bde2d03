import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId } from "../../src/base/ids.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../src/log/model/block.ts";
import { Acks } from "../../src/protocol/public.ts";
import type { FileNode } from "../../src/testing/sim/disk/file-node.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

function fileOf(cluster: Cluster, n: number, path: string): FileNode {
  const found = cluster
    .disk(n)
    .files()
    .find((each) => each.path === path);
  assert.ok(found !== undefined, path);
  return found.file;
}

function metaOf(
  cluster: Cluster,
  n: number,
): { readonly incarnation: string; readonly forgot?: boolean; readonly firstNew?: number; readonly admittedBlockSequence?: number } {
  const file = fileOf(cluster, n, "meta.json");
  const bytes = new Uint8Array(file.size);
  file.read(0, bytes);
  return JSON.parse(new TextDecoder().decode(bytes)) as ReturnType<typeof metaOf>;
}

/** Blocks of the first ring file, in order: position and length. */
function blocks(cluster: Cluster, n: number): { readonly at: number; readonly bytes: number }[] {
  const file = fileOf(cluster, n, "wal/00");
  const bytes = new Uint8Array(file.size);
  file.read(0, bytes);
  const incarnation = incarnationBytes(metaOf(cluster, n).incarnation as Parameters<typeof incarnationBytes>[0]);
  const found: { at: number; bytes: number }[] = [];
  for (let at = 0; ; ) {
    const header = readBlockHeader(bytes, at, incarnation);
    if (header === undefined) return found;
    found.push({ at, bytes: header.bytes });
    at += padded(header.bytes);
  }
}

/** The records that opened the groups are gone: the disk of broker 3 does not know any more which replicas it had. */
async function forgetful(seed: number, partitions = 1): Promise<{ readonly cluster: Cluster; readonly group: GroupId }> {
  const cluster = await Cluster.start({ seed });
  await cluster.createTopic("t", partitions);
  const group = await cluster.groupOf("t", 0);
  await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]), acks: Acks.all });
  cluster.powerCut(3);
  const all = blocks(cluster, 3);
  for (const block of all.slice(0, -1)) fileOf(cluster, 3, "wal/00").flipBit(block.at + Math.floor(block.bytes / 2), 3);
  return { cluster, group };
}

function expectDamage(cluster: Cluster): void {
  assert.match(cluster.errors.splice(0).join(), /log\.wal_found_damaged/);
}

/** A topic of partitions with one replica each, of which one is on broker 3. @returns that one */
async function onlyOn3(cluster: Cluster): Promise<GroupId> {
  await cluster.call(1, stubs.CreateTopic, { name: "lonely", partitions: cluster.numbers.length, replicas: 1 });
  await cluster.pass(2_000);
  for (const partition of cluster.numbers.keys()) {
    const group = await cluster.groupOf("lonely", partition);
    if (cluster.replica(3, group) !== undefined) return group;
  }
  return assert.fail("no partition on broker 3");
}

const doubted = (cluster: Cluster, n: number, group: GroupId): boolean | undefined => cluster.replica(n, group)?.log.doubted;

describe("A disk whose damaged log does not know which replicas it had", () => {
  it("doubts also a replica that found no room at first, and takes that back only when all were made", async () => {
    const { cluster, group } = await forgetful(31);
    for (let i = 0; i < 100; i += 1) cluster.disk(3).failNext("makeDirectory", "ENOSPC", `groups/${group}-`);
    cluster.boot(3);
    await cluster.settle(cluster.started(3));
    await cluster.pass(500);
    assert.equal(cluster.replica(3, group), undefined);
    assert.equal(metaOf(cluster, 3).forgot, true);
    cluster.disk(3).forgetFailures();
    await cluster.until(() => cluster.replica(3, group) !== undefined, "the replica is made");
    assert.equal(doubted(cluster, 3, group), true);
    await cluster.until(() => metaOf(cluster, 3).forgot === undefined, "it knows all it had");
    await cluster.until(() => doubted(cluster, 3, group) === false, "the others vouched for it");
    // Who comes now is new.
    await cluster.createTopic("later");
    assert.equal(doubted(cluster, 3, await cluster.groupOf("later", 0)), false);
    expectDamage(cluster);
    cluster.close();
  });

  it("takes a partition whose ids were given out later for new, while a replica that it may have had is not there yet", async () => {
    const { cluster, group } = await forgetful(35);
    for (let i = 0; i < 100; i += 1) cluster.disk(3).failNext("makeDirectory", "ENOSPC", `groups/${group}-`);
    cluster.boot(3);
    await cluster.settle(cluster.started(3));
    const lonely = await onlyOn3(cluster);
    assert.equal(metaOf(cluster, 3).forgot, true);
    assert.equal(doubted(cluster, 3, lonely), false);
    // Nobody could end its quarantine, so it must not begin with the next start either.
    cluster.kill(3);
    await cluster.restart(3);
    assert.deepEqual([metaOf(cluster, 3).forgot, doubted(cluster, 3, lonely)], [true, false]);
    await cluster.until(() => cluster.serving(lonely) === 3, "it leads");
    cluster.disk(3).forgetFailures();
    await cluster.until(() => cluster.replica(3, group) !== undefined, "the replica is made");
    assert.equal(doubted(cluster, 3, group), true);
    await cluster.until(() => metaOf(cluster, 3).forgot === undefined, "it knows all it had");
    expectDamage(cluster);
    cluster.close();
  });

  it("takes a partition with one replica for new that was placed while it was down, though it is made before this start registers", async () => {
    const { cluster, group } = await forgetful(37);
    for (let i = 0; i < 100; i += 1) cluster.disk(3).failNext("makeDirectory", "ENOSPC", `groups/${group}-`);
    cluster.boot(3);
    await cluster.settle(cluster.started(3));
    await cluster.until(() => metaOf(cluster, 3).firstNew !== undefined, "the disk says who is new");
    cluster.kill(3);
    // Its session lasts: there is still something to be placed on it.
    const { topic } = await cluster.call(1, stubs.CreateTopic, { name: "lonely", partitions: 3, replicas: 1 });
    const placed = topic?.partitions.find(({ replicas }) => replicas[0]?.brokerId === 3);
    const lonely = (placed?.groupId ?? assert.fail("no partition on broker 3")) as GroupId;
    await cluster.restart(3);
    await cluster.until(() => cluster.replica(3, lonely) !== undefined, "it is made");
    assert.deepEqual([metaOf(cluster, 3).forgot, doubted(cluster, 3, lonely)], [true, false]);
    await cluster.until(() => cluster.serving(lonely) === 3, "it leads");
    cluster.disk(3).forgetFailures();
    await cluster.until(() => cluster.replica(3, group) !== undefined, "the replica is made");
    assert.equal(doubted(cluster, 3, group), true, "what others vouch for is doubted as before");
    expectDamage(cluster);
    cluster.close();
  });

  it("says who is new as soon as there is room, when there was none as it registered", async () => {
    const { cluster, group } = await forgetful(38);
    for (let i = 0; i < 100; i += 1) cluster.disk(3).failNext("makeDirectory", "ENOSPC", `groups/${group}-`);
    cluster.boot(3);
    await cluster.until(() => metaOf(cluster, 3).forgot === true, "it has read its log");
    for (let i = 0; i < 3; i += 1) cluster.disk(3).failNext("write", "ENOSPC", "meta.json");
    await cluster.settle(cluster.started(3));
    await cluster.pass(500);
    assert.equal(metaOf(cluster, 3).firstNew, undefined);
    const lonely = await onlyOn3(cluster);
    assert.equal(doubted(cluster, 3, lonely), false);
    await cluster.until(() => metaOf(cluster, 3).firstNew !== undefined, "there is room again");
    assert.equal(metaOf(cluster, 3).forgot, true);
    cluster.kill(3);
    await cluster.restart(3);
    assert.equal(doubted(cluster, 3, lonely), false);
    expectDamage(cluster);
    cluster.close();
  });

  it("goes on doubting when it is stopped while it makes them, or before it could register", async () => {
    const { cluster, group } = await forgetful(32, 2);
    const other = await cluster.groupOf("t", 1);
    let stopped: Promise<void> | undefined;
    cluster.disk(3).watch = (kind, path) => {
      if (kind !== "makeDirectory" || stopped !== undefined || !/^groups\/\d{3,}-/.test(path)) return;
      cluster.disk(3).slowness = 1_000;
      stopped = cluster.broker(3).stop();
    };
    cluster.boot(3);
    await cluster.until(() => stopped !== undefined, "it begins to make a replica");
    cluster.disk(3).watch = undefined;
    await cluster.settle(stopped as Promise<void>);
    cluster.disk(3).slowness = 1;
    // What was under way goes on for as long as the process is there.
    await cluster.pass(1_000);
    assert.equal(metaOf(cluster, 3).forgot, true);
    for (const n of [1, 2, 3]) cluster.kill(n);
    cluster.boot(3);
    await cluster.pass(1_000);
    await cluster.settle(cluster.broker(3).stop());
    await cluster.pass(6_000);
    assert.equal(metaOf(cluster, 3).forgot, true);
    for (const n of [1, 2]) cluster.boot(n);
    cluster.boot(3);
    for (const each of [group, other]) {
      await cluster.until(() => cluster.replica(3, each) !== undefined, "the replica is there");
      assert.equal(doubted(cluster, 3, each), true);
    }
    const well = (): boolean => [group, other].every((each) => doubted(cluster, 3, each) === false);
    await cluster.until(() => well() && metaOf(cluster, 3).forgot === undefined, "all is known again");
    expectDamage(cluster);
    cluster.close();
  });
});

describe("A disk that is an older copy of itself, and does not know it (scenario 70)", () => {
  /** Broker 3 runs on a copy of its disk from before "b" was written: it has forgotten that record, and perhaps votes. */
  const restored = async (seed: number): Promise<{ readonly cluster: Cluster; readonly group: GroupId }> => {
    const cluster = await Cluster.start({ seed });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const group = await cluster.groupOf("t", 0);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]), acks: Acks.all });
    await cluster.pass(500);
    const copy = cluster.disk(3).backUp();
    await cluster.createTopic("later");
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
    // The others hear with their probes how far the disk is.
    await cluster.pass(3_000);
    cluster.kill(3);
    cluster.disk(3).restore(copy);
    return { cluster, group };
  };

  it("is told by a peer at the handshake: all its replicas are quarantined, durably, and get well again", async () => {
    const { cluster, group } = await restored(33);
    const later = await cluster.groupOf("later", 0);
    cluster.boot(3);
    await cluster.until(() => doubted(cluster, 3, group) === true, "it is doubted");
    await cluster.until(() => metaOf(cluster, 3).admittedBlockSequence !== undefined, "that is on its disk");
    // Also what the copy knows nothing of: it was here, and voted.
    await cluster.until(() => cluster.replica(3, later) !== undefined, "it makes what it does not know");
    assert.equal(doubted(cluster, 3, later), true);
    // Before anybody vouched for it, a start finds it so; what a peer remembers is held against it once.
    cluster.powerCut(3);
    cluster.boot(3);
    await cluster.until(() => cluster.replica(3, group) !== undefined, "it is open");
    assert.equal(doubted(cluster, 3, group), true);
    await cluster.until(() => doubted(cluster, 3, group) === false && doubted(cluster, 3, later) === false, "the others vouched");
    await cluster.until(() => metaOf(cluster, 3).forgot === undefined, "who comes later is new");
    await cluster.until(
      () => (cluster.replica(3, group)?.core.commit ?? 0) >= (cluster.replica(1, group)?.core.commit ?? 1),
      "it caught up",
    );
    // That the others vouched is written with the next block.
    await cluster.pass(100);
    cluster.kill(3);
    await cluster.restart(3);
    assert.equal(doubted(cluster, 3, group), false);
    assert.deepEqual(await cluster.values("t", 0, 3), ["a", "b"]);
    cluster.close();
  });

  it("is told when it has made new replicas already: those are not doubted", async () => {
    const cluster = await Cluster.start({ seed: 36, brokers: 5 });
    await cluster.call(1, stubs.CreateTopic, { name: "t", partitions: 1, replicas: 5 });
    const group = await cluster.groupOf("t", 0);
    await cluster.pass(500);
    const copy = cluster.disk(3).backUp();
    for (let i = 0; i < 20; i += 1) await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet([`${i}`]), acks: Acks.all });
    await cluster.pass(3_000);
    // Only broker 5 still knows how far the disk was, and is not connected to it.
    cluster.kill(3);
    cluster.disk(3).restore(copy);
    for (const n of [1, 2, 4]) {
      cluster.kill(n);
      await cluster.restart(n);
    }
    for (const [from, to] of [
      ["b3", "b5"],
      ["b5", "b3"],
    ] as const)
      cluster.world.network.link(from, to).cut();
    await cluster.restart(3);
    const lonely = await onlyOn3(cluster);
    assert.deepEqual([doubted(cluster, 3, group), doubted(cluster, 3, lonely)], [false, false]);
    cluster.world.network.heal();
    await cluster.until(() => doubted(cluster, 3, group) === true, "it is told");
    assert.equal(doubted(cluster, 3, lonely), false);
    assert.equal(cluster.serving(lonely), 3);
    await cluster.until(() => doubted(cluster, 3, group) === false && metaOf(cluster, 3).forgot === undefined, "the others vouched");
    assert.equal(cluster.serving(lonely), 3);
    cluster.close();
  });

  it("does not elect what it forgot away: what it and a dead leader alone had acknowledged is still there", async () => {
    const cluster = await Cluster.start({ seed: 34 });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const group = await cluster.groupOf("t", 0);
    await cluster.pass(500);
    const copy = cluster.disk(3).backUp();
    const { network } = cluster.world;
    network.partition([["b1"], ["b2"]]);
    const { durableBrokerIds } = await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["on two"]), acks: Acks.quorum });
    assert.deepEqual([...durableBrokerIds].sort(), [1, 3]);
    await cluster.pass(2_000);
    cluster.kill(1);
    cluster.kill(3);
    cluster.disk(3).restore(copy);
    network.heal();
    cluster.boot(3);
    await cluster.pass(20_000);
    assert.equal(cluster.serving(group), undefined);
    await cluster.restart(1);
    assert.deepEqual(await cluster.values("t", 0, 2), ["on two"]);
    cluster.close();
  });
});
