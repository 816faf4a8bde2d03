import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fetchOffsets } from "../../src/consumer-groups/reads.ts";
import { beating, Coordinator, flat, joining, offset } from "./groups-fixture.ts";

const DAY = 24 * 3_600_000;

function one(): { c: Coordinator; id: ReturnType<Coordinator["topics"]["make"]>; a: { id: string; epoch: number } } {
  const c = new Coordinator();
  const id = c.topics.make("t", 4);
  const a = { id: "a", epoch: c.told(joining("g", "a", ["t"])).memberEpoch };
  return { c, id, a };
}

describe("commits of a group", () => {
  it("are kept with metadata, leader epoch and time, and are read back", () => {
    const { c, id, a } = one();
    assert.deepEqual(c.commit("g", a, offset("t", 0, 7, { metadata: "säge", term: 3, topicId: id })), ["ok"]);
    assert.deepEqual(fetchOffsets(c.image, "g", [{ topicId: id, partitions: [0, 1] }]), [
      { topicId: id, partition: 0, committed: { offset: 7, term: 3, metadata: "säge", committedAtMs: c.wall } },
      { topicId: id, partition: 1, committed: undefined },
    ]);
    assert.equal(fetchOffsets(c.image, "g", undefined).length, 1);
    assert.deepEqual(fetchOffsets(c.image, "nobody", undefined), []);
  });

  it("each bad one is refused by its own code, and the others of the call are committed", () => {
    const { c, id, a } = one();
    const other = c.topics.make("u", 1);
    assert.deepEqual(
      c.commit(
        "g",
        a,
        offset("t", 0, 7),
        offset("nothing", 0, 7),
        offset("t", 1, 7, { topicId: other }),
        offset("t", 4, 7),
        offset("t", -1, 7),
        offset("t", 1, -7),
        offset("t", 1, 7, { metadata: "x".repeat(4097) }),
        offset("t", 1, 7, { metadata: "ä".repeat(2049) }),
        offset("u", 0, 7),
        offset("t", 1, 8, { highWatermark: 7 }),
        offset("t", 0, 8),
        offset("t", 2, 7, { metadata: "ä".repeat(2048), highWatermark: 7 }),
      ),
      [
        "ok",
        "UNKNOWN_TOPIC",
        "UNKNOWN_TOPIC",
        "UNKNOWN_PARTITION",
        "UNKNOWN_PARTITION",
        "INVALID_REQUEST",
        "OFFSET_METADATA_TOO_LARGE",
        "OFFSET_METADATA_TOO_LARGE",
        "PARTITION_NOT_OWNED",
        "OFFSET_OUT_OF_RANGE",
        "INVALID_REQUEST",
        "ok",
      ],
    );
    assert.deepEqual(
      fetchOffsets(c.image, "g", undefined).map(({ topicId, partition }) => [topicId, partition]),
      [
        [id, 0],
        [id, 2],
      ],
    );
  });

  it("go forwards only; equal ones may be repeated; back only where the log lost its end", () => {
    const { c, id, a } = one();
    assert.deepEqual(c.commit("g", a, offset("t", 0, 7)), ["ok"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 6)), ["COMMIT_BEHIND"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 6, { highWatermark: 7 })), ["COMMIT_BEHIND"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 7)), ["ok"]);
    // Another commit came after the end of the log was asked for: it says nothing of that one.
    assert.deepEqual(c.commit("g", a, offset("t", 0, 5, { highWatermark: 6, seen: 5 })), ["COMMIT_BEHIND"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 5, { highWatermark: 6, seen: 7 })), ["ok"]);
    assert.equal(c.committed("g", id, 0), 5);
    // Written anew beyond what is committed: its term says that it is not what was read.
    assert.deepEqual(c.commit("g", a, offset("t", 0, 3, { highWatermark: 9, seen: 4, truncated: true })), ["COMMIT_BEHIND"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 3, { highWatermark: 9, seen: 5, truncated: false })), ["COMMIT_BEHIND"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 3, { highWatermark: 9, seen: 5, truncated: true })), ["ok"]);
    assert.equal(c.committed("g", id, 0), 3);
  });

  it("are not judged by the end of a topic that had the name before", () => {
    const c = new Coordinator();
    const former = c.topics.make("t", 4);
    c.topics.drop("t");
    const id = c.topics.make("t", 4);
    // Beyond what the former one held.
    assert.deepEqual(c.commit("g", undefined, offset("t", 0, 20, { highWatermark: 7, seen: 0, endOf: former })), ["ok"]);
    // Its end lies below what is committed: of a log that lost its end.
    assert.deepEqual(c.commit("g", undefined, offset("t", 0, 3, { highWatermark: 7, seen: 20, endOf: former })), ["COMMIT_BEHIND"]);
    assert.equal(c.committed("g", id, 0), 20);
    assert.deepEqual(c.commit("g", undefined, offset("t", 0, 3, { highWatermark: 7, seen: 20, endOf: id })), ["ok"]);
  });

  it("of a partition that is being given back are taken until it is", () => {
    const { c, a } = one();
    c.told(joining("g", "b", ["t"]));
    const { memberEpoch } = c.told(beating("g", "a", a.epoch));
    // At the epoch before it heard of the revocation, and at the one of it.
    assert.deepEqual(c.commit("g", a, offset("t", 3, 5)), ["ok"]);
    assert.deepEqual(c.commit("g", { id: "a", epoch: memberEpoch }, offset("t", 3, 6)), ["ok"]);
    c.told(beating("g", "a", memberEpoch, { owned: [{ topicId: c.topics.byName("t")?.id ?? assert.fail(), partitions: [0, 1] }] }));
    assert.deepEqual(c.commit("g", { id: "a", epoch: memberEpoch }, offset("t", 3, 7)), ["PARTITION_NOT_OWNED"]);
    assert.deepEqual(c.commit("g", { id: "b", epoch: c.group("g").epoch }, offset("t", 3, 7)), ["ok"]);
  });

  it("made before a partition came back to the member are refused", () => {
    const { c, id, a } = one();
    c.told(joining("g", "b", ["t"]));
    const { memberEpoch } = c.told(beating("g", "a", a.epoch));
    const half = [{ topicId: id, partitions: [0, 1] }];
    c.told(beating("g", "a", memberEpoch, { owned: half }));
    c.ok({ kind: "leave", groupId: "g", memberId: "b", instanceId: undefined, forGood: true });
    assert.deepEqual(flat(c.told(beating("g", "a", memberEpoch)).assignment), ["1:0", "1:1", "1:2", "1:3"]);
    assert.deepEqual(c.commit("g", { id: "a", epoch: memberEpoch }, offset("t", 3, 5), offset("t", 0, 5)), ["STALE_MEMBER_EPOCH", "ok"]);
  });

  it("from outside only while there are no members; by strangers never", () => {
    const { c, id, a } = one();
    const outside = { kind: "commitOffsets", groupId: "g", member: undefined, offsets: [offset("t", 0, 1)] } as const;
    assert.equal(c.refused(outside), "GROUP_NOT_EMPTY");
    assert.equal(c.refused({ ...outside, member: { id: "z", epoch: 1 } }), "UNKNOWN_MEMBER");
    assert.equal(c.refused({ ...outside, groupId: "h", member: a }), "UNKNOWN_MEMBER");
    assert.equal(c.refused({ ...outside, member: { ...a, epoch: 99 } }), "MEMBER_FENCED");
    c.ok({ ...outside, groupId: "h" });
    assert.equal(c.committed("h", id, 0), 1);
  });

  it("are bounded in one call and in a group", () => {
    const { c, a } = one();
    c.settings = { ...c.settings, offsetsPerCommitMax: 2, offsetsPerGroupMax: 3 };
    const three = [offset("t", 0, 1), offset("t", 1, 1), offset("t", 2, 1)];
    assert.equal(c.refused({ kind: "commitOffsets", groupId: "g", member: a, offsets: three }), "TOO_MANY_REQUESTS");
    c.commit("g", a, offset("t", 0, 1), offset("t", 1, 1));
    assert.deepEqual(c.commit("g", a, offset("t", 2, 1), offset("t", 3, 1)), ["ok", "TOO_MANY_REQUESTS"]);
    assert.deepEqual(c.commit("g", a, offset("t", 0, 2), offset("t", 3, 1)), ["ok", "TOO_MANY_REQUESTS"]);
  });
});

