import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Client } from "../../src/client/client.ts";
import { LogTruncated, OffsetOutOfRange } from "../../src/client/errors.ts";
import type { StartPlace } from "../../src/client/group/options.ts";
import { shardOf } from "../../src/consumer-groups/shard.ts";
import { Acks } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { simDeflate } from "../../src/testing/kit/deflate.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const range = (from: number, to: number, what: string): string[] => Array.from({ length: to - from }, (_, i) => `${what}${from + i}`);

/**
 * Five brokers, and a partition of t on three of them. One, the survivor, hears nothing of its records 10 to 29, which a group has read and
 * committed; then the other two are lost, and by `recover` the survivor goes on alone. The coordinator of the group is none of the three.
 */
class Scene {
  readonly cluster: Cluster;
  readonly client: Client;
  readonly partition = 0;
  readonly group: string;
  readonly lost: readonly number[];
  readonly survivor: number;
  readonly via: number;
  readonly told: string[] = [];
  readonly refused: string[] = [];

  private constructor(cluster: Cluster, client: Client, group: string, placed: readonly number[], others: readonly number[]) {
    this.cluster = cluster;
    this.client = client;
    this.group = group;
    this.lost = placed.slice(0, 2);
    this.survivor = placed[2] as number;
    this.via = others[0] as number;
  }

  static async start(seed: number): Promise<Scene> {
    const cluster = await Cluster.start({ seed, brokers: 5 });
    await cluster.createTopic("t");
    const on = async (topic: string, partition: number): Promise<readonly number[]> => {
      const group = await cluster.groupOf(topic, partition);
      return cluster.numbers.filter((n) => cluster.replica(n, group) !== undefined);
    };
    const placed = await on("t", 0);
    const others = cluster.numbers.filter((n) => !placed.includes(n));
    const { process, rpcClient, clock, random, inflate } = cluster.world.machine("reader").boot();
    const telemetry = { log() {}, count() {}, observe() {} };
    const ports = { rpc: rpcClient, clock, random, inflate, telemetry, deflate: simDeflate(process) };
    const client = new Client({ brokers: cluster.numbers.map((n) => `b${n}:7400`) }, ports);
    // Makes `__groups`.
    await cluster.call(1, stubs.CommitOffsets, { groupId: "g", memberEpoch: -1, offsets: [{ topic: "t", offset: 0 }] });
    for (let i = 0; ; i++) {
      const shard = await on("__groups", shardOf(`g${i}`));
      if (others.every((n) => shard.includes(n))) return new Scene(cluster, client, `g${i}`, placed, others);
    }
  }

  async write(from: number, to: number, what: string): Promise<void> {
    const { cluster, partition, via } = this;
    for (const value of range(from, to, what))
      await cluster.call(via, stubs.Produce, { topic: "t", partition, records: recordSet([value]), acks: Acks.quorum });
  }

  /** Handles all there is. `done` is how it ended. */
  member(outOfRange: StartPlace = "fail"): { readonly done: Promise<unknown>; readonly close: () => Promise<void> } {
    const onCommitRefused = (_: unknown, { code }: Error & { readonly code: string }): void => void this.refused.push(code);
    const consumer = this.client.consumer({ group: this.group, outOfRange, onCommitRefused });
    const handler = ({ value }: { readonly value: Uint8Array | undefined }): void =>
      void this.told.push(Buffer.from(value ?? []).toString());
    const done = consumer.run({ topics: ["t"], handler }).catch((error: unknown) => error);
    return { done, close: () => this.cluster.settle(consumer.close()) };
  }

  async handled(count: number): Promise<void> {
    await this.cluster.until(() => this.told.length >= count, `${count} records are handled: ${this.told.length}`);
  }

  async committed(): Promise<{ readonly offset: number | undefined; readonly term: number | undefined }> {
    const all = await this.cluster.settle(this.client.admin().groups.offsets(this.group));
    const { offset, term } = all.find(({ topic, partition }) => topic === "t" && partition === this.partition) ?? {};
    return { offset, term };
  }

  /** Commits this from outside. @returns why not */
  async back(offset: number): Promise<string | undefined> {
    const { group: groupId, partition, via, cluster } = this;
    const { errors } = await cluster.call(via, stubs.CommitOffsets, {
      groupId,
      memberEpoch: -1,
      offsets: [{ topic: "t", partition, offset }],
    });
    const [refused] = errors;
    return refused?.error === undefined ? undefined : errorOf(refused.error)?.code;
  }

  /** 30 records are written, of which the survivor has 10. */
  async grow(): Promise<void> {
    const { cluster, partition, lost, survivor } = this;
    await this.write(0, 10, "a");
    await cluster.pass(2_000);
    const rest = cluster.numbers.filter((n) => n !== survivor).map((n) => `b${n}`);
    cluster.world.network.partition([[...rest, "client", "reader"], [`b${survivor}`]]);
    const group = await cluster.groupOf("t", partition);
    await cluster.until(() => lost.includes(cluster.serving(group) ?? 0), "one of the majority leads");
    await this.write(10, 30, "a");
  }

