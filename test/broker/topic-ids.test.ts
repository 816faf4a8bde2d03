import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { shardOf } from "../../src/consumer-groups/shard.ts";
import { Acks } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

// case 70
describe("A batch or a read that names the topic by its id", () => {
  it("is refused by every broker when another topic has that name, and goes where it should otherwise", async () => {
    const cluster = await Cluster.start({ seed: 41 });
    const topicId = async (): Promise<string> => (await cluster.call(1, stubs.DescribeTopics, { names: ["t"] })).topics[0]?.topicId ?? "";
    const batch = (value: string, id: string) => ({ topic: "t", topicId: id, records: recordSet([value]), acks: Acks.all });
    await cluster.createTopic("t");
    const former = await topicId();
    await cluster.call(1, stubs.Produce, batch("into the former one", former));
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    // Nobody has heard of it yet: it is no other topic because this broker does not know it.
    const { topic } = await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 });
    const made = topic?.topicId ?? "";
    await cluster.call(3, stubs.Produce, batch("0", made));
    for (const n of cluster.numbers) {
      const { message, metadata } = await cluster.refused(n, stubs.Produce, batch("late", former), "UNKNOWN_TOPIC");
      assert.match(message, /"t" is not .* was deleted/);
      assert.equal(metadata["topic_id"], former);
      await cluster.refused(n, stubs.Produce, batch("made up", "x".repeat(100_000)), "UNKNOWN_TOPIC");
      await cluster.call(n, stubs.Produce, batch(`${n}`, n === 2 ? "" : made));
    }
    const read = (n: number, id: string) => [n, stubs.Fetch, { topic: "t", topicId: id, offset: 0 }] as const;
    for (const n of cluster.numbers) {
      await cluster.refused(...read(n, former), "UNKNOWN_TOPIC");
      assert.ok((await cluster.call(...read(n, made))).batches.length > 0);
    }
    const stream = cluster.produceStream(2);
    stream.send({
      batches: [
        { correlationId: 1, request: batch("4", made) },
        { correlationId: 2, request: batch("late", former) },
      ],
    });
    const answers = await stream.answered(2);
    const [taken, late] = [1, 2].map((id) => answers.find(({ correlationId }) => correlationId === id));
    assert.equal(taken?.response?.baseOffset, 4);
    assert.equal(late?.error === undefined ? "" : errorOf(late.error)?.code, "UNKNOWN_TOPIC");
    stream.cancel();
    assert.deepEqual(await cluster.values("t"), ["0", "1", "2", "3", "4"]);
    cluster.close();
  });
});

describe("A change that names the topic by its id", () => {
  it("is refused at every broker when another topic has that name, and made otherwise", async () => {
    const cluster = await Cluster.start({ seed: 44 });
    await cluster.createTopic("t");
    const former = (await cluster.call(1, stubs.DescribeTopics, { names: ["t"] })).topics[0]?.topicId ?? "";
    await cluster.call(1, stubs.DeleteTopic, { name: "t", topicId: former });
    const made = (await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 })).topic?.topicId ?? "";
    for (const n of cluster.numbers) {
      const refused = async <In>(rpc: stubs.Rpc<In, unknown>, request: In): Promise<void> => {
        const { metadata, message } = await cluster.refused(n, rpc, request, "UNKNOWN_TOPIC");
        assert.equal(metadata["topic_id"], former, message);
      };
      await refused(stubs.AlterTopic, { name: "t", set: new Map([["retention.ms", "1000"]]), topicId: former });
      await refused(stubs.AddPartitions, { name: "t", partitions: 9, topicId: former });
      await refused(stubs.TransferLeader, { topic: "t", partition: 0, topicId: former });
      await refused(stubs.DeleteTopic, { name: "t", topicId: former });
      const set = new Map([["retention.ms", `${n}000000`]]);
      const { configs } = await cluster.call(n, stubs.AlterTopic, { name: "t", set, topicId: made });
      assert.equal(configs.find(({ key }) => key === "retention.ms")?.value, `${n}000000`);
      const grown = await cluster.call(n, stubs.AddPartitions, { name: "t", partitions: n + 1, topicId: made });
      assert.deepEqual([grown.topic?.topicId, grown.topic?.partitions.length], [made, n + 1]);
      assert.ok((await cluster.call(n, stubs.TransferLeader, { topic: "t", partition: 0, topicId: made })).leaderId > 0);
    }
    await cluster.call(3, stubs.DeleteTopic, { name: "t", topicId: made });
    cluster.close();
  });
});

