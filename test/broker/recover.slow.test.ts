import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import type { RecoveryOutcome } from "../../src/broker/recovery/recovery.ts";
import type { RecoveryPlan } from "../../src/cluster/recovery-plan.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, type ClusterOptions, recordSet } from "./harness.ts";
import { Puppet } from "./scenarios/puppet.ts";
import * as stubs from "./stubs.ts";

const SESSION_MS = 9_000;
/** Virtual time in which the replicas of recovered groups are three again. */
const WELL_MS = 90_000;

/** Brokers that ended because their disk was fenced. */
const fenced = new Set<number>();

function start(options: ClusterOptions = {}): Promise<Cluster> {
  fenced.clear();
  let cluster: Cluster;
  const fatal = (n: number, error: Error): void => {
    assert.ok(error instanceof MillraceError && error.code === "FENCED", `broker ${n} ends: ${error.message}`);
    fenced.add(n);
    cluster.kill(n);
  };
  return Cluster.start({ fatal, ...options }).then((started) => {
    cluster = started;
    return started;
  });
}

const plan = (cluster: Cluster, n: number): Promise<RecoveryPlan> => cluster.settle(cluster.broker(n).planRecovery());

const apply = (cluster: Cluster, n: number, { clusterId, digest }: RecoveryPlan): Promise<RecoveryOutcome> =>
  cluster.settle(cluster.broker(n).applyRecovery({ clusterId, digest }));

/** The call is refused, and this is why. */
async function refusedFor(why: string, call: Promise<unknown>): Promise<MillraceError> {
  const error = await call.then(
    () => assert.fail("it was not refused"),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof MillraceError, String(error));
  assert.equal(error.code, "RECOVERY_REFUSED", error.message);
  assert.equal(error.metadata["why"], why, error.message);
  return error;
}

async function healthy(cluster: Cluster, via: number): Promise<void> {
  const end = cluster.world.now + WELL_MS;
  for (;;) {
    const health = await cluster.call(via, stubs.GetClusterHealth, {}).catch((error: unknown) => error as Error);
    if (!(health instanceof Error) && health.healthy) return;
    const reasons = health instanceof Error ? health.message : health.reasons.map(({ text }) => text).join("; ");
    assert.ok(cluster.world.now < end, `still unhealthy: ${reasons}`);
    await cluster.pass(250);
  }
}

const write = async (cluster: Cluster, n: number, value: string, acks: Acks = Acks.all): Promise<void> => {
  await cluster.call(n, stubs.Produce, { topic: "t", records: recordSet([value]), acks });
};

/** Broker 3 alone is left of three; what was acknowledged at ALL before is on its disk. */
async function alone(cluster: Cluster): Promise<readonly string[]> {
  await cluster.createTopic("t", 1);
  const written = ["a", "b", "c"];
  for (const value of written) await write(cluster, 1, value);
  cluster.kill(1);
  cluster.kill(2);
  await cluster.pass(3_000);
  return written;
}

