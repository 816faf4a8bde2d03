import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { TopicDeleted } from "../../../src/client/errors.ts";
import { locateCommitted, type Place } from "../../../src/client/group/places.ts";
import type { GroupPartition } from "../../../src/client/group/tenure.ts";
import { GroupService } from "../../../src/protocol/methods.ts";
import { FetchOffsetsRequest, FetchOffsetsResponse, ListOffsetsResponse } from "../../../src/protocol/public.ts";
import { range, Scene } from "./members.ts";

type Answer = Parameters<typeof FetchOffsetsResponse.encode>[0]["offsets"];

/** Where a group goes on in t/0 and t/1 of the topic "new" that hold 100 to 900, when it is answered so. */
function located(
  offsets: Answer | MillraceError,
  start: "start" | "end",
  asked: (request: FetchOffsetsRequest) => void = () => {},
): Promise<readonly Place<GroupPartition>[]> {
  const ends = [0, 1].map((partition) => ({ partition, logStartOffset: 100, highWatermark: 900 }));
  const core = {
    calls: {
      unary: async (path: string, request: Uint8Array) => {
        if (path !== GroupService.FetchOffsets.path) return ListOffsetsResponse.encode({ partitions: ends });
        asked(FetchOffsetsRequest.decode(request));
        if (offsets instanceof MillraceError) throw offsets;
        return FetchOffsetsResponse.encode({ offsets });
      },
    },
    ports: { clock: { monotonic: () => 0 } },
  };
  const partitions = [0, 1].map((partition) => ({ topic: "t", topicId: "new", partition }));
  return locateCommitted(core as never, "g", partitions, start, undefined);
}

const ours = { topic: "t", topicId: "new" };

describe("locateCommitted", () => {
  it("goes on where the group has committed, and where the options say of partitions it is told nothing is committed of", async () => {
    const offsets = [
      { ...ours, partition: 0, offset: 7 },
      { ...ours, partition: 1 },
    ];
    const places = async (start: "start" | "end") => (await located(offsets, start)).map(({ offset, committed }) => [offset, committed]);
    assert.deepEqual(await places("start"), [
      [7, true],
      [100, false],
    ]);
    assert.deepEqual(await places("end"), [
      [7, true],
      [900, false],
    ]);
  });

  it("asks by the topic's id, and tells a topic that was made anew from one that the coordinator does not know", async () => {
    const requests: FetchOffsetsRequest[] = [];
    const offsets = [0, 1].map((partition) => ({ ...ours, partition, offset: 7, term: 3 }));
    const places = await located(offsets, "start", (request) => requests.push(request));
    assert.deepEqual(requests, [{ groupId: "g", topics: [{ topic: "t", topicId: "new", partitions: [0, 1] }] }]);
    assert.deepEqual(
      places.map(({ offset, term }) => [offset, term]),
      [
        [7, 3],
        [7, 3],
      ],
    );
    // A coordinator of before may hold a term that no record is of.
    const [old] = await located(
      [0, 1].map((partition) => ({ ...ours, partition, offset: 7, term: 0 })),
      "start",
    );
    assert.equal(old?.term, undefined);
    const refused = (metadata: Readonly<Record<string, string>>) => located(new MillraceError("UNKNOWN_TOPIC", "no", metadata), "start");
    await assert.rejects(refused({ topic: "t", topic_id: "new" }), TopicDeleted);
    await assert.rejects(refused({ topic: "t" }), (error) => !(error instanceof TopicDeleted));
  });

  it("takes no answer about another topic of the name, and none at all, for the word that nothing is committed", async () => {
    const is = (remade: boolean) => (error: unknown) => error instanceof TopicDeleted && error.topicId === "new" && error.remade === remade;
    const old = [0, 1].map((partition) => ({ topic: "t", topicId: "old", partition, offset: 3 }));
    for (const start of ["start", "end"] as const) {
      await assert.rejects(located(old, start), is(true));
      await assert.rejects(located([{ ...ours, partition: 0, offset: 7 }], start), is(false));
      await assert.rejects(located([], start), is(false));
    }
  });
});

describe("GroupConsumer whose coordinator knows another topic of the name", () => {
  it("asks again, and goes on where the group has committed", async () => {
    const scene = new Scene(51, 1);
    scene.fill(10);
    const first = scene.member("a");
    assert.ok(await scene.world.run(10_000, () => scene.settled()));
    await scene.world.until(first.consumer.close());
    scene.fill(10);
    scene.cluster.formerly.set("t", "another-topic");
    const second = scene.member("b", { startWithoutCommit: "end" });
    await scene.world.run(scene.world.now + 20_000, () => false);
    assert.deepEqual(scene.offsets(0), range(0, 10), "it waits");
    scene.cluster.formerly.clear();
    assert.ok(await scene.world.run(scene.world.now + 5_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0), range(0, 20));
    await scene.world.until(second.consumer.close());
  });

  it("rejects when that does not pass", async () => {
    const scene = new Scene(52, 1);
    scene.fill(10);
    scene.cluster.formerly.set("t", "another-topic");
    const { done } = scene.member("a");
    await assert.rejects(scene.world.until(done, 70_000), TopicDeleted);
    assert.deepEqual([scene.offsets(0), scene.cluster.committed("g", "t")], [[], [undefined]]);
  });
});
