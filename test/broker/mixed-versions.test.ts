import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { type FeatureLevels, RAISED_LEVEL_MIN, supportedLevels } from "../../src/cluster/feature-levels.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, type ClusterOptions, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** What brokers of before the cluster had a level understand. */
const EARLIER: FeatureLevels = { min: 1, max: RAISED_LEVEL_MIN - 1 };

const level = async (cluster: Cluster, via = cluster.alive[0] ?? 1): Promise<number> =>
  (await cluster.call(via, stubs.DescribeCluster, {})).featureLevel;

const write = async (cluster: Cluster, n: number, value: string): Promise<void> => {
  await cluster.call(n, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.all });
};

/** Whoever ends is dead; why, by broker. */
async function start(options: ClusterOptions): Promise<{ readonly cluster: Cluster; readonly ended: Map<number, Error> }> {
  const ended = new Map<number, Error>();
  let cluster: Cluster | undefined;
  cluster = await Cluster.start({
    fatal: (n, error) => {
      ended.set(n, error);
      cluster?.kill(n);
    },
    ...options,
  });
  return { cluster, ended };
}

/** Boots broker `n` as one of an earlier version, and says why it does not run. */
async function refusal(cluster: Cluster, ended: Map<number, Error>, n: number): Promise<MillraceError> {
  cluster.boot(n, { featureLevels: EARLIER });
  let failed: unknown;
  cluster.started(n).catch((error: unknown) => {
    failed = error;
  });
  await cluster.until(() => failed !== undefined || ended.has(n), `broker ${n} ends`, 15_000);
  const error = ended.get(n) ?? failed;
  if (!ended.has(n)) cluster.kill(n);
  ended.delete(n);
  assert.ok(error instanceof MillraceError, String(error));
  return error;
}

describe("Brokers of two versions (ADR 0020)", () => {
  it("are at the level of the earlier one until the last of them is upgraded, and serve all the time", async () => {
    const versions = new Map<number, FeatureLevels>([1, 2, 3].map((n) => [n, EARLIER]));
    const cluster = await Cluster.start({ seed: 301, software: (n) => ({ featureLevels: versions.get(n) ?? supportedLevels }) });
    await cluster.createTopic("t", 1);
    const written: string[] = [];
    for (const n of [1, 2, 3]) {
      assert.equal(await level(cluster), 1);
      versions.set(n, supportedLevels);
      await cluster.stop(n);
      await write(cluster, (n % 3) + 1, `without ${n}`);
      await cluster.restart(n);
      await write(cluster, n, `with ${n}`);
      written.push(`without ${n}`, `with ${n}`);
    }
    await cluster.pass(500);
    for (const n of [1, 2, 3]) assert.equal(await level(cluster, n), supportedLevels.max);
    const { brokers } = await cluster.call(1, stubs.DescribeCluster, {});
    assert.deepEqual(
      brokers.map(({ featureLevel }) => featureLevel),
      brokers.map(() => supportedLevels.max),
    );
    assert.deepEqual(await cluster.values("t", 0, 2), written);
    cluster.close();
  });

  it("are no cluster once the level has risen: one that is rolled back ends by name, with its data, and runs again when it is upgraded", async () => {
    const { cluster, ended } = await start({ seed: 302 });
    await cluster.createTopic("t", 1);
    await write(cluster, 1, "a");
    for (const n of [1, 2, 3]) {
      await cluster.stop(n);
      const error = await refusal(cluster, ended, n);
      assert.equal(error.code, "UNSUPPORTED_FEATURE_LEVEL", error.message);
      assert.match(error.message, /feature levels 1 to 2/);
      assert.match(error.message, new RegExp(`(at|is at|feature level) ${supportedLevels.max}\\b`));
      assert.match(error.message, /start (it|this broker) with version \d/);
      await cluster.restart(n);
      await write(cluster, n, `${n}`);
    }
    assert.deepEqual(await cluster.values("t"), ["a", "1", "2", "3"]);
    cluster.close();
  });

  it("do not meet on an emptied disk either: it is refused, and nothing of the metadata goes to it", async () => {
    const { cluster, ended } = await start({ seed: 303 });
    await cluster.createTopic("t", 1);
    cluster.kill(3);
    cluster.disk(3).replace();
    await cluster.pass(12_000);
    const error = await refusal(cluster, ended, 3);
    assert.equal(error.code, "UNSUPPORTED_FEATURE_LEVEL", error.message);
    assert.match(error.message, /Cannot (run|register) broker 3.*: it understands feature levels 1 to 2, the cluster is at 3/);
    // Also while there is no controller that could refuse it: the handshake does.
    cluster.kill(2);
    await cluster.pass(3_000);
    const met = await refusal(cluster, ended, 3);
    assert.match(met.message, /Cannot run broker 3: it understands feature levels 1 to 2, the cluster is at 3/);
    assert.ok(cluster.warnings.some((warning) => warning.startsWith("broker 3: broker.level_unsupported")));
    cluster.boot(2);
    await cluster.settle(cluster.started(2));
    assert.ok(![...cluster.disk(3).files()].some(({ path }) => path.startsWith(`groups/${METADATA_GROUP}-`)));
    await cluster.restart(3);
    await cluster.until(() => cluster.replica(3, METADATA_GROUP)?.core.leader !== undefined, "it follows again");
    cluster.close();
  });

  it("that a broker of before has joined last are at its level, and it hears of no later one while it is away", async () => {
    const cluster = await Cluster.start({ seed: 304, software: (n) => ({ featureLevels: n === 3 ? EARLIER : supportedLevels }) });
    await cluster.createTopic("t", 1);
    cluster.kill(3);
    await cluster.pass(30_000);
    for (const n of [1, 2]) {
      await cluster.stop(n);
      await cluster.restart(n);
    }
    assert.equal(await level(cluster), 1);
    await cluster.restart(3);
    // Which of them had to leave the in-sync replicas, and are back, is a matter of milliseconds.
    const recorded = async () =>
      (await cluster.call(1, stubs.DescribeTopics, { names: ["t"] })).topics[0]?.partitions[0]?.isrBrokerIds ?? [];
    while ((await recorded()).length < 3) await cluster.pass(100);
    await write(cluster, 3, "a");
    assert.equal(await level(cluster, 3), 1);
    cluster.close();
  });
});
