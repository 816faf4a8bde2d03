import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import type { GroupId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;

/** Broker 3 was cut off, and what it lacks was trimmed meanwhile: it is running, and needs a reset as soon as it is heard again. */
class Behind {
  readonly cluster: Cluster;
  readonly group: GroupId;
  #written = 0;

  private constructor(cluster: Cluster, group: GroupId) {
    this.cluster = cluster;
    this.group = group;
  }

  static async start(seed: number): Promise<Behind> {
    const configure = (config: BrokerConfig): BrokerConfig => ({ ...config, timings: { ...config.timings, retentionCheckMs: 1_000 } });
    const cluster = await Cluster.start({ seed, configure });
    await cluster.createTopic("t", 1, [["segment.ms", "1000"]]);
    await cluster.moveLeader("t", 0, 1);
    const run = new Behind(cluster, await cluster.groupOf("t", 0));
    await run.produce(5, Acks.all);
    await run.equal();
    cluster.world.network.partition([["b3"], ["b1", "b2"]]);
    await run.produce(3, Acks.quorum);
    await cluster.pass(11_000);
    await run.produce(3, Acks.quorum);
    await cluster.call(1, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: -1 }] });
    await cluster.until(() => run.startOf(1) > run.endOf(3), "what broker 3 lacks is trimmed away");
    return run;
  }

  async produce(count: number, acks: (typeof Acks)[keyof typeof Acks], via = 1): Promise<void> {
    for (let i = 0; i < count; i += 1)
      await this.cluster.call(via, stubs.Produce, { topic: "t", acks, records: recordSet([`value ${this.#written++}`]) });
  }

  startOf(n: number): number {
    return this.cluster.replica(n, this.group)?.log.start.index ?? 0;
  }
  endOf(n: number): number {
    return this.cluster.replica(n, this.group)?.log.lastIndex ?? 0;
  }

  async equal(): Promise<void> {
    const { cluster } = this;
    const same = (): boolean => new Set(cluster.alive.map((n) => cluster.replica(n, this.group)?.core.durable ?? -n)).size === 1;
    await cluster.until(same, "every replica has everything");
  }
}

describe("A follower that is reset while it runs", () => {
  it("can be asked for its numbers when its log begins elsewhere and it is not open yet", async () => {
    const run = await Behind.start(1);
    const { cluster } = run;
    const log = cluster.replica(3, run.group)?.log;
    cluster.world.network.heal();
    const marks: number[] = [];
    const begun = (): boolean => {
      const between = log?.start.index !== 0 && cluster.replica(3, run.group) === undefined;
      if (between) for (const { highWatermark } of cluster.broker(3).numbers?.partitions() ?? []) marks.push(highWatermark);
      return run.startOf(3) > 0;
    };
    await cluster.until(begun, "its log begins elsewhere");
    assert.ok(marks.length > 0 && marks.every((mark) => mark >= 4 && mark <= 5), `it said ${marks.join()}`);
    await run.equal();
    cluster.close();
  });

  it("votes and answers while its disk is full, and is reset once there is room", async () => {
    const run = await Behind.start(2);
    const { cluster } = run;
    cluster.disk(3).leaveFree(0);
    await cluster.pass(1_500);
    cluster.world.network.heal();
    const until = cluster.world.now + 3_000;
    let closed = false;
    const over = (): boolean => {
      closed ||= cluster.replica(3, run.group) === undefined;
      return cluster.world.now >= until;
    };
    await cluster.until(over, "three seconds");
    assert.deepEqual([run.startOf(3), closed], [0, false], "it needs a reset, for which there is no room, and is open all the time");
    cluster.kill(1);
    await cluster.until(() => cluster.replica(2, run.group)?.core.role === "leader", "broker 2 leads, by the vote of broker 3");
    await cluster.restart(1);
    await cluster.pass(2_000);
    await run.produce(1, Acks.quorum, 2);
    cluster.disk(3).leaveFree(500 * MiB);
    await run.equal();
    cluster.close();
  });

  it("goes on as it was when its disk turns out to have no room, and is asked again", async () => {
    const run = await Behind.start(3);
    const { cluster } = run;
    for (let i = 0; i < 3; i += 1) cluster.disk(3).failNext("open", "ENOSPC", `groups/${run.group}-`);
    cluster.world.network.heal();
    const tried = (): boolean => cluster.disk(3).failed > 0 && cluster.replica(3, run.group)?.core.leader !== undefined;
    await cluster.until(tried, "it tried, and follows as before");
    const [numbers] = cluster.broker(3).numbers?.partitions() ?? [];
    assert.ok(run.startOf(3) === 0 && (numbers?.highWatermark ?? 0) >= 4);
    await run.equal();
    assert.deepEqual([run.startOf(3) > 0, cluster.disk(3).failed], [true, 3]);
    await run.produce(1, Acks.all);
    cluster.close();
  });
});
