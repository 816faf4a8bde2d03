import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import type { TopicId } from "../../src/base/ids.ts";
import { GROUPS_PARTITIONS, shardOf } from "../../src/consumer-groups/shard.ts";
import { commitCommand, memberCommand, memberMessage } from "../../src/consumer-groups/wire.ts";
import type { MessageInput } from "../../src/protocol/codec/index.ts";
import { CommitOffsetsRequest, MemberHeartbeat } from "../../src/protocol/public/group-service.ts";
import { Coordinator, topicUuid } from "./groups-fixture.ts";

const beat = (fields: MessageInput<typeof MemberHeartbeat>) =>
  memberCommand(MemberHeartbeat.decode(MemberHeartbeat.encode(fields)), "peer:1");
const field = (answer: object): string | undefined => (answer instanceof MillraceError ? answer.metadata["field"] : undefined);

describe("requests of a member", () => {
  it("join with epoch 0, leave with -1, for a while with -2, and are heartbeats otherwise", () => {
    const kinds = [0, -1, -2, 7].map((memberEpoch) => beat({ groupId: "g", memberId: "a", memberEpoch, instanceId: "x", topics: ["t"] }));
    assert.deepEqual(
      kinds.map((command) => ("kind" in command ? [command.kind, "forGood" in command ? command.forGood : undefined] : command)),
      [
        ["join", undefined],
        ["leave", true],
        ["leave", false],
        ["heartbeat", undefined],
      ],
    );
  });

  it("say what they want when joining or when it changed, and always what they hold", () => {
    const owned = [{ topicId: topicUuid(1), partitions: [1, 2] }];
    const same = beat({ groupId: "g", memberId: "a", memberEpoch: 7, topics: ["t"], owned });
    assert.ok("kind" in same && same.kind === "heartbeat");
    assert.deepEqual([same.subscription, same.owned, same.instanceId], [undefined, owned, undefined]);
    const other = beat({
      groupId: "g",
      memberId: "a",
      memberEpoch: 7,
      topics: ["t"],
      topicPattern: "t.*",
      topicsChanged: true,
      assignor: "range",
    });
    assert.ok("kind" in other && other.kind === "heartbeat");
    assert.deepEqual(
      [other.subscription, other.owned],
      [{ topics: ["t"], topicPattern: "t.*", assignor: "range", rebalanceTimeoutMs: 0 }, []],
    );
  });

  it("that mean nothing are refused by field", () => {
    assert.equal(field(beat({ groupId: "g", memberId: "a", memberEpoch: -3 })), "member_epoch");
    assert.equal(field(beat({ groupId: "g", memberId: "a", memberEpoch: -2 })), "instance_id");
    assert.equal(field(beat({ groupId: "g", memberId: "a", memberEpoch: 7, owned: [{ topic: "t", partitions: [0] }] })), "owned");
  });

  it("are answered with the epoch, the timeouts, and topics by name and id when the assignment changed", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    const command = beat({ groupId: "g", memberId: "a", topics: ["t"] });
    assert.ok("kind" in command && command.kind === "join");
    const state = c.told(command);
    const nameOf = (id: TopicId): string | undefined => c.topics.byId(id)?.name;
    assert.deepEqual(memberMessage(state, nameOf, c.settings, 3), {
      memberId: "a",
      memberEpoch: 1,
      heartbeatIntervalMs: 5_000,
      sessionTimeoutMs: 45_000,
      assignmentChanged: true,
      assignment: [{ topic: "t", topicId: topicUuid(1), partitions: [0, 1] }],
      coordinatorId: 3,
    });
    assert.equal(memberMessage({ ...state, assignment: undefined }, nameOf, c.settings, 3).assignmentChanged, false);
  });
});

describe("commits on the wire", () => {
  const commit = (fields: MessageInput<typeof CommitOffsetsRequest>) =>
    commitCommand(CommitOffsetsRequest.decode(CommitOffsetsRequest.encode(fields)), (at) =>
      at === 0 ? { endOf: topicUuid(1), highWatermark: 9, seen: 2 } : undefined,
    );

  it("are of a member, or from outside with no member and epoch -1", () => {
    const outside = commit({
      groupId: "g",
      memberEpoch: -1,
      offsets: [
        { topic: "t", offset: 3, metadata: "m" },
        { topic: "u", topicId: "i" },
      ],
    });
    assert.ok("kind" in outside);
    assert.equal(outside.member, undefined);
    assert.deepEqual(outside.offsets, [
      { topic: "t", topicId: undefined, partition: 0, offset: 3, term: -1, metadata: "m", endOf: topicUuid(1), highWatermark: 9, seen: 2 },
      { topic: "u", topicId: "i", partition: 0, offset: 0, term: -1, metadata: "", highWatermark: undefined },
    ]);
    const member = commit({ groupId: "g", memberId: "a", memberEpoch: 7 });
    assert.deepEqual("kind" in member ? member.member : member, { id: "a", epoch: 7 });
    assert.equal(field(commit({ groupId: "g", memberEpoch: 7 })), "member_id");
  });
});

describe("the place of a group", () => {
  it("is by its name, for ever", () => {
    assert.equal(GROUPS_PARTITIONS, 16);
    assert.deepEqual(["g", "orders", "flights-1", "x".repeat(249)].map(shardOf), [15, 12, 15, 7]);
    const used = new Set(Array.from({ length: 200 }, (_, n) => shardOf(`group-${n}`)));
    assert.equal(used.size, 16);
  });
});