describe("what operators do to a group", () => {
  const at = (topicId: ReturnType<Coordinator["topics"]["make"]>, partition: number, to: number) => ({
    topicId,
    partition,
    offset: to,
    logStartOffset: 2,
    highWatermark: 10,
  });

  it("a seek shows its plan, changes nothing as a dry run, and may go back", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 2);
    c.commit("g", undefined, offset("t", 0, 8));
    const seek = { kind: "seekGroup", groupId: "g", positions: [at(id, 0, 3), at(id, 1, 10)], dryRun: true, force: false } as const;
    const plan = {
      kind: "seek",
      steps: [
        { topicId: id, partition: 0, before: 8, after: 3 },
        { topicId: id, partition: 1, before: undefined, after: 10 },
      ],
    };
    assert.deepEqual(c.ok(seek), plan);
    assert.equal(c.committed("g", id, 0), 8);
    assert.deepEqual(c.ok({ ...seek, dryRun: false }), plan);
    assert.deepEqual([c.committed("g", id, 0), c.committed("g", id, 1)], [3, 10]);
  });

  it("a seek outside of the log, of a partition that is not there or given twice moves nothing", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 2);
    const seek = (...positions: ReturnType<typeof at>[]) =>
      c.refused({ kind: "seekGroup", groupId: "g", positions, dryRun: false, force: false });
    assert.equal(seek(at(id, 0, 3), at(id, 1, 11)), "OFFSET_OUT_OF_RANGE");
    assert.equal(seek(at(id, 0, 1)), "OFFSET_OUT_OF_RANGE");
    assert.equal(seek(at(id, 2, 3)), "UNKNOWN_PARTITION");
    assert.equal(seek(at(id, 0, 3), at(id, 0, 4)), "INVALID_REQUEST");
    c.topics.drop("t");
    assert.equal(seek(at(id, 0, 3)), "UNKNOWN_TOPIC");
    assert.equal(c.image.group("g"), undefined);
  });

  it("a seek and a deletion are bounded in one call, a seek in the group too", () => {
    const c = new Coordinator();
    const id = c.topics.make("t", 4);
    c.settings = { ...c.settings, offsetsPerGroupMax: 3 };
    const seek = (...partitions: number[]) =>
      ({ kind: "seekGroup", groupId: "g", positions: partitions.map((n) => at(id, n, 3)), dryRun: false, force: false }) as const;
    assert.equal(c.refused(seek(0, 1, 2, 3)), "TOO_MANY_REQUESTS");
    c.ok(seek(0, 1));
    assert.equal(c.refused(seek(2, 3)), "TOO_MANY_REQUESTS");
    c.ok(seek(1, 2));
    assert.equal(
      c.refused({ kind: "deleteOffsets", groupId: "g", topics: [{ topicId: id, partitions: [0, 1, 2, 3, 4, 5] }] }),
      "TOO_MANY_REQUESTS",
    );
    assert.equal(c.committed("g", id, 0), 3);
  });

  it("a seek of a group with members needs force, and then no commit of theirs lands on top of it", () => {
    const { c, id, a } = one();
    c.commit("g", a, offset("t", 0, 8));
    const seek = { kind: "seekGroup", groupId: "g", positions: [at(id, 0, 3)], dryRun: false, force: false } as const;
    assert.equal(c.refused(seek), "GROUP_NOT_EMPTY");
    c.ok({ ...seek, force: true });
    assert.throws(() => c.commit("g", a, offset("t", 0, 9)), { code: "UNKNOWN_MEMBER" });
    const back = c.told(joining("g", "a", ["t"]));
    assert.ok(back.memberEpoch > a.epoch);
    assert.equal(c.committed("g", id, 0), 3);
  });

  it("a group with members is not deleted, nor offsets of a topic they subscribe to", () => {
    const { c, id, a } = one();
    const other = c.topics.make("u", 1);
    c.commit("g", a, offset("t", 0, 8));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    c.commit("g", undefined, offset("u", 0, 8));
    c.told(joining("g", "a", ["t"]));
    assert.equal(c.refused({ kind: "deleteGroup", groupId: "g" }), "GROUP_NOT_EMPTY");
    const topics = [
      { topicId: id, partitions: [0] },
      { topicId: other, partitions: [0, 0, 5] },
    ];
    const reply = c.ok({ kind: "deleteOffsets", groupId: "g", topics });
    assert.ok(reply.kind === "offsets");
    assert.deepEqual(
      reply.refused.map(({ at: place, error }) => [place, error.code]),
      [[0, "GROUP_NOT_EMPTY"]],
    );
    assert.deepEqual([c.committed("g", id, 0), c.committed("g", other, 0)], [8, undefined]);
  });

  it("a group that was deleted begins anew without offsets, and at a later epoch than any it had", () => {
    const { c, id, a } = one();
    c.commit("g", a, offset("t", 0, 8));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    const { epoch } = c.group("g");
    c.ok({ kind: "deleteGroup", groupId: "g" });
    assert.equal(c.refused({ kind: "deleteGroup", groupId: "g" }), "UNKNOWN_GROUP");
    assert.equal(c.refused({ kind: "deleteOffsets", groupId: "g", topics: [] }), "UNKNOWN_GROUP");
    c.failOver();
    assert.ok(c.told(joining("g", "a", ["t"])).memberEpoch > epoch);
    assert.equal(c.committed("g", id, 0), undefined);
  });
});

