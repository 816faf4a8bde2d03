import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MemberState } from "../../../src/protocol/public.ts";
import { GroupState, LagVerdict } from "../../../src/protocol/public.ts";
import * as rpc from "../stubs.ts";
import { GroupCluster, held, refusals } from "./group-cluster.ts";

/** Through any broker, and to whichever coordinates. */
describe("Groups of a cluster", () => {
  let groups: GroupCluster;
  before(async () => {
    groups = await GroupCluster.start({ seed: 501 });
    await groups.cluster.createTopic("t", 4);
    for (let partition = 0; partition < 4; partition++) await groups.fill("t", partition, 20);
  });
  after(() => groups.cluster.close());

  it("do not make anything when they are only asked about", async () => {
    assert.deepEqual((await groups.cluster.call(1, rpc.ListGroups, {})).groups, []);
    assert.deepEqual(await groups.committed(2, "g"), []);
    await groups.cluster.refused(3, rpc.DescribeGroup, { groupId: "g" }, "UNKNOWN_GROUP");
    await groups.cluster.refused(3, rpc.DeleteGroup, { groupId: "g" }, "UNKNOWN_GROUP");
    assert.equal(groups.cluster.broker(1).groups?.made, false);
  });

  it("share the partitions of a topic, revoked before they are granted, through whatever broker", async () => {
    const a = await groups.join(1, "g", "a", ["t"]);
    assert.deepEqual(held(a), ["t:0", "t:1", "t:2", "t:3"]);
    const b = await groups.join(2, "g", "b", ["t"]);
    assert.deepEqual(held(b), []);
    const told = await groups.beat(3, { groupId: "g", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.deepEqual([told.assignmentChanged, held(told).length], [true, 2]);
    const still = await groups.beat(3, { groupId: "g", memberId: "b", memberEpoch: b.memberEpoch, owned: [] });
    assert.equal(still.assignmentChanged, false, "a holds them yet");
    await groups.beat(1, { groupId: "g", memberId: "a", memberEpoch: told.memberEpoch, owned: told.assignment });
    const granted = await groups.beat(2, { groupId: "g", memberId: "b", memberEpoch: b.memberEpoch, owned: [] });
    assert.deepEqual([...held(granted), ...held(told)].sort(), ["t:0", "t:1", "t:2", "t:3"]);
    assert.equal(granted.coordinatorId, await groups.coordinator("g"));
  });

  it("commit and fetch offsets through any broker, and each reads what any other wrote", async () => {
    for (const via of [1, 2, 3]) {
      const group = `commits-${via}`;
      const member = await groups.join(via, group, "a", ["t"]);
      assert.deepEqual(refusals(await groups.commit(via, group, member, { "t:0": 5, "t:3": 20 })), []);
      for (const reader of [1, 2, 3]) assert.deepEqual(await groups.committed(reader, group), ["t:0=5", "t:3=20"]);
    }
    const asked = await groups.cluster.call(1, rpc.FetchOffsets, { groupId: "commits-1", topics: [{ topic: "t", partitions: [1, 3] }] });
    assert.deepEqual(
      asked.offsets.map(({ partition, offset }) => [partition, offset]),
      [
        [1, undefined],
        [3, 20],
      ],
    );
  });

  it("refuse each offset of a commit by itself, and commit the others", async () => {
    const member = await groups.join(1, "picky", "a", ["t"]);
    const answer = await groups.commit(2, "picky", member, { "t:0": 5, "t:1": 21, "t:9": 1, "none:0": 1, "t:2": 3 });
    assert.deepEqual(refusals(answer), ["t:1 OFFSET_OUT_OF_RANGE", "t:9 UNKNOWN_PARTITION", "none:0 UNKNOWN_TOPIC"]);
    assert.deepEqual(await groups.committed(3, "picky"), ["t:0=5", "t:2=3"]);
    assert.deepEqual(refusals(await groups.commit(3, "picky", member, { "t:0": 4 })), ["t:0 COMMIT_BEHIND"]);
  });

  it("are listed over all coordinators, described, and deleted when nobody is in them", async () => {
    const names = Array.from({ length: 12 }, (_, n) => `list-${n}`);
    for (const name of names) await groups.commit(1, name, undefined, { "t:0": 1 });
    const list = await groups.cluster.call(2, rpc.ListGroups, {});
    const listed = list.groups.filter(({ groupId }) => groupId.startsWith("list-"));
    assert.deepEqual(listed.map(({ groupId }) => groupId).sort(), [...names].sort());
    assert.ok(listed.every(({ state, members }) => state === GroupState.empty && members === 0));
    await groups.cluster.call(3, rpc.DeleteGroup, { groupId: "list-0" });
    await groups.cluster.refused(1, rpc.DescribeGroup, { groupId: "list-0" }, "UNKNOWN_GROUP");
    assert.deepEqual(await groups.committed(1, "list-0"), []);
    const member = await groups.join(1, "list-1", "a", ["t"]);
    await groups.cluster.refused(2, rpc.DeleteGroup, { groupId: "list-1" }, "GROUP_NOT_EMPTY");
    const left = await groups.beat(2, { groupId: "list-1", memberId: "a", memberEpoch: -1 });
    assert.deepEqual([left.memberId, left.memberEpoch], ["a", -1]);
    await groups.cluster.refused(
      2,
      rpc.Heartbeat,
      { heartbeat: { groupId: "list-1", memberId: "a", memberEpoch: member.memberEpoch } },
      "UNKNOWN_MEMBER",
    );
    await groups.cluster.call(3, rpc.DeleteGroup, { groupId: "list-1" });
  });

  it("are listed in pages by name, over all coordinators: each group in one of them, also while others come and go", async () => {
    const names = Array.from({ length: 23 }, (_, n) => `page-${String(n).padStart(2, "0")}`);
    for (const name of names) await groups.commit(1, name, undefined, { "t:0": 1 });
    const sizes: number[] = [];
    const told: string[] = [];
    for (let pageToken = "page-"; ; ) {
      const page = await groups.cluster.call(2, rpc.ListGroups, { pageSize: 10, pageToken });
      const here = page.groups.map(({ groupId }) => groupId);
      assert.deepEqual(here, here.toSorted());
      sizes.push(here.length);
      told.push(...here.filter((name) => names.includes(name)));
      if (sizes.length === 1) await groups.cluster.call(3, rpc.DeleteGroup, { groupId: "page-05" });
      if (page.nextPageToken === "") break;
      assert.equal(page.nextPageToken, here.at(-1));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(told, names);
    assert.ok(sizes.slice(0, -1).every((size) => size === 10));
    const last = await groups.cluster.call(1, rpc.ListGroups, { pageSize: 5_000 });
    assert.equal(last.nextPageToken, "", "a page that has all is the last one");
    await groups.cluster.refused(1, rpc.ListGroups, { pageSize: -1 }, "INVALID_REQUEST");
    await groups.cluster.refused(1, rpc.ListGroups, { pageToken: "no name\u0000" }, "INVALID_REQUEST");
  });

  it("tell the lag also of those partitions of a topic that nobody has committed anything of, though nobody is in them", async () => {
    await groups.commit(1, "partly", undefined, { "t:1": 20 });
    const { state, partitions } = await groups.cluster.call(2, rpc.DescribeGroup, { groupId: "partly" });
    assert.equal(state, GroupState.empty);
    assert.deepEqual(
      partitions.map(({ partition, committedOffset, lag }) => [partition, committedOffset, lag]),
      [
        [0, undefined, 20],
        [1, 20, 0],
        [2, undefined, 20],
        [3, undefined, 20],
      ],
    );
  });

  it("say of each partition who holds it, what is committed, and how far behind that is", async () => {
    const member = await groups.join(1, "described", "a", ["t"], { instanceId: "one" });
    await groups.commit(1, "described", member, { "t:0": 5, "t:1": 20 });
    for (const via of [1, 2, 3]) {
      const answer = await groups.cluster.call(via, rpc.DescribeGroup, { groupId: "described" });
      assert.deepEqual(
        [answer.state, answer.assignor, answer.coordinatorId],
        [GroupState.stable, "uniform", await groups.coordinator("described")],
      );
      assert.deepEqual(
        answer.members.map((one) => [one.memberId, one.instanceId, one.memberEpoch, held(one).length]),
        [["a", "one", member.memberEpoch, 4]],
      );
      assert.deepEqual(
        answer.partitions.map((one) => [one.topic, one.partition, one.memberId, one.committedOffset, one.highWatermark, one.lag]),
        [
          ["t", 0, "a", 5, 20, 15],
          ["t", 1, "a", 20, 20, 0],
          ["t", 2, "a", undefined, 20, 20],
          ["t", 3, "a", undefined, 20, 20],
        ],
      );
    }
  });

  it("are as far behind in time as the log says, by whatever leader: from the first record they have not done with", async () => {
    await groups.cluster.createTopic("aged", 3);
    for (let partition = 0; partition < 3; partition++) {
      await groups.cluster.moveLeader("aged", partition, partition + 1);
      await groups.fill("aged", partition, 2);
    }
    await groups.cluster.pass(5_000);
    for (let partition = 0; partition < 3; partition++) await groups.fill("aged", partition, 2);
    await groups.cluster.pass(3_000);
    await groups.commit(1, "late", undefined, { "aged:0": 1, "aged:1": 2, "aged:2": 4 });
    const { partitions } = await groups.cluster.call(2, rpc.DescribeGroup, { groupId: "late" });
    assert.deepEqual(
      partitions.map(({ lag, timeLagMs, oldestAgeMs, verdict }) => [
        verdict,
        lag,
        Math.round(timeLagMs / 1_000),
        Math.round((oldestAgeMs ?? -1_000) / 1_000),
      ]),
      [
        [LagVerdict.ok, 3, 5, 8],
        [LagVerdict.ok, 2, 0, 3],
        [LagVerdict.ok, 0, 0, 0],
      ],
    );
  });

  it("are moved by an operator: to the start, the end, an offset, a time, or by some records; dry runs change nothing", async () => {
    const seek = async (via: number, to: Parameters<typeof rpc.SeekGroup.encode>[0]) => {
      const { results } = await groups.cluster.call(via, rpc.SeekGroup, {
        groupId: "moved",
        topics: [{ topic: "t", partitions: [0, 1] }],
        ...to,
      });
      return results.map(({ before: was, after: is }) => [was, is]);
    };
    assert.deepEqual(await seek(1, { offset: 7 }), [
      [undefined, 7],
      [undefined, 7],
    ]);
    assert.deepEqual(await seek(2, { end: true, dryRun: true }), [
      [7, 20],
      [7, 20],
    ]);
    assert.deepEqual(await seek(3, { shiftBy: -3 }), [
      [7, 4],
      [7, 4],
    ]);
    assert.deepEqual(await seek(1, { shiftBy: 1_000 }), [
      [4, 20],
      [4, 20],
    ]);
    assert.deepEqual(await seek(2, { start: true }), [
      [20, 0],
      [20, 0],
    ]);
    assert.deepEqual(await seek(3, { timeMs: 9_000_000_000_000 }), [
      [0, 20],
      [0, 20],
    ]);
    const request = { groupId: "moved", topics: [{ topic: "t", partitions: [0] }] };
    await groups.cluster.refused(2, rpc.SeekGroup, { ...request, offset: 21 }, "OFFSET_OUT_OF_RANGE");
    await groups.cluster.refused(2, rpc.SeekGroup, request, "INVALID_REQUEST");
    const member: MemberState = await groups.join(1, "moved", "a", ["t"]);
    await groups.cluster.refused(2, rpc.SeekGroup, { ...request, offset: 1 }, "GROUP_NOT_EMPTY");
    const all = await groups.cluster.call(3, rpc.SeekGroup, { groupId: "moved", start: true, force: true });
    assert.equal(all.results.length, 4, "all that it reads");
    await groups.cluster.refused(
      3,
      rpc.Heartbeat,
      { heartbeat: { groupId: "moved", memberId: "a", memberEpoch: member.memberEpoch } },
      "UNKNOWN_MEMBER",
    );
  });

  it("forget offsets that an operator deletes, but not of topics that are read", async () => {
    await groups.cluster.createTopic("u", 2);
    await groups.commit(1, "forgets", undefined, { "t:0": 1, "u:0": 0, "u:1": 0 });
    await groups.join(1, "forgets", "a", ["t"]);
    const { errors } = await groups.cluster.call(2, rpc.DeleteOffsets, {
      groupId: "forgets",
      topics: [{ topic: "t", partitions: [0] }, { topic: "u" }, { topic: "none", partitions: [4] }],
    });
    assert.deepEqual(refusals({ errors }), ["none:4 UNKNOWN_TOPIC", "t:0 GROUP_NOT_EMPTY"]);
    assert.deepEqual(await groups.committed(3, "forgets"), ["t:0=1"]);
  });

  it("take topics that match a pattern when they are made, drop those that are deleted, and never an internal one", async () => {
    await groups.cluster.createTopic("eu.orders", 2);
    await groups.cluster.createTopic("us.orders", 1);
    const a = await groups.join(1, "matched", "a", [], { topicPattern: "(eu|us)\\..*|__.*" });
    assert.deepEqual([...held(a)].sort(), ["eu.orders:0", "eu.orders:1", "us.orders:0"]);
    await groups.commit(2, "matched", a, { "us.orders:0": 0 });
    await groups.cluster.createTopic("us.payments", 2);
    await groups.cluster.createTopic("status.payments", 1);
    await groups.cluster.pass(1_500);
    const more = await groups.beat(3, { groupId: "matched", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.deepEqual([...held(more)].sort(), ["eu.orders:0", "eu.orders:1", "us.orders:0", "us.payments:0", "us.payments:1"]);
    await groups.cluster.call(2, rpc.DeleteTopic, { name: "us.orders" });
    await groups.cluster.pass(1_500);
    const less = await groups.beat(1, { groupId: "matched", memberId: "a", memberEpoch: more.memberEpoch, owned: more.assignment });
    assert.deepEqual([...held(less)].sort(), ["eu.orders:0", "eu.orders:1", "us.payments:0", "us.payments:1"]);
    assert.deepEqual(await groups.committed(1, "matched"), []);
    const { members } = await groups.cluster.call(2, rpc.DescribeGroup, { groupId: "matched" });
    assert.deepEqual(
      members.map(({ topics, topicPattern, topicsLeftOut }) => [topics, topicPattern, topicsLeftOut]),
      [[[], "(eu|us)\\..*|__.*", 0]],
    );
  });

  it("hear of topics that match also when the coordinator has moved", async () => {
    await groups.cluster.createTopic("moves.1", 1);
    const a = await groups.join(1, "moving", "a", [], { topicPattern: "moves\\..*" });
    await groups.moveCoordinator("moving", await groups.another("moving"));
    await groups.cluster.createTopic("moves.2", 1);
    await groups.cluster.pass(1_500);
    const more = await groups.beat(3, { groupId: "moving", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.deepEqual([...held(more)].sort(), ["moves.1:0", "moves.2:0"]);
  });

  it("take partitions and topics that come while they run, and drop what is deleted", async () => {
    await groups.cluster.createTopic("grows", 1);
    const a = await groups.join(1, "grown", "a", ["grows", "comes"]);
    assert.deepEqual(held(a), ["grows:0"]);
    await groups.commit(1, "grown", a, { "grows:0": 0 });
    await groups.cluster.call(2, rpc.AddPartitions, { name: "grows", partitions: 2 });
    await groups.cluster.createTopic("comes", 1);
    await groups.cluster.pass(200);
    const more = await groups.beat(3, { groupId: "grown", memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment });
    assert.deepEqual([...held(more)].sort(), ["comes:0", "grows:0", "grows:1"]);
    await groups.cluster.call(2, rpc.DeleteTopic, { name: "grows" });
    await groups.cluster.pass(200);
    assert.deepEqual(await groups.committed(1, "grown"), []);
    const less = await groups.beat(1, { groupId: "grown", memberId: "a", memberEpoch: more.memberEpoch, owned: more.assignment });
    assert.deepEqual(held(less), ["comes:0"]);
  });
});
