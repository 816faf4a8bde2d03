import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TopicId } from "../../src/base/ids.ts";
import { describeAnswer } from "../../src/consumer-groups/answers.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import { isOutdated } from "../../src/consumer-groups/retarget.ts";
import { bool, int32, int64, message, repeated, string, submessage } from "../../src/protocol/codec/index.ts";
import { DescribeGroupResponse } from "../../src/protocol/public.ts";
import { beating, Coordinator, flat, joining, offset } from "./groups-fixture.ts";

const byPattern = (memberId: string, topicPattern: string, topics: readonly string[] = []) =>
  joining("g", memberId, topics, { topicPattern });
const refresh = (...deleted: TopicId[]) => ({ kind: "refreshTopics", groupId: "g", deleted }) as const;

/** What a member holds, by topic and partition. */
function holds(c: Coordinator, memberId: string): readonly string[] {
  const held: string[] = [];
  c.group("g").held.forEach(({ member }, topicId, partition) => {
    if (member === memberId) held.push(`${c.topics.byId(topicId)?.name}:${partition}`);
  });
  return held.sort();
}

describe("a member that subscribes by pattern", () => {
  it("is given all topics that there are, and those that come; those that go are gone", () => {
    const c = new Coordinator();
    c.topics.make("a.1", 2);
    c.topics.make("b.1", 1);
    assert.deepEqual(flat(c.told(byPattern("m", "a\\..*")).assignment), ["1:0", "1:1"]);
    c.topics.make("a.2", 1);
    c.topics.make("xa.3", 1);
    assert.ok(isOutdated(c.group("g"), c));
    c.ok(refresh());
    assert.ok(!isOutdated(c.group("g"), c));
    assert.deepEqual(holds(c, "m"), ["a.1:0", "a.1:1", "a.2:0"]);
    c.topics.grow("a.2", 2);
    c.ok(refresh());
    assert.deepEqual(holds(c, "m"), ["a.1:0", "a.1:1", "a.2:0", "a.2:1"]);
    const gone = c.topics.drop("a.1") ?? assert.fail();
    c.ok(refresh(gone));
    assert.deepEqual(
      [...c.group("g").target.values()].map(({ name }) => name),
      ["a.2"],
    );
    // The same name, another topic: it is matched anew.
    c.topics.make("a.1", 1);
    c.ok(refresh());
    assert.ok(holds(c, "m").includes("a.1:0"));
  });

  it("may share topics with members that name theirs, or match others", () => {
    const c = new Coordinator();
    for (const name of ["a", "b", "c"]) c.topics.make(name, 2);
    c.told(byPattern("m", "[ab]"));
    c.told(joining("g", "n", ["b", "c"]));
    c.told(byPattern("o", "x.*", ["c"]));
    const subscribed: Record<string, readonly string[]> = { m: ["a", "b"], n: ["b", "c"], o: ["c"] };
    for (const { name, owners } of c.group("g").target.values())
      for (const owner of owners) assert.ok(subscribed[owner ?? ""]?.includes(name), `${owner} does not read ${name}`);
    assert.deepEqual([...c.group("g").target.values()].map(({ name }) => name).sort(), ["a", "b", "c"]);
    c.topics.make("x1", 3);
    c.ok(refresh());
    assert.equal(
      [...c.group("g").target.values()].find(({ name }) => name === "x1")?.owners.every((owner) => owner === "o"),
      true,
    );
  });

  it("may want another pattern, or none any more; a heartbeat that says nothing of it changes nothing", () => {
    const c = new Coordinator();
    for (const name of ["a", "b"]) c.topics.make(name, 1);
    const { memberEpoch } = c.told(byPattern("m", "a"));
    const frames = c.log.length;
    c.told(beating("g", "m", memberEpoch));
    assert.equal(c.log.length, frames);
    const subscription = { topics: [], topicPattern: "b", assignor: "", rebalanceTimeoutMs: 0 };
    c.told(beating("g", "m", memberEpoch, { subscription }));
    assert.equal(c.group("g").members.get("m")?.topicPattern, "b");
    assert.deepEqual(
      [...c.group("g").target.values()].map(({ name }) => name),
      ["b"],
    );
    const again = c.log.length;
    c.told(beating("g", "m", memberEpoch, { subscription }));
    assert.equal(c.log.length, again, "it is what it wants already");
    c.told(beating("g", "m", memberEpoch, { subscription: { ...subscription, topics: ["a"], topicPattern: "" } }));
    assert.deepEqual(
      [...c.group("g").target.values()].map(({ name }) => name),
      ["a"],
    );
  });

  it("is refused when it wants nothing, or its pattern is none", () => {
    const c = new Coordinator();
    assert.equal(c.refused(byPattern("m", "")), "INVALID_REQUEST");
    assert.equal(c.refused(byPattern("m", "(")), "INVALID_REQUEST");
    const { memberEpoch } = c.told(byPattern("m", "nothing.*"));
    assert.deepEqual(c.group("g").target.size, 0);
    const subscription = { topics: ["t"], topicPattern: "(", assignor: "", rebalanceTimeoutMs: 0 };
    assert.equal(c.refused(beating("g", "m", memberEpoch, { subscription })), "INVALID_REQUEST");
  });

  it("is given no more topics than it may have: it keeps those it reads, and the group says what is left out", () => {
    const c = new Coordinator();
    c.settings = { ...c.settings, topicsPerMemberMax: 3 };
    for (const name of ["n", "p2", "p3"]) c.topics.make(name, 1);
    c.told(byPattern("m", "p.*", ["n"]));
    const described = () => {
      const answer = DescribeGroupResponse.decode(DescribeGroupResponse.encode(describeAnswer(c.group("g"), c)));
      return answer.members.map(({ topics, topicPattern, topicsLeftOut }) => [topics, topicPattern, topicsLeftOut]);
    };
    assert.deepEqual(described(), [[["n"], "p.*", 0]]);
    c.topics.make("p1", 1);
    c.topics.make("p0", 1);
    assert.ok(!isOutdated(c.group("g"), c), "nothing is to be done for what it has no room for");
    c.ok(refresh());
    assert.deepEqual(holds(c, "m"), ["n:0", "p2:0", "p3:0"]);
    assert.deepEqual(described(), [[["n"], "p.*", 2]]);
    c.topics.drop("p3");
    c.ok(refresh());
    assert.deepEqual([...c.group("g").target.values()].map(({ name }) => name).sort(), ["n", "p0", "p2"]);
    assert.deepEqual(described(), [[["n"], "p.*", 1]]);
  });

  it("protects what is committed of topics that it matches from deletion, and no other", () => {
    const c = new Coordinator();
    const a = c.topics.make("a", 1);
    const b = c.topics.make("b", 1);
    c.commit("g", undefined, offset("a", 0, 1), offset("b", 0, 1));
    c.told(byPattern("m", "a.*"));
    const reply = c.ok({ kind: "deleteOffsets", groupId: "g", topics: [a, b].map((topicId) => ({ topicId, partitions: [0] })) });
    assert.ok(reply.kind === "offsets");
    assert.deepEqual(
      reply.refused.map(({ at, error }) => [at, error.code]),
      [[0, "GROUP_NOT_EMPTY"]],
    );
    assert.deepEqual([c.committed("g", a, 0), c.committed("g", b, 0)], [1, undefined]);
  });

  it("keeps its pattern over a snapshot and the death of the coordinator", () => {
    const c = new Coordinator();
    c.topics.make("a", 1);
    c.told(byPattern("m", "a|b"));
    c.failOver();
    c.topics.make("b", 1);
    assert.ok(isOutdated(c.group("g"), c));
    c.ok(refresh());
    assert.deepEqual(holds(c, "m"), ["a:0", "b:0"]);
  });
});

