import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultTimings } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { type GroupId, METADATA_GROUP, type ReplicaId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Short: what is told here takes several of them. */
const SESSION_MS = 2_000;
const WELL_MS = 90_000;

/**
 * Five brokers; a partition is on three of them, `home` of a fourth that is cut off from everybody while disks of those three are
 * replaced. Then all others are off, and the metadata goes on from what the fourth knows: it still places the replicas of before.
 */
class Forgotten {
  readonly cluster: Cluster;
  readonly group: GroupId;
  /** Brokers with a replica of it, its leader first. */
  readonly hosts: readonly [number, number, number];
  readonly survivor: number;
  readonly #fenced: Set<number>;

  private constructor(cluster: Cluster, group: GroupId, hosts: readonly [number, number, number], survivor: number, fenced: Set<number>) {
    this.cluster = cluster;
    this.group = group;
    this.hosts = hosts;
    this.survivor = survivor;
    this.#fenced = fenced;
  }

  static async start(seed: number): Promise<Forgotten> {
    const fenced = new Set<number>();
    const fatal = (n: number, error: Error): void => {
      assert.ok(error instanceof MillraceError && error.code === "FENCED", `broker ${n} ends: ${error.message}`);
      fenced.add(n);
      cluster.kill(n);
    };
    const timings = { ...defaultTimings, brokerSessionMs: SESSION_MS };
    const cluster: Cluster = await Cluster.start({ seed, brokers: 5, fatal, configure: (config) => ({ ...config, timings }) });
    await cluster.call(1, stubs.CreateTopic, { name: "t", partitions: 1, replicas: 3 });
    const leader = await cluster.leaderOf("t", 0);
    const group = await cluster.groupOf("t", 0);
    await cluster.call(leader, stubs.Produce, { topic: "t", records: recordSet(["a"]), acks: Acks.all });
    const others = cluster.numbers.filter((n) => n !== leader && cluster.replica(n, group) !== undefined) as [number, number];
    const survivor = cluster.numbers.find((n) => cluster.replica(n, group) === undefined) as number;
    await cluster.moveController(leader);
    const rest = cluster.numbers.filter((n) => n !== survivor).map((n) => `b${n}`);
    cluster.world.network.partition([[`b${survivor}`], [...rest, "client"]]);
    return new Forgotten(cluster, group, [leader, ...others], survivor, fenced);
  }

  idOn(n: number): ReplicaId {
    return this.cluster.replica(n, this.group)?.id as ReplicaId;
  }

  /** These brokers, one after the other, come back with an empty disk, and their new replicas vote. */
  async replaceDisks(brokers: readonly number[]): Promise<void> {
    const { cluster, group } = this;
    for (const n of brokers) {
      const before = this.idOn(n);
      cluster.kill(n);
      cluster.disk(n).replace();
      await cluster.pass(SESSION_MS + 500);
      await cluster.restart(n);
      const votes = (): boolean => {
        const leader = cluster.serving(group);
        const { voters = [], old } = cluster.replica(leader ?? 0, group)?.core.configuration ?? {};
        return this.idOn(n) !== before && old === undefined && voters.includes(this.idOn(n));
      };
      await cluster.until(() => cluster.serving(group) !== undefined && votes(), `the new replica on broker ${n} votes`);
      // And the metadata says so.
      await cluster.pass(1_000);
    }
  }

  /** Records acknowledged by a majority while `behind` is off. */
  async writeWithout(behind: number, value: string): Promise<void> {
    const { cluster } = this;
    cluster.kill(behind);
    const leader = await this.#leader();
    await cluster.call(leader, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.quorum });
  }

  async #leader(): Promise<number> {
    await this.cluster.until(() => this.cluster.serving(this.group) !== undefined, "a leader");
    return this.cluster.serving(this.group) as number;
  }

  /** The metadata goes on from the survivor, which knows nothing of the disks that were replaced. */
  async recoverMetadata(): Promise<void> {
    const { cluster, survivor } = this;
    for (const n of cluster.alive) if (n !== survivor) cluster.kill(n);
    cluster.world.network.heal();
    await cluster.pass(3_000);
    const { clusterId, digest, metadata } = await cluster.settle(cluster.broker(survivor).planRecovery());
    assert.equal(metadata?.survivor.brokerId, survivor);
    await cluster.settle(cluster.broker(survivor).applyRecovery({ clusterId, digest }));
    await cluster.until(() => cluster.serving(METADATA_GROUP) === survivor, "the metadata goes on");
  }

  /** They start again, as often as a supervisor would. */
  async backAgain(brokers: readonly number[]): Promise<void> {
    const { cluster } = this;
    for (const n of brokers) cluster.boot(n);
    const end = cluster.world.now + WELL_MS;
    while (brokers.some((n) => this.#fenced.has(n) || !cluster.alive.includes(n) || cluster.broker(n).state !== "running")) {
      assert.ok(cluster.world.now < end, `brokers ${brokers.join(", ")} are back`);
      for (const n of brokers) if (this.#fenced.delete(n)) cluster.boot(n);
      await cluster.pass(250);
    }
  }

  /** The recorded in-sync replicas, of which each is placed, are those on these brokers. */
  async inSync(brokers: readonly number[]): Promise<void> {
    const { cluster, survivor } = this;
    const end = cluster.world.now + WELL_MS;
    for (let isr: readonly number[] = []; isr.length !== brokers.length || brokers.some((n) => !isr.includes(n)); ) {
      assert.ok(cluster.world.now < end, `in sync are brokers ${isr.join()}, not ${brokers.join()}`);
      await cluster.pass(250);
      const { topics } = await cluster.call(survivor, stubs.DescribeTopics, { names: ["t"] });
      isr = topics[0]?.partitions[0]?.isrBrokerIds ?? [];
    }
  }

  async healthy(but = "nothing"): Promise<void> {
    const { cluster, survivor } = this;
    const end = cluster.world.now + WELL_MS;
    for (;;) {
      const { reasons } = await cluster.call(survivor, stubs.GetClusterHealth, {});
      if (reasons.every(({ text }) => text.includes(but))) return;
      assert.ok(cluster.world.now < end, `still unhealthy: ${reasons.map(({ text }) => text).join("; ")}`);
      await cluster.pass(250);
    }
  }

  setAside(n: number): readonly string[] {
    return this.cluster
      .disk(n)
      .tree.list("groups")
      .map(({ name }) => name)
      .filter((name) => name.startsWith(`${this.group}-`) && name.endsWith(".replaced"));
  }
}

describe("A replica that votes, where the metadata went on from a moment before it was placed (scenario 62)", () => {
  it("stays, leads if it has what others lack, and is placed again on the word of its leader, itself or another", async () => {
    const run = await Forgotten.start(101);
    const { cluster, survivor } = run;
    const [placed, first, second] = run.hosts;
    const forgotten = [first, second];
    await run.replaceDisks(forgotten);
    const ids = forgotten.map((n) => run.idOn(n));
    // Only the replicas that the metadata will not know have it.
    await run.writeWithout(placed, "b");
    await run.recoverMetadata();
    const kept = (): void => {
      assert.deepEqual(
        forgotten.map((n) => run.idOn(n)),
        ids,
      );
      assert.deepEqual(
        forgotten.flatMap((n) => run.setAside(n)),
        [],
      );
    };
    await run.backAgain([first]);
    await cluster.pass(3_000);
    assert.deepEqual([run.idOn(first), run.setAside(first)], [ids[0], []], "without a leader it stays, though another is to be made there");
    await run.backAgain([second]);
    await run.inSync(forgotten);
    kept();
    assert.deepEqual(await cluster.values("t", 0, survivor), ["a", "b"]);
    await run.backAgain([placed]);
    await run.inSync(run.hosts);
    kept();
    await cluster.call(placed, stubs.Produce, { topic: "t", records: recordSet(["c"]), acks: Acks.all });
    // A start passes through all that the metadata ever said.
    cluster.powerCut(first);
    await cluster.restart(first);
    await run.inSync(run.hosts);
    kept();
    assert.deepEqual(await cluster.values("t", 0, first), ["a", "b", "c"]);
    await run.healthy(`broker ${cluster.numbers.find((n) => n !== survivor && !run.hosts.includes(n))}`);
    cluster.close();
  });

  it("is given up for the one that is placed, when that one's disk is back and its own is gone", async () => {
    const run = await Forgotten.start(104);
    const { cluster, survivor } = run;
    const [placed, first, second] = run.hosts;
    const before = run.idOn(first);
    const volume = cluster.world.machine("spare").device;
    cluster.kill(first);
    volume.takeFrom(cluster.disk(first));
    await run.replaceDisks([first]);
    await cluster.call(placed, stubs.Produce, { topic: "t", records: recordSet(["b"]), acks: Acks.all });
    await run.recoverMetadata();
    cluster.disk(first).takeFrom(volume);
    await run.backAgain([placed, first, second]);
    await run.inSync(run.hosts);
    assert.equal(run.idOn(first), before);
    await cluster.call(placed, stubs.Produce, { topic: "t", records: recordSet(["c"]), acks: Acks.all });
    assert.deepEqual(await cluster.values("t", 0, survivor), ["a", "b", "c"]);
    const { voters = [] } = cluster.replica(first, run.group)?.core.configuration ?? {};
    assert.deepEqual([...voters].sort(), run.hosts.map((n) => run.idOn(n)).sort());
    cluster.close();
  });

  it("goes with its topic, if that is deleted before it was placed again", async () => {
    const run = await Forgotten.start(102);
    const { cluster, survivor, group } = run;
    const [placed, first, second] = run.hosts;
    await run.replaceDisks([first, second]);
    await run.recoverMetadata();
    await run.backAgain([first]);
    await cluster.pass(1_000);
    const folders = (): readonly string[] =>
      cluster
        .disk(first)
        .tree.list("groups")
        .map(({ name }) => name);
    const own = `${group}-${run.idOn(first)}`;
    assert.ok(folders().includes(own));
    await cluster.call(survivor, stubs.DeleteTopic, { name: "t" });
    await cluster.until(() => cluster.replica(first, group) === undefined, "its replica is closed");
    await cluster.pass(1_000);
    assert.ok(!folders().some((name) => name.startsWith(`${group}-`)), `left: ${folders().join()}`);
    // The one that comes back later learns of it by the same tombstone.
    await run.backAgain([second, placed]);
    await cluster.pass(1_000);
    for (const n of [second, placed]) assert.equal(cluster.replica(n, group), undefined, `broker ${n}`);
    cluster.close();
  });

  it("is what its partition goes on from when no other is left, and who voted with it is set aside for good", async () => {
    const run = await Forgotten.start(103);
    const { cluster, survivor } = run;
    const [placed, first, second] = run.hosts;
    await run.replaceDisks([first, second]);
    const kept = run.idOn(first);
    await run.writeWithout(placed, "b");
    await run.recoverMetadata();
    await run.backAgain([first]);
    await cluster.pass(3_000);
    const plan = await cluster.settle(cluster.broker(survivor).planRecovery());
    assert.deepEqual(
      plan.partitions.map((one) => [one.name, one.survivor.replicaId, one.unreachable.map(({ brokerId }) => brokerId).sort()]),
      [["t-0", kept, [placed, second].sort()]],
    );
    await cluster.settle(cluster.broker(survivor).applyRecovery(plan));
    await run.inSync([first]);
    assert.equal(run.idOn(first), kept);
    assert.deepEqual(await cluster.values("t", 0, survivor), ["a", "b"]);
    // Together they would be a majority of what they know.
    await run.backAgain([second, placed]);
    await run.inSync(run.hosts);
    assert.equal(run.idOn(first), kept);
    await cluster.call(placed, stubs.Produce, { topic: "t", records: recordSet(["c"]), acks: Acks.all });
    assert.deepEqual(await cluster.values("t", 0, first), ["a", "b", "c"]);
    cluster.close();
  });
});