describe("expiry of offsets", () => {
  const expire = { kind: "expireOffsets", groupId: "g", unknownSinceMs: 0 } as const;

  it("never touches a group that has members, however long ago it committed", () => {
    const { c, id, a } = one();
    c.commit("g", a, offset("t", 0, 8));
    c.wall += 5 * 365 * DAY;
    c.ok(expire);
    assert.equal(c.committed("g", id, 0), 8);
  });

  it("counts from when the last member went, not from the last commit", () => {
    const { c, id, a } = one();
    c.commit("g", a, offset("t", 0, 8));
    c.wall += 30 * DAY;
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    c.wall += 7 * DAY - 1;
    c.ok(expire);
    assert.equal(c.committed("g", id, 0), 8);
    c.wall += 1;
    c.ok(expire);
    assert.equal(c.image.group("g"), undefined);
  });

  it("leaves no group behind that has neither members nor offsets", () => {
    const { c } = one();
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    c.ok(expire);
    assert.equal(c.image.group("g"), undefined);
  });

  it("counts what happened at an unknown time from when the one that expires began to know", () => {
    const { c, id, a } = one();
    c.trusted = false;
    c.wall -= 8 * DAY;
    c.commit("g", a, offset("t", 0, 8));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    c.failOver();
    c.trusted = true;
    c.wall += 8 * DAY;
    const since = c.wall;
    c.ok({ ...expire, unknownSinceMs: since });
    c.wall += 7 * DAY - 1;
    c.ok({ ...expire, unknownSinceMs: since });
    assert.equal(c.committed("g", id, 0), 8);
    c.wall += 1;
    c.ok({ ...expire, unknownSinceMs: since });
    assert.equal(c.image.group("g"), undefined);
  });

  it("spares what was committed from outside since", () => {
    const { c, id, a } = one();
    c.commit("g", a, offset("t", 0, 8));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    c.wall += 3 * DAY;
    c.commit("g", undefined, offset("t", 1, 8));
    c.wall += 4 * DAY;
    c.ok(expire);
    assert.deepEqual([c.committed("g", id, 0), c.committed("g", id, 1)], [undefined, 8]);
  });
});