describe("a snapshot from before there were patterns", () => {
  const Member = message("test.Member", {
    ...{
      id: string(1),
      instanceId: string(2),
      rack: string(3),
      clientAddress: string(4),
      topics: repeated(string(5)),
      assignor: string(6),
    },
    ...{ rebalanceTimeoutMs: int32(7), joinEpoch: int32(8), epoch: int32(9), away: bool(10) },
  });
  const Group = message("test.Group", { id: string(1), epoch: int32(2), assignor: string(4), members: repeated(submessage(6, Member)) });
  const Header = message("test.Header", { formatVersion: int32(1), version: int64(2), groups: int32(4) });
  const Snapshot = message("test.Snapshot", { header: submessage(1, Header), groups: repeated(submessage(2, Group)) });

  it("opens: its members subscribe by name alone", () => {
    const c = new Coordinator();
    c.topics.make("t", 1);
    const member = { id: "m", topics: ["t"], rebalanceTimeoutMs: 60_000, joinEpoch: 1, epoch: 1 };
    const group = { id: "g", epoch: 1, assignor: "uniform", members: [member] };
    c.image = GroupsImage.restore(Snapshot.encode({ header: { formatVersion: 1, version: 0, groups: 1 }, groups: [group] }));
    assert.equal(c.group("g").members.get("m")?.topicPattern, "");
    c.ok(refresh());
    assert.deepEqual(holds(c, "m"), ["t:0"]);
  });
});