describe("Recovery after a lost majority (scenario 62)", () => {
  it("goes on from the survivor with all it had, and new disks make three of one again", async () => {
    const cluster = await start({ seed: 62 });
    const written = await alone(cluster);
    const found = await plan(cluster, 3);
    assert.deepEqual(found.unreachable, [1, 2]);
    assert.equal(found.metadata?.survivor.brokerId, 3);
    assert.deepEqual(
      found.partitions.map(({ name, survivor }) => [name, survivor.brokerId, survivor.inSync]),
      [["t-0", 3, true]],
    );
    const outcome = await apply(cluster, 3, found);
    assert.deepEqual({ ...outcome, recoveryEpoch: 0 }, { recoveryEpoch: 0, metadata: true, partitions: ["t-0"], changed: [] });
    assert.ok(outcome.recoveryEpoch > 0);
    await cluster.until(() => cluster.serving(METADATA_GROUP) === 3, "the metadata goes on");
    assert.deepEqual(await cluster.values("t", 0, 3), written);
    await write(cluster, 3, "alone", Acks.quorum);
    for (const n of [1, 2]) cluster.disk(n).replace();
    await cluster.pass(SESSION_MS + 2_000);
    for (const n of [1, 2]) await cluster.restart(n);
    await healthy(cluster, 3);
    const group = await cluster.groupOf("t", 0);
    for (const id of [METADATA_GROUP, group])
      for (const n of [1, 2, 3]) assert.equal(cluster.replica(n, id)?.core.configuration.voters.length, 3, `group ${id} on broker ${n}`);
    await write(cluster, 1, "together");
    assert.deepEqual(await cluster.values("t", 0, 2), [...written, "alone", "together"]);
    // They count: without the survivor everything goes on.
    cluster.kill(3);
    await cluster.until(
      () => [METADATA_GROUP, group].every((id: GroupId) => cluster.serving(id) !== undefined),
      "leaders without broker 3",
    );
    await write(cluster, 1, "later", Acks.quorum);
    cluster.close();
  });

  for (const order of [
    [1, 2],
    [2, 1],
  ] as const)
    it(`fences the old majority when it returns, broker ${order[0]} first, and gives it new replicas`, async () => {
      const cluster = await start({ seed: 60 + order[0] });
      const written = await alone(cluster);
      const group = await groupOnDisk(cluster, 3);
      const old = new Map([METADATA_GROUP, group].flatMap((id) => [1, 2].map((n) => [`${id} ${n}`, cluster.replica(n, id)?.id])));
      await apply(cluster, 3, await plan(cluster, 3));
      await cluster.until(() => cluster.serving(group) === 3, "the partition goes on");
      await write(cluster, 3, "alone", Acks.quorum);
      for (const n of order) {
        cluster.boot(n);
        await cluster.pass(3_000);
      }
      await returned(cluster, order);
      await healthy(cluster, 3);
      for (const id of [METADATA_GROUP, group])
        for (const n of [1, 2])
          assert.notEqual(cluster.replica(n, id)?.id, old.get(`${id} ${n}`), `group ${id} on broker ${n} has a new replica`);
      await write(cluster, 1, "together");
      assert.deepEqual(await cluster.values("t", 0, 2), [...written, "alone", "together"]);
      cluster.close();
    });

  it("fences an old majority that was only cut off, as soon as it meets the survivor", async () => {
    const cluster = await start({ seed: 63 });
    await cluster.createTopic("t", 1);
    const group = await cluster.groupOf("t", 0);
    await write(cluster, 1, "a");
    cluster.world.network.partition([
      ["b1", "b2"],
      ["b3", "client"],
    ]);
    await cluster.pass(8_000);
    const found = await plan(cluster, 3);
    assert.ok(
      found.notProved.some((text) => /broker(s)? .*will not come back/.test(text)),
      found.notProved.join("\n"),
    );
    await apply(cluster, 3, found);
    await cluster.until(() => cluster.serving(group) === 3, "the partition goes on");
    await write(cluster, 3, "b", Acks.quorum);
    assert.ok(
      [1, 2].some((n) => cluster.replica(n, group)?.serves === true),
      "nobody could tell the others",
    );
    cluster.world.network.heal();
    await cluster.until(() => fenced.size === 2, "both are told");
    await returned(cluster, [1, 2]);
    await healthy(cluster, 3);
    assert.deepEqual(await cluster.values("t", 0, 1), ["a", "b"]);
    cluster.close();
  });

  it("is one of two that know nothing of each other, and the later one alone goes on when they meet", async () => {
    const cluster = await start({ seed: 66 });
    await cluster.createTopic("t", 1);
    await write(cluster, 1, "a");
    for (const n of [1, 2, 3]) cluster.kill(n);
    const epochs = new Map<number, number>();
    for (const n of [1, 2]) {
      cluster.boot(n);
      await cluster.pass(3_000);
      epochs.set(n, (await apply(cluster, n, await plan(cluster, n))).recoveryEpoch);
      await cluster.settle(cluster.started(n));
      await cluster.call(n, stubs.CreateTopic, { name: `of-${n}`, partitions: 1, replicas: 1 });
      cluster.kill(n);
    }
    const [late, early] = (epochs.get(1) as number) > (epochs.get(2) as number) ? [1, 2] : [2, 1];
    for (const n of [1, 2, 3]) cluster.boot(n);
    await cluster.until(() => fenced.has(early), `broker ${early} is told`);
    await returned(cluster, [early, 3]);
    await healthy(cluster, late);
    assert.equal(fenced.has(late), false);
    const voters = cluster.numbers.map((n) => cluster.replica(n, METADATA_GROUP)?.core.configuration.voters.length);
    assert.deepEqual(voters, [3, 3, 3]);
    await write(cluster, late, "b");
    assert.deepEqual(await cluster.values("t", 0, early), ["a", "b"]);
    // Who ends between setting its replica of the metadata aside and saying so finds it without its files at the next start.
    for (const said of cluster.errors.splice(0)) assert.match(said, /log\.hole_found .*"path":"groups\/1-.*the file is missing/);
    cluster.close();
  });

  it("changes nothing while the majority lives, for another cluster, by a stale plan, or when it is said twice", async () => {
    const cluster = await start({ seed: 64 });
    await cluster.createTopic("t", 1);
    await write(cluster, 1, "a");
    const whole = await plan(cluster, 3);
    assert.deepEqual([whole.metadata, whole.partitions, whole.gone], [undefined, [], []]);
    await refusedFor("not_needed", apply(cluster, 3, whole));
    cluster.kill(1);
    await cluster.pass(3_000);
    await refusedFor("not_needed", apply(cluster, 3, await plan(cluster, 3)));
    await write(cluster, 2, "b", Acks.quorum);
    cluster.kill(2);
    await cluster.pass(3_000);
    const lost = await plan(cluster, 3);
    await refusedFor("wrong_cluster", apply(cluster, 3, { ...lost, clusterId: "another" }));
    await refusedFor("stale_plan", apply(cluster, 3, whole));
    // One of them was not lost at all: the plan is one of before.
    await cluster.restart(1);
    await refusedFor("not_needed", apply(cluster, 3, lost));
    await write(cluster, 1, "c", Acks.quorum);
    cluster.kill(1);
    await cluster.pass(3_000);
    await refusedFor("stale_plan", apply(cluster, 3, lost));
    const now = await plan(cluster, 3);
    await apply(cluster, 3, now);
    await cluster.until(() => cluster.serving(METADATA_GROUP) === 3, "the metadata goes on");
    await cluster.pass(2_000);
    await refusedFor("not_needed", apply(cluster, 3, now));
    assert.deepEqual(await cluster.values("t", 0, 3), ["a", "b", "c"]);
    cluster.close();
  });

  it("is refused by whoever does not hold the best survivor of the metadata, and leaves a partition without any to its owner", async () => {
    const cluster = await start({ seed: 65, brokers: 5 });
    await cluster.call(1, stubs.CreateTopic, { name: "single", partitions: 5, replicas: 1 });
    await cluster.pass(2_000);
    for (const n of [1, 2, 3]) cluster.kill(n);
    await cluster.pass(3_000);
    const found = await plan(cluster, 5);
    const best = found.metadata?.survivor.brokerId as number;
    const other = best === 4 ? 5 : 4;
    assert.equal(found.gone.length, 3, "those on the brokers that are gone");
    assert.deepEqual(found.partitions, [], "those on the brokers that are there have all they need");
    await refusedFor("wrong_broker", apply(cluster, other, await plan(cluster, other)));
    await apply(cluster, best, await plan(cluster, best));
    // The other survivor's replica of the metadata is given up too.
    await returned(cluster, [other]);
    await cluster.until(() => cluster.serving(METADATA_GROUP) === best, "the metadata goes on");
    cluster.close();
  });
});

describe("Recovery of partitions while the metadata lives (scenario 62)", () => {
  /** Five brokers; the partition is on three, of which two are gone. */
  async function twoOfThreeGone(
    seed: number,
  ): Promise<{ cluster: Cluster; group: GroupId; survivor: number; gone: readonly [number, number] }> {
    const cluster = await start({ seed, brokers: 5 });
    await cluster.call(1, stubs.CreateTopic, { name: "t", partitions: 1, replicas: 3 });
    const leader = await cluster.leaderOf("t", 0);
    const group = await cluster.groupOf("t", 0);
    for (const value of ["a", "b"]) await write(cluster, leader, value);
    const [one, two, survivor] = cluster.numbers.filter((n) => cluster.replica(n, group) !== undefined) as [number, number, number];
    cluster.kill(one);
    cluster.kill(two);
    await cluster.pass(12_000);
    return { cluster, group, survivor, gone: [one, two] };
  }

  it("is told through any broker, and the old majority, back at once, acknowledges nothing that is lost", async () => {
    const { cluster, group, survivor, gone } = await twoOfThreeGone(71);
    const via = cluster.alive.find((n) => n !== survivor) as number;
    const found = await plan(cluster, via);
    assert.equal(found.metadata, undefined);
    assert.deepEqual(
      found.partitions.map(({ name, survivor: best }) => [name, best.brokerId]),
      [["t-0", survivor]],
    );
    const outcome = await apply(cluster, via, found);
    assert.deepEqual(outcome, { recoveryEpoch: 0, metadata: false, partitions: ["t-0"], changed: [] });
    await cluster.until(() => cluster.serving(group) === survivor, "the partition goes on");
    const written = ["a", "b"];
    const producing = async (n: number, value: string): Promise<void> => {
      const asked = cluster.ask(n, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.quorum }, { timeoutMs: 1_000 });
      await cluster.settle(asked).then(
        () => void written.push(value),
        () => {},
      );
    };
    await producing(via, "c");
    for (const n of gone) cluster.boot(n);
    for (let i = 0; i < 40; i++) {
      for (const n of gone) await producing(n, `${n}-${i}`);
      await cluster.pass(50);
    }
    assert.ok(written.length > 20, "they hand on what they are sent");
    await healthy(cluster, survivor);
    const voters = cluster.replica(survivor, group)?.core.configuration.voters ?? [];
    assert.equal(voters.length, 3);
    const read = await cluster.values("t", 0, gone[0]);
    assert.deepEqual(
      written.filter((value) => !read.includes(value)),
      [],
    );
    assert.deepEqual(read.slice(0, 3), ["a", "b", "c"]);
    // It was set aside, not deleted.
    for (const n of gone)
      assert.ok(
        cluster
          .disk(n)
          .files()
          .some(({ path }) => path.includes(".fenced/")),
        `broker ${n} keeps what it had`,
      );
    cluster.close();
  });

  it("silences an old majority that leads where nobody could tell it, as soon as it meets anybody who knows", async () => {
    const { cluster, group, survivor, gone } = await twoOfThreeGone(72);
    const others = cluster.numbers.filter((n) => !gone.includes(n)).map((n) => `b${n}`);
    await apply(cluster, survivor, await plan(cluster, survivor));
    await cluster.until(() => cluster.serving(group) === survivor, "the partition goes on");
    await write(cluster, survivor, "c", Acks.quorum);
    cluster.world.network.partition([gone.map((n) => `b${n}`), [...others, "client"]]);
    for (const n of gone) cluster.boot(n);
    const leads = (): number | undefined => gone.find((n) => cluster.replica(n, group)?.serves === true);
    await cluster.until(() => leads() !== undefined, "they elect one of them");
    cluster.world.network.heal();
    await cluster.until(() => leads() === undefined, "it is silent", 2_000);
    await healthy(cluster, survivor);
    assert.equal(cluster.replica(survivor, group)?.core.configuration.voters.length, 3);
    assert.deepEqual(await cluster.values("t", 0, gone[0]), ["a", "b", "c"]);
    cluster.close();
  });

  it("keeps a broker that does not know of it yet from serving and voting in any partition, whoever tells it", async () => {
    const cluster = await start({ seed: 75 });
    await cluster.createTopic("t", 1);
    const group = await cluster.groupOf("t", 0);
    const { clusterId } = await cluster.call(1, stubs.DescribeCluster, {});
    const replica = cluster.replica(3, group)?.id;
    assert.ok(replica !== undefined);
    cluster.kill(3);
    await Puppet.start(cluster, 3, 1, clusterId, { group, replica }, () => {}, 1);
    await cluster.until(() => cluster.replica(1, group) === undefined, "its replica is closed", 1_000);
    await cluster.pass(5_000);
    assert.equal(cluster.replica(1, group), undefined);
    assert.notEqual(cluster.replica(1, METADATA_GROUP), undefined, "the metadata is what will tell it");
    assert.notEqual(cluster.replica(2, group), undefined, "who was not told goes on");
    await refusedFor("not_ready", plan(cluster, 2));
    // Without the majority of the metadata it would wait for ever: that goes on first.
    cluster.kill(2);
    cluster.kill(3);
    await cluster.pass(5_000);
    const found = await plan(cluster, 1);
    assert.deepEqual([found.metadata?.survivor.brokerId, found.partitions, found.gone], [1, [], []]);
    assert.match(found.notProved[0] ?? "", /which partitions .* 1 broker \(1\)/);
    await apply(cluster, 1, found);
    await cluster.until(() => cluster.replica(1, group) !== undefined, "it has read what stands");
    assert.deepEqual((await apply(cluster, 1, await plan(cluster, 1))).partitions, ["t-0"]);
    await cluster.until(() => cluster.serving(group) === 1, "the partition goes on");
    cluster.close();
  });

  it("ends the quarantine of all voters: the best of them goes on, the others are copied anew on the disks they have", async () => {
    const cluster = await start({ seed: 74 });
    await cluster.createTopic("t", 1);
    const group = await cluster.groupOf("t", 0);
    await write(cluster, 1, "a");
    const before = cluster.numbers.map((n) => cluster.replica(n, group)?.id);
    // As a peer that remembers more of their disks would have told them.
    for (const n of cluster.numbers) cluster.replica(n, group)?.core.quarantine(cluster.world.now);
    await cluster.pass(5_000);
    assert.equal(cluster.serving(group), undefined);
    const found = await plan(cluster, 1);
    assert.equal(found.metadata, undefined);
    const [lost] = found.partitions;
    assert.equal(lost?.others.length, 2);
    assert.match(lost?.mayBeLost.join() ?? "", /its disk forgot/);
    await apply(cluster, 2, found);
    const survivor = lost?.survivor.brokerId as number;
    await cluster.until(() => cluster.serving(group) === survivor, "the partition goes on");
    await healthy(cluster, 1);
    await write(cluster, 1, "b");
    for (const n of cluster.numbers) {
      const now = cluster.replica(n, group)?.id;
      assert.equal(now === before[n - 1], n === survivor, `broker ${n}`);
      assert.deepEqual(await cluster.values("t", 0, n), ["a", "b"]);
    }
    // It is no more in quarantine after a crash either.
    cluster.powerCut(survivor);
    await cluster.restart(survivor);
    await healthy(cluster, survivor);
    cluster.close();
  });

  it("never forces a survivor again that has forgotten since what it was: others may count by then", async () => {
    const { cluster, group, survivor, gone } = await twoOfThreeGone(76);
    const via = cluster.alive.find((n) => n !== survivor) as number;
    await cluster.stop(survivor);
    const copy = cluster.disk(survivor).backUp();
    await cluster.restart(survivor);
    await apply(cluster, via, await plan(cluster, via));
    await cluster.until(() => cluster.serving(group) === survivor, "the partition goes on");
    for (const n of gone) await cluster.restart(n);
    await healthy(cluster, via);
    await write(cluster, via, "c");
    cluster.kill(survivor);
    await cluster.until(() => cluster.serving(group) !== undefined, "a leader of the others");
    await write(cluster, via, "d", Acks.quorum);
    cluster.disk(survivor).restore(copy);
    const forced = (): number => cluster.warnings.filter((text) => text.includes("partition.recovered")).length;
    assert.equal(forced(), 1);
    await cluster.restart(survivor);
    await healthy(cluster, via);
    assert.equal(forced(), 1, "it was done once");
    assert.equal(cluster.replica(survivor, group)?.core.configuration.voters.length, 3);
    await write(cluster, via, "e");
    assert.deepEqual(await cluster.values("t", 0, survivor), ["a", "b", "c", "d", "e"]);
    cluster.close();
  });

  it("gives one that was merely off its other partitions back", async () => {
    const { cluster, survivor, gone } = await twoOfThreeGone(73);
    await apply(cluster, survivor, await plan(cluster, survivor));
    await cluster.pass(1_000);
    const off = cluster.alive.find((n) => n !== survivor) as number;
    cluster.kill(off);
    await cluster.pass(1_000);
    await cluster.restart(off);
    for (const n of gone) await cluster.restart(n);
    await healthy(cluster, survivor);
    assert.deepEqual([...fenced], [], "the metadata was not recovered: nobody has to end");
    cluster.close();
  });
});

/** Without a controller nobody answers for the metadata. */
function groupOnDisk(cluster: Cluster, n: number): Promise<GroupId> {
  const group = [...cluster.broker(n).replicas].find(({ groupId }) => groupId !== METADATA_GROUP)?.groupId;
  assert.ok(group !== undefined);
  return Promise.resolve(group);
}

/** Whoever ended because it was fenced is started again, as a supervisor would; all of them run in the end. */
async function returned(cluster: Cluster, brokers: readonly number[]): Promise<void> {
  const end = cluster.world.now + WELL_MS;
  while (brokers.some((n) => fenced.has(n) || !cluster.alive.includes(n) || cluster.broker(n).state !== "running")) {
    assert.ok(cluster.world.now < end, `brokers ${brokers.join(", ")} are back`);
    for (const n of brokers) if (fenced.delete(n)) cluster.boot(n);
    await cluster.pass(250);
  }
}
