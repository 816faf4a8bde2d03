import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { GROUPS_TOPIC } from "../../../src/cluster/internal-topics.ts";
import { Acks } from "../../../src/protocol/public.ts";
import { errorOf } from "../../../src/protocol/rpc-status.ts";
import { Cluster, recordSet } from "../harness.ts";
import * as stubs from "../stubs.ts";
import { ShardRun, shards } from "./shard-run.ts";

describe("the shards of consumer groups", () => {
  it("are made on the first ask of anybody, once, and told of by name only to who asks", async () => {
    const cluster = await Cluster.start({ seed: 501 });
    const run = new ShardRun(cluster);
    assert.equal(run.groups(1).made, false);
    await cluster.refused(1, stubs.Fetch, { topic: GROUPS_TOPIC }, "INTERNAL_TOPIC");
    const deadline = 1_000_000;
    await cluster.settle(Promise.all([1, 2, 3].map((n) => run.groups(n).ensure({ deadline }))));
    await cluster.until(() => shards.every((shard) => run.leader(shard) !== undefined), "every shard is led");
    await cluster.until(() => [1, 2, 3].every((n) => [...run.groups(n).all].length === 16), "each broker has a replica of each");
    const plain = await cluster.call(2, stubs.ListTopics, {});
    assert.deepEqual(plain.topics, []);
    assert.deepEqual((await cluster.call(2, stubs.DescribeTopics, {})).topics, []);
    const { topics } = await cluster.call(2, stubs.ListTopics, { includeInternal: true });
    assert.deepEqual(
      topics.map(({ name, partitions, replicas, internal }) => [name, partitions, replicas, internal]),
      [[GROUPS_TOPIC, 16, 3, true]],
    );
    const described = (await cluster.call(3, stubs.DescribeTopics, { names: [GROUPS_TOPIC] })).topics[0];
    assert.equal(described?.internal, true);
    assert.equal(new Set(described?.partitions.map(({ leaderId }) => leaderId)).size, 3, "led by three brokers");
    assert.equal(cluster.broker(1).numbers?.topics, 0);
    cluster.close();
  });

  it("are neither written nor read nor changed by clients, on any broker", async () => {
    const run = await ShardRun.start({ seed: 502 });
    const { cluster } = run;
    const group = await cluster.groupOf(GROUPS_TOPIC, 0);
    const before = cluster.replica(1, group)?.log.endOffset;
    for (const n of [1, 2, 3]) {
      const topic = GROUPS_TOPIC;
      const refusedAs = async <In, Out>(rpc: stubs.Rpc<In, Out>, input: In): Promise<void> =>
        void (await cluster.refused(n, rpc, input, "INTERNAL_TOPIC"));
      await refusedAs(stubs.Produce, { topic, records: recordSet(["a"]), acks: Acks.quorum });
      await refusedAs(stubs.Fetch, { topic, partition: 0 });
      await refusedAs(stubs.AlterTopic, { name: topic, set: new Map([["retention.ms", "1000"]]) });
      await refusedAs(stubs.AddPartitions, { name: topic, partitions: 32 });
      await refusedAs(stubs.DeleteTopic, { name: topic });
      await refusedAs(stubs.TrimTopic, { name: topic, partitions: [{ partition: 0, beforeOffset: -1 }] });
      await cluster.refused(n, stubs.CreateTopic, { name: topic }, "INVALID_NAME");
      const offsets = await cluster.call(n, stubs.ListOffsets, { topic, partitions: [0] }).then(
        ({ partitions }) => errorOf(partitions[0]?.error ?? assert.fail("offsets")),
        (error: unknown) => error,
      );
      const stream = cluster.produceStream(n);
      stream.send({ batches: [{ correlationId: 1, request: { topic, partition: 0, records: recordSet(["a"]) } }] });
      const [produced] = await stream.answered(1);
      const subscribed = cluster.subscribe(n, { topic, partitions: [{ partition: 0 }] });
      await cluster.until(() => subscribed.closed, "a subscription ends");
      const errors = [offsets, errorOf(produced?.error ?? assert.fail("produced")), subscribed.error];
      for (const error of errors) assert.equal(error instanceof MillraceError && error.code, "INTERNAL_TOPIC", String(error));
    }
    assert.equal(cluster.replica(1, group)?.log.endOffset, before);
    cluster.close();
  });
});
