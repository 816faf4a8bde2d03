import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { machineAgreement, snapshotJoins } from "../../src/testing/checkers/machine-agreement.ts";
import { runChecker } from "../../src/testing/checkers/verdict.ts";
import { dumpDisk } from "../../src/testing/cluster/evidence.ts";
import { Cluster } from "./harness.ts";
import * as rpc from "./stubs.ts";

const KiB = 1024;

/** A snapshot after every few commands. */
const often = (config: BrokerConfig): BrokerConfig => ({
  ...config,
  limits: { ...config.limits, metadataSnapshotBytes: 4 * KiB },
  log: { ...config.log, hotTailBytes: 64 * KiB },
});

class Metadata {
  readonly cluster: Cluster;
  #made = 0;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async start(seed: number): Promise<Metadata> {
    return new Metadata(await Cluster.start({ seed, configure: often }));
  }

  /** Topics made and deleted: the metadata log grows, the image does not. */
  async churn(count: number, via = this.cluster.alive[0] ?? 1): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const name = `churn-${this.#made++}`;
      await this.cluster.call(via, rpc.CreateTopic, { name, partitions: 1, configs: new Map() });
      await this.cluster.call(via, rpc.DeleteTopic, { name });
    }
  }

  startOf(n: number): number {
    return this.cluster.replica(n, METADATA_GROUP)?.log.start.index ?? 0;
  }

  async trimmed(brokers: readonly number[] = this.cluster.alive): Promise<void> {
    for (let round = 0; round < 20 && !brokers.every((n) => this.startOf(n) > 0); round += 1) await this.churn(4);
    await this.cluster.until(() => brokers.every((n) => this.startOf(n) > 0), "the metadata log is trimmed behind snapshots");
  }

  async topicsOn(n: number): Promise<readonly string[]> {
    const { topics } = await this.cluster.call(n, rpc.ListTopics, {});
    return topics.map((topic) => topic.name).sort();
  }
}

describe("the metadata log", () => {
  it("is trimmed behind snapshots, and a broker starts from its snapshot and the log behind it", async () => {
    const run = await Metadata.start(1);
    const { cluster } = run;
    await cluster.createTopic("stays", 2);
    await run.trimmed();
    for (const n of cluster.numbers) {
      cluster.powerCut(n);
      await cluster.restart(n);
    }
    await run.churn(2);
    for (const n of cluster.numbers) assert.deepEqual(await run.topicsOn(n), ["stays"]);
    for (const n of cluster.numbers) cluster.powerCut(n);
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    for (const n of cluster.numbers) assert.deepEqual(await run.topicsOn(n), ["stays"]);
    cluster.close();
  });

  it("reaches one that was off for longer than it: it begins at its leader's snapshot, twice started again it is healthy (scenario 51)", async () => {
    const run = await Metadata.start(2);
    const { cluster } = run;
    await cluster.createTopic("before");
    cluster.kill(3);
    await cluster.createTopic("meanwhile");
    await run.trimmed([1, 2]);
    await cluster.restart(3);
    await run.churn(2, 3);
    assert.ok(run.startOf(3) > 0);
    for (let restart = 0; restart < 2; restart += 1) {
      cluster.powerCut(3);
      await cluster.restart(3);
      assert.deepEqual(await run.topicsOn(3), ["before", "meanwhile"]);
    }
    await cluster.moveController(3);
    await run.churn(1, 1);
    assert.deepEqual(await run.topicsOn(1), ["before", "meanwhile"]);
    cluster.close();
  });

  it("is served from another broker's snapshot when both of this disk are rotten (scenario 49)", async () => {
    const run = await Metadata.start(3);
    const { cluster } = run;
    await cluster.createTopic("stays");
    await run.trimmed();
    cluster.kill(3);
    assert.ok((await rot(cluster, 3)) > 0);
    await cluster.restart(3);
    cluster.powerCut(3);
    const dumps = await cluster.settle(dumpDisk(cluster.world, cluster.world.machine("b3"), new Map()));
    assert.ok(
      dumps.some(({ machine }) => machine?.snapshot !== undefined),
      "what was fetched is on this disk",
    );
    await cluster.restart(3);
    await run.churn(1, 1);
    assert.deepEqual(await run.topicsOn(3), ["stays"]);
    await cluster.moveController(3);
    await run.churn(1, 3);
    cluster.close();
  });

  it("is followed from a snapshot on by a broker without a replica, when it begins behind that broker's image", async () => {
    const run = await Metadata.start(4);
    const { cluster } = run;
    await cluster.createTopic("stays", 1);
    await run.trimmed();
    cluster.kill(3);
    cluster.disk(3).replace();
    await cluster.pass(12_000);
    await cluster.restart(3);
    assert.deepEqual(await run.topicsOn(3), ["stays"]);
    await run.churn(2, 3);
    assert.deepEqual(await run.topicsOn(3), ["stays"]);
    cluster.close();
  });

  it("takes one snapshot after the other while its leader changes, and every broker has the same image (scenarios 53, 72; R9, R10)", async () => {
    const run = await Metadata.start(5);
    const { cluster } = run;
    await cluster.createTopic("stays", 3);
    for (let round = 0; round < 6; round += 1) {
      await run.churn(5);
      await cluster.moveController(1 + (round % 3));
      if (round % 2 === 1) {
        cluster.powerCut(1 + (round % 3));
        await cluster.restart(1 + (round % 3));
      }
    }
    await run.trimmed();
    await cluster.until(
      () => new Set(cluster.numbers.map((n) => cluster.replica(n, METADATA_GROUP)?.core.durable)).size === 1,
      "all have everything",
    );
    const commits = new Map<string, number>();
    for (const n of cluster.numbers)
      for (const replica of cluster.broker(n).replicas) commits.set(`${replica.groupId}/${replica.id}`, replica.core.commit);
    for (const n of cluster.numbers) cluster.kill(n);
    const dumps = [];
    for (const n of cluster.numbers)
      dumps.push(...(await cluster.settle(dumpDisk(cluster.world, cluster.world.machine(`b${n}`), commits))));
    const evidence = { history: [], finals: [], dumps };
    for (const checker of [machineAgreement, snapshotJoins]) {
      const { judged, violations } = runChecker(checker, evidence);
      assert.deepEqual(violations, []);
      assert.ok(judged >= 3, `${checker.row} judged ${judged}`);
    }
  });
});

/** Flips bytes of every snapshot of the metadata on a stopped broker's disk. @returns how many there were */
async function rot(cluster: Cluster, n: number): Promise<number> {
  const { disk } = cluster.world.machine(`b${n}`).boot();
  const folder = (await cluster.settle(disk.list("groups"))).find((entry) => entry.name.startsWith(`${METADATA_GROUP}-`));
  const files = await cluster.settle(disk.list(`groups/${folder?.name}`));
  const snapshots = files.filter((entry) => entry.name.endsWith(".snapshot"));
  for (const { name } of snapshots) {
    const file = await cluster.settle(disk.open(`groups/${folder?.name}/${name}`, { mode: "write" }));
    await cluster.settle(file.write(150, [new Uint8Array([1, 2, 3, 4])]));
    await cluster.settle(file.sync());
    await cluster.settle(file.close());
  }
  return snapshots.length;
}
