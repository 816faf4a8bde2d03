import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TopicId } from "../../src/base/ids.ts";
import { commitAnswer, describeAnswer, fetchAnswer, listAnswer, seekAnswer } from "../../src/consumer-groups/answers.ts";
import { fetchOffsets } from "../../src/consumer-groups/reads.ts";
import {
  CommitOffsetsResponse,
  DescribeGroupResponse,
  FetchOffsetsResponse,
  ListGroupsResponse,
  SeekGroupResponse,
} from "../../src/protocol/public/group-service.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { beating, Coordinator, joining, offset } from "./groups-fixture.ts";

describe("answers about groups", () => {
  it("name what was refused of a commit, with its code", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    const offsets = [offset("t", 0, 1), { ...offset("u", 3, 1), topicId: "gone" as TopicId }];
    const reply = c.ok({ kind: "commitOffsets", groupId: "g", member: undefined, offsets });
    assert.ok(reply.kind === "offsets");
    const { errors } = CommitOffsetsResponse.decode(CommitOffsetsResponse.encode(commitAnswer(offsets, reply.refused)));
    assert.deepEqual(
      errors.map(({ topic, topicId, partition, error }) => [
        topic,
        topicId,
        partition,
        error === undefined ? undefined : errorOf(error)?.code,
      ]),
      [["u", "gone", 3, "UNKNOWN_TOPIC"]],
    );
  });

  it("tell committed offsets from those that never were, and leave out topics that are gone", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 2);
    c.topics.make("u", 1);
    c.commit("g", undefined, offset("t", 0, 0, { metadata: "m" }), offset("u", 0, 9));
    c.topics.drop("u");
    const asked = [...fetchOffsets(c.image, "g", undefined), ...fetchOffsets(c.image, "g", [{ topicId: id, partitions: [1] }])];
    const answer = FetchOffsetsResponse.decode(FetchOffsetsResponse.encode(fetchAnswer(asked, c.topics)));
    assert.deepEqual(answer.offsets, [
      { topic: "t", topicId: id, partition: 0, offset: 0, metadata: "m", committedAtMs: c.wall, term: undefined },
      { topic: "t", topicId: id, partition: 1, offset: undefined, metadata: "", committedAtMs: 0, term: undefined },
    ]);
    const termOf = (term: number) =>
      fetchAnswer([{ topicId: id, partition: 0, committed: { offset: 3, metadata: "", committedAtMs: 1, term } }], c.topics).offsets?.[0]
        ?.term;
    // 0 could be committed once, and no record is of it: whoever sent it along would be refused.
    assert.deepEqual([-1, 0, 1].map(termOf), [undefined, undefined, 1]);
    const steps = [{ topicId: id, partition: 1, before: undefined, after: 4 }];
    assert.deepEqual(SeekGroupResponse.decode(SeekGroupResponse.encode(seekAnswer(steps, c.topics))).results, [
      { topic: "t", partition: 1, before: undefined, after: 4 },
    ]);
  });

  it("describe who holds what, and who is to", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 2);
    const a = c.told(joining("g", "a", ["t"], { instanceId: "x" }));
    c.told(joining("g", "b", ["t"]));
    c.commit("other", undefined, offset("t", 0, 1));
    const all = { topic: "t", topicId: id };
    const described = DescribeGroupResponse.decode(DescribeGroupResponse.encode(describeAnswer(c.group("g"), c)));
    assert.deepEqual(
      [described.groupId, described.state, described.groupEpoch, described.assignor],
      ["g", 2, c.group("g").epoch, "uniform"],
    );
    assert.deepEqual(
      described.members.map(({ memberId, instanceId, assignment, target }) => [memberId, instanceId, assignment, target]),
      [
        ["a", "x", [{ ...all, partitions: [0] }], [{ ...all, partitions: [0] }]],
        ["b", "", [], [{ ...all, partitions: [1] }]],
      ],
    );
    const states = (): unknown =>
      ListGroupsResponse.decode(ListGroupsResponse.encode(listAnswer(c.image, { pageSize: 0, pageToken: "" }))).groups.map(
        ({ groupId, state, members }) => [groupId, state, members],
      );
    assert.deepEqual(states(), [
      ["g", 2, 2],
      ["other", 1, 0],
    ]);
    const { memberEpoch } = c.told(beating("g", "a", a.memberEpoch, { instanceId: "x" }));
    c.told(beating("g", "a", memberEpoch, { instanceId: "x", owned: [{ topicId: id, partitions: [0] }] }));
    assert.deepEqual(states(), [
      ["g", 3, 2],
      ["other", 1, 0],
    ]);
  });
});