describe("A subscription, or offsets, of a topic that was deleted and made again under its name", () => {
  it("are of the one that was meant, at every broker, and a stream never passes from the one to the other", async () => {
    const cluster = await Cluster.start({ seed: 42 });
    const produce = (...values: string[]) => cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(values), acks: Acks.all });
    await cluster.createTopic("t");
    const former = (await cluster.call(1, stubs.DescribeTopics, { names: ["t"] })).topics[0]?.topicId ?? "";
    await produce("a", "b");
    // One of them where the leader is, the others through it; by name, and by id.
    const partitions = [{ partition: 0, offset: 0 }];
    const streams = cluster.numbers.flatMap((n) =>
      ["", former].map((topicId) => cluster.subscribe(n, { topic: "t", topicId, partitions })),
    );
    await cluster.until(() => streams.every(({ values }) => values.get(0)?.length === 2), "all have read what there is");
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    const made = (await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 })).topic?.topicId ?? "";
    await produce("A", "B", "C", "D");
    for (const stream of streams) {
      await cluster.until(() => stream.closed, "the stream of a deleted topic ends");
      assert.ok(stream.error instanceof MillraceError && stream.error.code === "UNKNOWN_TOPIC", String(stream.error));
      assert.equal(stream.error.metadata["topic_id"], former);
      assert.deepEqual(stream.values.get(0), ["a", "b"]);
    }
    for (const n of cluster.numbers) {
      for (const timeMs of [undefined, 0]) {
        const of = (topicId: string) => ({ topic: "t", topicId, ...(timeMs === undefined ? {} : { timeMs }) });
        await cluster.refused(n, stubs.ListOffsets, of(former), "UNKNOWN_TOPIC");
        for (const topicId of [made, ""]) {
          const [ends] = (await cluster.call(n, stubs.ListOffsets, of(topicId))).partitions;
          assert.deepEqual([ends?.error, ends?.logStartOffset, ends?.highWatermark], [undefined, 0, 4]);
        }
      }
      const trim = (topicId: string) => ({ name: "t", topicId, partitions: [{ partition: 0, beforeOffset: 0 }] });
      await cluster.refused(n, stubs.TrimTopic, trim(former), "UNKNOWN_TOPIC");
      assert.deepEqual(
        (await cluster.call(n, stubs.TrimTopic, trim(made))).partitions.map(({ error }) => error),
        [undefined],
      );
      const late = cluster.subscribe(n, { topic: "t", topicId: former, partitions: [{ partition: 0, untilEnd: true }] });
      await cluster.until(() => late.closed, "a stream of a deleted topic is refused");
      assert.ok(late.error instanceof MillraceError && late.error.code === "UNKNOWN_TOPIC", String(late.error));
      const good = cluster.subscribe(n, { topic: "t", topicId: made, partitions: [{ partition: 0, untilEnd: true }] });
      await cluster.until(() => good.closed, "a stream of the topic there is ends at its end");
      assert.deepEqual([good.error, good.values.get(0)], [undefined, ["A", "B", "C", "D"]]);
    }
    cluster.close();
  });

  it("are of the one that was made even where a broker has heard of neither, once it hears", async () => {
    const cluster = await Cluster.start({ seed: 43 });
    await cluster.createTopic("t");
    await cluster.moveController(1);
    const idAt3 = async (latest: boolean): Promise<string> => {
      const { topics } = await cluster.ask(3, stubs.DescribeTopics, { names: ["t"], latest });
      return topics[0]?.topicId ?? "";
    };
    const former = await cluster.settle(idAt3(false));
    cluster.world.network.partition([["b1", "b2"], ["b3"]]);
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    const made = (await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 })).topic?.topicId ?? "";
    assert.notEqual(made, former);
    assert.equal(await cluster.settle(idAt3(false)), former, "broker 3 has heard of neither");
    const latest = idAt3(true);
    const ends = cluster.ask(3, stubs.ListOffsets, { topic: "t", topicId: made });
    const stream = cluster.subscribe(3, { topic: "t", topicId: made, partitions: [{ partition: 0, untilEnd: true }] });
    await cluster.pass(1_000);
    cluster.world.network.heal();
    assert.equal(await cluster.settle(latest), made);
    assert.deepEqual(
      (await cluster.settle(ends)).partitions.map(({ error, highWatermark }) => [error, highWatermark]),
      [[undefined, 0]],
    );
    await stream.over();
    assert.equal(stream.error, undefined);
    cluster.close();
  });

  it("that are asked for by name alone are of the topic made anew also where the broker had not heard of it", async () => {
    const cluster = await Cluster.start({ seed: 45 });
    await cluster.createTopic("t");
    await cluster.moveController(1);
    await cluster.moveLeader("t", 0, 1);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a", "b"]), acks: Acks.all });
    cluster.world.network.partition([["b1", "b2"], ["b3"]]);
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 });
    await cluster.call(2, stubs.Produce, { topic: "t", records: recordSet(["A", "B", "C"]), acks: Acks.quorum });
    const streams = [{ offset: 0 }, { offset: 1 }, { timeMs: 0 }, {}].map((start) =>
      cluster.subscribe(3, { topic: "t", partitions: [{ partition: 0, ...start }] }),
    );
    await cluster.pass(500);
    cluster.world.network.heal();
    const all = ["A", "B", "C"];
    for (const [at, stream] of streams.entries()) {
      const expected = at === 1 ? all.slice(1) : all;
      assert.deepEqual(await stream.has(0, expected.length), expected);
    }
    // They are of that one now.
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 });
    for (const stream of streams) {
      await stream.over();
      assert.ok(stream.error instanceof MillraceError && stream.error.code === "UNKNOWN_TOPIC", String(stream.error));
    }
    cluster.close();
  });

  it("that waits for its first record ends when its topic is deleted and made again, though nothing was read of it", async () => {
    const cluster = await Cluster.start({ seed: 46 });
    await cluster.createTopic("t");
    const streams = cluster.numbers.map((n) => cluster.subscribe(n, { topic: "t", partitions: [{ partition: 0, offset: 0 }] }));
    await cluster.pass(50);
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 });
    await cluster.call(2, stubs.Produce, { topic: "t", records: recordSet(["A"]), acks: Acks.all });
    for (const stream of streams) {
      await stream.over();
      assert.ok(stream.error instanceof MillraceError && stream.error.code === "UNKNOWN_TOPIC", String(stream.error));
      assert.deepEqual(stream.of(0), []);
    }
    cluster.close();
  });
});

