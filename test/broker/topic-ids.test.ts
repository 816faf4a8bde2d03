import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

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
    const [taken, late] = await stream.answered(2);
    assert.equal(taken?.response?.baseOffset, 4);
    assert.equal(late?.error === undefined ? "" : errorOf(late.error)?.code, "UNKNOWN_TOPIC");
    stream.cancel();
    assert.deepEqual(await cluster.values("t"), ["0", "1", "2", "3", "4"]);
    cluster.close();
  });
});
