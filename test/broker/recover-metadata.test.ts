import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Topics a controller writes that nobody hears any more: more entries than its successor commits in their place. */
const UNHEARD = 40;

/**
 * Broker 1 controlled, and its log ends with entries that nobody else has. Its successor committed others in their place, which broker 1
 * has read from the third one. Then both are lost.
 */
async function readWhatItLacks(): Promise<Cluster> {
  const cluster = await Cluster.start({ seed: 91 });
  await cluster.moveController(1);
  cut(cluster, [
    ["b1", "b2"],
    ["b1", "b3"],
  ]);
  for (let i = 0; i < UNHEARD; i++) {
    cluster.ask(1, stubs.CreateTopic, { name: `unheard-${i}`, partitions: 1 }, { timeoutMs: 2_000 }).catch(() => {});
    await cluster.pass(5);
  }
  const end = cluster.replica(1, METADATA_GROUP)?.core.lastIndex ?? 0;
  const succeeds = (): number => [2, 3].find((n) => cluster.replica(n, METADATA_GROUP)?.serves === true) ?? 0;
  await cluster.until(() => succeeds() > 0, "a successor");
  await cluster.pass(500);
  const successor = succeeds();
  assert.ok((cluster.replica(successor, METADATA_GROUP)?.core.commit ?? 0) < end, "the tail of broker 1 is longer");
  cluster.world.network.heal();
  cut(cluster, [["b1", `b${successor}`]]);
  await cluster.pass(8_000);
  const core = cluster.replica(1, METADATA_GROUP)?.core;
  assert.equal(core?.lastIndex, end, "no leader has cut its tail");
  cluster.kill(2);
  cluster.kill(3);
  await cluster.pass(3_000);
  return cluster;
}

function cut(cluster: Cluster, pairs: readonly (readonly [string, string])[]): void {
  const { network } = cluster.world;
  for (const [a, b] of pairs) {
    network.link(a, b).cut();
    network.link(b, a).cut();
  }
}

describe("Recovery of the metadata on a broker that has read what its own log lacks (scenario 62)", () => {
  it("is refused also when its log is as long: what it has read and what would go on are two histories", async () => {
    const cluster = await readWhatItLacks();
    const { clusterId, digest } = await cluster.settle(cluster.broker(1).planRecovery());
    const refusal = await cluster.settle(cluster.broker(1).applyRecovery({ clusterId, digest })).catch((error: unknown) => error);
    assert.ok(refusal instanceof MillraceError && refusal.code === "RECOVERY_REFUSED", JSON.stringify(refusal));
    assert.equal(refusal.metadata["why"], "not_ready");
    // Started again, it knows nothing but its own log.
    cluster.kill(1);
    cluster.boot(1);
    await cluster.pass(3_000);
    const again = await cluster.settle(cluster.broker(1).planRecovery());
    await cluster.settle(cluster.broker(1).applyRecovery({ clusterId: again.clusterId, digest: again.digest }));
    await cluster.until(() => cluster.serving(METADATA_GROUP) === 1, "the metadata goes on");
    cluster.close();
  });
});

describe("A topic that only the lost majority of the metadata knew (scenario 62)", () => {
  it("is named by the plan with every copy that is left of it, before the metadata is recovered and after", async () => {
    const fenced = new Set<number>();
    const fatal = (n: number, error: Error): void => {
      assert.ok(error instanceof MillraceError && error.code === "FENCED", `broker ${n} ends: ${error.message}`);
      fenced.add(n);
      cluster.kill(n);
    };
    const cluster: Cluster = await Cluster.start({ seed: 92, fatal });
    await cluster.createTopic("kept");
    await cluster.moveController(1);
    cluster.world.network.partition([["b1", "b2"], ["b3"]]);
    await cluster.pass(15_000);
    const made = await cluster.call(1, stubs.CreateTopic, { name: "late", partitions: 1, replicas: 2 });
    const topicId = made.topic?.topicId ?? "";
    const group = await cluster.groupOf("late", 0, 1);
    await cluster.until(() => cluster.serving(group) !== undefined, "a leader");
    const records = recordSet(["a", "b", "c"]);
    await cluster.call(cluster.serving(group) as number, stubs.Produce, { topic: "late", records, acks: Acks.all });
    await cluster.pass(1_000);
    const planned = async () => (await cluster.settle(cluster.broker(3).planRecovery())).unknown;
    const said = (found: Awaited<ReturnType<typeof planned>>) =>
      found.map(({ groupId, copies, ...about }) => [
        groupId,
        about,
        copies.map(({ brokerId, endOffset }) => [brokerId, endOffset]).sort(([a = 0], [b = 0]) => a - b),
      ]);
    const about = { topicId, topic: "late", partition: 0, remade: false };
    assert.deepEqual(said(await planned()), [], "it cannot reach anybody who has it");
    for (const n of [1, 2]) cluster.kill(n);
    cluster.world.network.heal();
    await cluster.pass(3_000);
    const { clusterId, digest, metadata } = await cluster.settle(cluster.broker(3).planRecovery());
    assert.equal(metadata?.survivor.brokerId, 3);
    await cluster.settle(cluster.broker(3).applyRecovery({ clusterId, digest }));
    await cluster.until(() => cluster.serving(METADATA_GROUP) === 3, "the metadata goes on");
    for (const n of [1, 2]) cluster.boot(n);
    const back = (n: number): boolean => cluster.alive.includes(n) && cluster.broker(n).state === "running";
    for (const end = cluster.world.now + 60_000; ![1, 2].every(back); ) {
      assert.ok(cluster.world.now < end, "they are back");
      for (const n of [1, 2]) if (fenced.delete(n)) cluster.boot(n);
      await cluster.pass(250);
    }
    await cluster.pass(3_000);
    const copies = [
      [1, 3],
      [2, 3],
    ];
    assert.deepEqual(said(await planned()), [[group, about, copies]]);
    await cluster.call(3, stubs.CreateTopic, { name: "late", partitions: 1 });
    assert.deepEqual(said(await planned()), [[group, { ...about, remade: true }, copies]]);
    // Until the topic that was just made has a leader, a plan looks different from one moment to the next.
    await cluster.pass(2_000);
    const refusal = await cluster
      .settle(cluster.broker(3).applyRecovery(await cluster.settle(cluster.broker(3).planRecovery())))
      .catch((e) => e);
    assert.ok(refusal instanceof MillraceError && refusal.metadata["why"] === "not_needed", "there is nothing to apply");
    cluster.close();
  });
});
