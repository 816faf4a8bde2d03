import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId } from "../../../src/base/ids.ts";
import { commitOffsets } from "../../../src/broker/groups/calls/commit-call.ts";
import type { GroupCall } from "../../../src/broker/groups/calls/group-method.ts";
import { PartitionEnds } from "../../../src/broker/groups/calls/partition-ends.ts";
import { CommitOffsetsRequest, CommitOffsetsResponse } from "../../../src/protocol/public/group-service.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

/** A coordinator, with leaders that answer when they are told to. */
class Asked {
  readonly run = new CoordinatorRun();
  readonly asked: { readonly topicId: string; readonly answer: (highWatermark: number) => void }[] = [];
  readonly #ends = new PartitionEnds({
    clock: this.run.clock,
    resolve: (topic, partition, _until, topicId) => {
      this.#of = topicId;
      return { topic, partition, groupId: 7, maxMessageBytes: 1_048_576 };
    },
    offsets: (_target, _time, _options, done) => {
      const answer = (highWatermark: number): void =>
        done({ found: undefined, leaderId: 1 as BrokerId, term: 1, sizeBytes: 0, logStartOffset: 0, highWatermark });
      this.asked.push({ topicId: this.#of, answer });
      return () => {};
    },
    here: () => undefined,
  });
  #of = "";

  /** @returns ids and messages of what was refused, once it is answered */
  async commit(...offsets: readonly { topicId?: string; offset: number }[]): Promise<readonly string[]> {
    const { coordinator, view, clock, settings, topics } = this.run;
    const call: GroupCall = {
      shard: { view, leader: coordinator, read: () => () => {} },
      until: { deadline: clock.monotonic() + 60_000 },
      clientAddress: "127.0.0.1:1",
      parts: { clock, brokerId: 1 as BrokerId, settings, topics, ends: this.#ends, committed: async () => [], barrier: async () => {} },
    };
    const named = offsets.map(({ topicId = "", offset }) => ({ topic: "t", topicId, partition: 0, offset }));
    const request = CommitOffsetsRequest.encode({ groupId: "g", memberId: "", memberEpoch: -1, offsets: named });
    const answer = CommitOffsetsResponse.decode(await commitOffsets.run(call, request));
    return answer.errors.map(({ topicId, error }) => `${topicId} ${error?.message}`);
  }

  /** What was begun goes on as far as it can. */
  async turns(): Promise<void> {
    for (let n = 0; n < 5; n += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      this.run.clock.turn();
    }
  }
}

describe("A commit of a topic that is made anew while its leader is asked where the log ends", () => {
  it("is not refused by the end of the former one", async () => {
    const asked = new Asked();
    const former = asked.run.topics.make("t", 1);
    const refused = asked.commit({ offset: 20 });
    await asked.turns();
    assert.deepEqual(
      asked.asked.map(({ topicId }) => topicId),
      [former],
    );
    asked.run.topics.drop("t");
    const id = asked.run.topics.make("t", 1);
    asked.asked[0]?.answer(7);
    await asked.turns();
    assert.deepEqual(await refused, []);
    assert.equal(asked.run.view.image.group("g")?.offsets.get(id, 0)?.offset, 20);
  });

  it("is still judged by its own end", async () => {
    const asked = new Asked();
    const former = asked.run.topics.make("t", 1);
    asked.run.topics.drop("t");
    const id = asked.run.topics.make("t", 1);
    const refused = asked.commit({ topicId: former, offset: 3 }, { topicId: id, offset: 20 });
    await asked.turns();
    assert.deepEqual(
      asked.asked.map(({ topicId }) => topicId),
      [id],
      "nothing is asked for what the name does not stand for",
    );
    asked.asked[0]?.answer(7);
    await asked.turns();
    const [first = "", second = "", ...more] = await refused;
    assert.deepEqual(more, []);
    assert.ok(first.startsWith(`${former} `));
    assert.match(second, new RegExp(`^${id} Cannot commit offset 20: the high watermark is 7`));
  });
});