describe("bad input to a group", () => {
  it("names, subscriptions and counts have bounds", () => {
    const c = new Coordinator();
    c.settings = { ...c.settings, membersPerGroupMax: 2, groupsMax: 1, topicsPerMemberMax: 2 };
    for (const name of ["", ".", "__groups", "a b", "x".repeat(250)]) assert.equal(c.refused(joining(name, "a", ["t"])), "INVALID_NAME");
    assert.equal(c.refused(joining("g", "", ["t"])), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "x".repeat(256), ["t"])), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "a", ["t"], { instanceId: "a\n" })), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "a", [])), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "a", ["t", "u", "v"])), "TOO_MANY_REQUESTS");
    for (const name of ["", "__groups", "t,u", "x".repeat(250)]) assert.equal(c.refused(joining("g", "a", ["t", name])), "INVALID_NAME");
    assert.equal(c.refused(joining("g", "a", ["t"], { assignor: "toString" })), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "a", ["t"], { rebalanceTimeoutMs: -1 })), "INVALID_REQUEST");
    assert.equal(c.refused(joining("g", "a", ["t"], { rack: "r".repeat(256) })), "INVALID_REQUEST");
    c.told(joining("g", "a", ["t"], { instanceId: "x" }));
    assert.equal(c.refused(joining("h", "a", ["t"])), "TOO_MANY_REQUESTS");
    c.told(joining("g", "b", ["t"]));
    assert.equal(c.refused(joining("g", "c", ["t"])), "TOO_MANY_REQUESTS");
    // Who is there, or takes the place of one that went for a while, adds nothing.
    c.told(joining("g", "b", ["t"]));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: "x", forGood: false });
    c.told(joining("g", "c", ["t"], { instanceId: "x" }));
    const beat = beating("g", "b", c.group("g").members.get("b")?.epoch ?? 0, {
      subscription: { topics: [], topicPattern: "", assignor: "", rebalanceTimeoutMs: 0 },
    });
    assert.equal(c.refused(beat), "INVALID_REQUEST");
  });

  it("a group that has used up its epochs takes nobody in, and lets everybody go", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    const a = c.told(joining("g", "a", ["t"]));
    const last = 2 ** 31 - 2 ** 24;
    c.append("g", [{ ...c.target("g"), epoch: last }]);
    assert.equal(c.refused(joining("g", "b", ["t"])), "TOO_MANY_REQUESTS");
    const subscription = { topics: ["u"], topicPattern: "", assignor: "", rebalanceTimeoutMs: 0 };
    assert.equal(c.refused(beating("g", "a", a.memberEpoch, { subscription })), "TOO_MANY_REQUESTS");
    c.told(beating("g", "a", a.memberEpoch));
    c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    assert.equal(c.group("g").epoch, last + 1);
  });

  it("a group nobody knows has no members, and expires or refreshes nothing", () => {
    const c = new Coordinator();
    assert.equal(c.refused(beating("g", "a", 1)), "UNKNOWN_MEMBER");
    c.ok({ kind: "expireOffsets", groupId: "g", unknownSinceMs: 0 });
    c.ok({ kind: "refreshTopics", groupId: "g", deleted: [] });
    c.ok({ kind: "expireMember", groupId: "g", memberId: "a", joinEpoch: 1, revoking: undefined });
    assert.equal(c.image.version, 0);
  });
});