describe("What a group has committed of a topic that was deleted and made again under its name", () => {
  it("is told, moved and deleted of the one that is meant, whatever its coordinator has heard of", async () => {
    const cluster = await Cluster.start({ seed: 45 });
    const topicId = async (): Promise<string> => (await cluster.call(1, stubs.DescribeTopics, { names: ["t"] })).topics[0]?.topicId ?? "";
    await cluster.createTopic("t");
    const former = await topicId();
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a", "b", "c"]), acks: Acks.all });
    // On all brokers there are coordinators of some of them.
    const groups = Array.from({ length: 12 }, (_, n) => `g${n}`);
    const commit = (groupId: string, id: string, offset: number) =>
      cluster.call(1, stubs.CommitOffsets, { groupId, memberEpoch: -1, offsets: [{ topic: "t", topicId: id, offset }] });
    for (const groupId of groups) assert.deepEqual((await commit(groupId, former, 2)).errors, []);
    const of = (id: string) => ({ topics: [{ topic: "t", topicId: id, partitions: [0] }] });
    const committed = async (groupId: string, id: string) =>
      (await cluster.call(1, stubs.FetchOffsets, { groupId, ...of(id) })).offsets.map((each) => [each.topicId, each.offset]);
    assert.deepEqual(await committed("g0", former), [[former, 2]]);
    await cluster.call(1, stubs.DeleteTopic, { name: "t" });
    const made = (await cluster.call(2, stubs.CreateTopic, { name: "t", partitions: 1 })).topic?.topicId ?? "";
    // At once: most have not heard of either.
    const told = await cluster.settle(Promise.all(groups.map((groupId) => cluster.ask(1, stubs.FetchOffsets, { groupId, ...of(made) }))));
    for (const { offsets } of told)
      assert.deepEqual(
        offsets.map((each) => [each.topicId, each.offset]),
        [[made, undefined]],
      );
    for (const groupId of groups) {
      const refused = async <In>(rpc: stubs.Rpc<In, unknown>, request: In): Promise<void> => {
        const { metadata, message } = await cluster.refused(1, rpc, request, "UNKNOWN_TOPIC");
        assert.equal(metadata["topic_id"], former, message);
      };
      await refused(stubs.FetchOffsets, { groupId, ...of(former) });
      await refused(stubs.SeekGroup, { groupId, ...of(former), offset: 0 });
      await refused(stubs.SeekGroup, { groupId, positions: { positions: [{ topic: "t", topicId: former, partition: 0, offset: 0 }] } });
      const late = (await commit(groupId, former, 3)).errors[0]?.error;
      const why = late === undefined ? undefined : errorOf(late);
      assert.deepEqual([why?.code, why?.metadata["topic_id"]], ["UNKNOWN_TOPIC", former]);
      await cluster.call(1, stubs.SeekGroup, { groupId, ...of(made), offset: 0 });
      assert.deepEqual(await committed(groupId, made), [[made, 0]]);
      const positions = { positions: [{ topic: "t", topicId: made, partition: 0, offset: 0 }] };
      assert.equal((await cluster.call(1, stubs.SeekGroup, { groupId, positions })).results.length, 1);
      const { errors } = await cluster.call(1, stubs.DeleteOffsets, { groupId, ...of(former) });
      assert.deepEqual(
        errors.map(({ error }) => (error === undefined ? undefined : errorOf(error)?.code)),
        ["UNKNOWN_TOPIC"],
      );
      assert.deepEqual(await committed(groupId, made), [[made, 0]]);
      assert.deepEqual((await cluster.call(1, stubs.DeleteOffsets, { groupId, ...of(made) })).errors, []);
    }
    cluster.close();
  });

  it("waits for the news of it where the coordinator is cut off from the controller", async () => {
    const cluster = await Cluster.start({ seed: 46 });
    await cluster.createTopic("t");
    const commit = (groupId: string) =>
      cluster.call(1, stubs.CommitOffsets, { groupId, memberEpoch: -1, offsets: [{ topic: "t", offset: 0 }] });
    await commit("g");
    const controller = cluster.serving(METADATA_GROUP) as number;
    let groupId = "";
    let at = controller;
    for (let n = 0; at === controller; n++) {
      groupId = `g${n}`;
      await commit(groupId);
      at = await cluster.leaderOf("__groups", shardOf(groupId));
    }
    const third = cluster.numbers.find((n) => n !== at && n !== controller) as number;
    cluster.world.network.partition([[`b${at}`], [`b${controller}`]]);
    await cluster.call(third, stubs.DeleteTopic, { name: "t" });
    const made = (await cluster.call(third, stubs.CreateTopic, { name: "t", partitions: 1 })).topic?.topicId ?? "";
    const topics = [{ topic: "t", topicId: made, partitions: [0] }];
    const asked = cluster.ask(at, stubs.FetchOffsets, { groupId, topics });
    const sought = cluster.ask(at, stubs.SeekGroup, { groupId, topics, end: true });
    await cluster.pass(500);
    cluster.world.network.heal();
    assert.deepEqual(
      (await cluster.settle(asked)).offsets.map((each) => each.topicId),
      [made],
    );
    assert.equal((await cluster.settle(sought)).results.length, 1);
    cluster.close();
  });
});
