import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ErrorCode, MillraceError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import type { GroupCommand, OffsetToCommit, SeekPosition } from "../../src/consumer-groups/commands.ts";
import { defaultGroupSettings } from "../../src/consumer-groups/settings.ts";
import { beating, Coordinator, joining, offset } from "./groups-fixture.ts";

const outside = (...offsets: OffsetToCommit[]): GroupCommand => ({ kind: "commitOffsets", groupId: "full", member: undefined, offsets });
const x = (count: number): string => "x".repeat(count);

/** Each limit of the coordinator, and a command that is over it by one; those who are within it are there already. */
const rows: readonly (readonly [limit: string, code: ErrorCode, over: (c: Coordinator) => GroupCommand])[] = [
  ["group.name.max", "INVALID_NAME", () => joining(x(250), "a", ["t"])],
  ["group.member.id.max", "INVALID_REQUEST", () => joining("g", x(256), ["t"])],
  ["group.member.id.max", "INVALID_REQUEST", () => joining("g", "a", ["t"], { instanceId: x(256) })],
  ["topic.name.max", "INVALID_NAME", () => joining("g", "a", [x(250)])],
  ["groups.per.coordinator.max", "TOO_MANY_REQUESTS", () => joining("another", "a", ["t"])],
  ["group.members.max", "TOO_MANY_REQUESTS", () => joining("g", "c", ["t"])],
  ["group.topics.per.member.max", "TOO_MANY_REQUESTS", () => joining("g", "a", ["t", "u", "v"])],
  ["group.rebalance.timeout.max.ms", "INVALID_REQUEST", () => joining("g", "a", ["t"], { rebalanceTimeoutMs: 3_600_001 })],
  [
    "group.rebalance.timeout.max.ms",
    "INVALID_REQUEST",
    (c) =>
      beating("g", "a", c.group("g").members.get("a")?.epoch ?? 0, {
        subscription: { topics: ["t"], topicPattern: "", assignor: "", rebalanceTimeoutMs: 3_600_001 },
      }),
  ],
  ["group.offsets.per.commit.max", "TOO_MANY_REQUESTS", () => outside(...[0, 1, 2, 3].map((partition) => offset("t", partition, 1)))],
  [
    "group.offsets.max",
    "TOO_MANY_REQUESTS",
    (c) => {
      const topicId = c.topics.byName("t")?.id ?? assert.fail();
      const position = (partition: number): SeekPosition => ({ topicId, partition, offset: 1, logStartOffset: 0, highWatermark: 9 });
      return { kind: "seekGroup", groupId: "full", positions: [2, 3].map(position), dryRun: true, force: false };
    },
  ],
];

describe("A limit of a coordinator that is reached", () => {
  const made = (): Coordinator => {
    const c = new Coordinator();
    c.settings = {
      ...defaultGroupSettings,
      groupsMax: 2,
      membersPerGroupMax: 2,
      topicsPerMemberMax: 2,
      offsetsPerGroupMax: 3,
      offsetsPerCommitMax: 3,
    };
    c.topics.make("t", 8);
    for (const member of ["a", "b"]) c.told(joining("g", member, ["t", "u"]));
    assert.deepEqual(c.commit("full", undefined, offset("t", 0, 1), offset("t", 1, 1)), ["ok", "ok"]);
    return c;
  };

  for (const [limit, code, over] of rows)
    it(`is named: ${limit} (${code})`, () => {
      const c = made();
      const decision = c.step(over(c));
      assert.ok("error" in decision && decision.error instanceof MillraceError, JSON.stringify(decision));
      assert.deepEqual([decision.error.code, decision.error.metadata["limit"]], [code, limit]);
    });

  it("is named of the offset that is over it: offset.metadata.max.bytes, group.offsets.max", () => {
    const c = made();
    const metadata = x(4 * 1024);
    assert.deepEqual(c.commit("full", undefined, offset("t", 0, 2, { metadata }), offset("t", 1, 2, { metadata: `${metadata}x` })), [
      "ok",
      "OFFSET_METADATA_TOO_LARGE",
    ]);
    assert.deepEqual(c.commit("full", undefined, offset("t", 2, 1), offset("t", 3, 1)), ["ok", "TOO_MANY_REQUESTS"]);
    const reply = c.ok(outside(offset("t", 4, 1)));
    assert.ok(reply.kind === "offsets");
    assert.equal(reply.refused[0]?.error.metadata["limit"], "group.offsets.max");
  });

  it("stops nobody who is within it, and the last epochs are kept for those that leave: group.epochs.max", () => {
    const c = made();
    c.group("g").epoch = limits["group.epochs.max"].value;
    const decision = c.step(joining("g", "a", ["t"]));
    assert.ok("error" in decision);
    assert.deepEqual([decision.error.code, decision.error.metadata["limit"]], ["TOO_MANY_REQUESTS", "group.epochs.max"]);
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
  });
});