  /** Both are lost for good; what is left has 10 records, and 40 more are written to it. @param unseen readers hear of it only then */
  async recover(unseen: boolean): Promise<void> {
    const { cluster, partition, lost, survivor, via } = this;
    for (const n of lost) cluster.kill(n);
    await cluster.pass(15_000);
    const { network } = cluster.world;
    network.heal();
    if (unseen) network.partition([[...cluster.numbers.map((n) => `b${n}`), "client"], ["reader"]]);
    await cluster.pass(5_000);
    const plan = await cluster.settle(cluster.broker(via).planRecovery());
    const { partitions } = await cluster.settle(cluster.broker(via).applyRecovery({ clusterId: plan.clusterId, digest: plan.digest }));
    assert.ok(partitions.includes(`t-${partition}`), JSON.stringify(plan));
    const group = await cluster.groupOf("t", partition);
    await cluster.until(() => cluster.serving(group) === survivor, "the survivor goes on");
    if (!unseen) await cluster.pass(5_000);
    await this.write(10, 50, "b");
    network.heal();
  }

  close(): void {
    this.cluster.close();
  }
}

describe("A group whose log lost its end by recover and was written anew beyond its place (scenario 62)", () => {
  it("does not begin there: LOG_TRUNCATED says where the log parts, and from there on all is read", async () => {
    const scene = await Scene.start(71);
    const first = scene.member();
    await scene.grow();
    await scene.handled(30);
    await scene.cluster.pass(3_000);
    await first.close();
    const before = await scene.committed();
    assert.equal(before.offset, 30);
    assert.ok(before.term !== undefined && before.term > 0, "a commit names the term of the last record");
    assert.equal(await scene.back(20), "COMMIT_BEHIND");
    await scene.recover(false);
    assert.deepEqual(await scene.committed(), before, "the coordinator has it");
    const error = await scene.cluster.settle(scene.member().done);
    assert.ok(error instanceof LogTruncated, String(error));
    const { topic, partition, offset, divergingOffset, term } = error;
    assert.deepEqual(
      { topic, partition, offset, divergingOffset, term },
      { topic: "t", partition: scene.partition, offset: 30, divergingOffset: 10, term: before.term },
    );
    assert.equal(scene.told.length, 30, "nothing was left out without a word");
    assert.equal(await scene.back(20), undefined, "what is committed is not in the log any more");
    assert.equal(await scene.back(15), "COMMIT_BEHIND", "of that one no term is known");
    const to = { positions: [{ topic: "t", partition: scene.partition, offset: divergingOffset }] };
    await scene.cluster.settle(scene.client.admin().groups.seek(scene.group, to));
    const second = scene.member();
    await scene.handled(70);
    assert.deepEqual(scene.told, [...range(0, 30, "a"), ...range(10, 50, "b")]);
    await second.close();
    scene.close();
  });

  it("a reader that waits at the end and has read nothing yet does not go on there either", async () => {
    const scene = await Scene.start(74);
    await scene.grow();
    const { cluster, client, partition, told } = scene;
    const consumer = client.consumer();
    consumer.assign([{ topic: "t", partition, from: "end" }]);
    const read = (async () => {
      for await (const { value } of consumer) told.push(Buffer.from(value ?? []).toString());
    })().catch((error: unknown) => error);
    await cluster.pass(3_000);
    await scene.recover(true);
    const ended = await cluster.settle(Promise.race([read, cluster.pass(30_000)]));
    assert.deepEqual(told, []);
    assert.ok(ended instanceof LogTruncated, String(ended));
    assert.deepEqual([ended.offset, ended.divergingOffset], [30, 10]);
    consumer.close();
    scene.close();
  });

  it("is told where it parted also while it ends below its place", async () => {
    const scene = await Scene.start(73);
    const member = scene.member();
    await scene.grow();
    await scene.handled(30);
    await scene.cluster.pass(3_000);
    await scene.recover(false);
    const error = await scene.cluster.settle(member.done);
    assert.ok(error instanceof OffsetOutOfRange && error.code === "OFFSET_OUT_OF_RANGE", String(error));
    assert.deepEqual([error.highWatermark, error.divergingOffset], [10, 10]);
    scene.close();
  });

  for (const outOfRange of ["fail", "start", "end"] as const)
    it(`does not go on there while it runs: ${outOfRange}`, async () => {
      const scene = await Scene.start(72);
      const member = scene.member(outOfRange);
      await scene.grow();
      await scene.handled(30);
      await scene.cluster.pass(3_000);
      await scene.recover(true);
      if (outOfRange === "fail") {
        const error = await scene.cluster.settle(member.done);
        assert.ok(error instanceof LogTruncated, String(error));
        assert.equal(error.divergingOffset, 10);
        assert.equal(scene.told.length, 30);
        return scene.close();
      }
      await scene.cluster.pass(30_000);
      await scene.write(50, 60, "b");
      const all = [...range(0, 10, "a"), ...range(10, 60, "b")];
      const since = outOfRange === "start" ? all : range(50, 60, "b");
      await scene.handled(30 + since.length);
      assert.deepEqual(scene.told.slice(30), since);
      await member.close();
      const { offset, term } = await scene.committed();
      assert.deepEqual([offset, scene.refused], [60, []], "and where it went back to was taken, too");
      assert.ok(term !== undefined);
      scene.close();
    });
});
