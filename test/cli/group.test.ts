import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { spanText } from "../../src/cli/group-table.ts";
import type { MessageInput } from "../../src/protocol/codec/index.ts";
import { GroupService } from "../../src/protocol/methods.ts";
import {
  DeleteGroupRequest,
  DeleteOffsetsRequest,
  DeleteOffsetsResponse,
  DescribeGroupRequest,
  DescribeGroupResponse,
  GroupState,
  LagVerdict,
  ListGroupsRequest,
  ListGroupsResponse,
  SeekGroupRequest,
  SeekGroupResponse,
} from "../../src/protocol/public.ts";
import { statusOf } from "../../src/protocol/rpc-status.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

const described: MessageInput<typeof DescribeGroupResponse> = {
  groupId: "etl",
  state: GroupState.stable,
  groupEpoch: 7,
  assignor: "uniform",
  coordinatorId: 2,
  members: [
    {
      memberId: "m-1",
      instanceId: "left",
      clientAddress: "10.0.0.1:5",
      memberEpoch: 7,
      assignment: [{ topic: "t", topicId: "id", partitions: [1, 0] }],
      target: [{ topic: "t", topicId: "id", partitions: [0, 1, 2] }],
      topics: ["t"],
      topicPattern: "u\\..*",
      topicsLeftOut: 2,
    },
  ],
  partitions: [
    {
      topic: "t",
      topicId: "id",
      partition: 0,
      memberId: "m-1",
      committedOffset: 90,
      highWatermark: 100,
      lag: 10,
      timeLagMs: 1_500,
      oldestAgeMs: 200_000,
      verdict: LagVerdict.warn,
      committedAtMs: 5,
    },
    { topic: "t", topicId: "id", partition: 1, memberId: "m-1", highWatermark: 4, lag: 4, verdict: LagVerdict.stalled },
    {
      topic: "t",
      topicId: "id",
      partition: 2,
      committedOffset: 0,
      highWatermark: 0,
      lag: 0,
      timeLagMs: 0,
      oldestAgeMs: 0,
      verdict: LagVerdict.ok,
    },
  ],
};

describe("group", () => {
  let fake: FakeBrokers;
  before(async () => {
    fake = await startFakeBrokers(1);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });
  beforeEach(() => fake.cluster.scripted.clear());

  const group = (...args: string[]) => run(["group", ...args, "--brokers", fake.addresses.join(",")]);
  const answer = (path: string, made: (request: Uint8Array) => Uint8Array): void => void fake.cluster.scripted.set(path, made);

  describe("list", () => {
    it("shows groups by name, and says what to do when there are none", async () => {
      let groups: MessageInput<typeof ListGroupsResponse>["groups"] = [
        { groupId: "late", state: GroupState.reconciling, members: 3 },
        { groupId: "early", state: GroupState.empty },
      ];
      answer(GroupService.ListGroups.path, () => ListGroupsResponse.encode({ groups }));
      assert.equal((await group("list")).out, "GROUP  STATE        MEMBERS\nearly  empty        0\nlate   reconciling  3\n");
      assert.equal((await group("list", "--format", "json")).out.split("\n")[0], '{"group":"early","state":"empty","members":0}');
      answer(GroupService.ListGroups.path, (request) => {
        const { pageToken, pageSize } = ListGroupsRequest.decode(request);
        assert.ok(pageSize > 0);
        const next: Readonly<Record<string, readonly [string, string]>> = { "": ["a", "a"], a: ["b", "b"], b: ["c", ""] };
        const [groupId, nextPageToken] = next[pageToken] ?? assert.fail(pageToken);
        return ListGroupsResponse.encode({ groups: [{ groupId }], nextPageToken });
      });
      assert.deepEqual((await group("list")).out.match(/^[abc](?= )/gm), ["a", "b", "c"], "page by page");
      answer(GroupService.ListGroups.path, () => ListGroupsResponse.encode({ groups }));
      groups = [];
      assert.match((await group("list")).talk, /there are no consumer groups/);
    });
  });

  describe("describe", () => {
    it("shows partition, owner, committed, end, lag, times and verdict in one table; what is not known is no zero", async () => {
      answer(GroupService.DescribeGroup.path, () => DescribeGroupResponse.encode(described));
      const { code, out } = await group("describe", "etl");
      assert.equal(code, 0);
      const lines = out.split("\n").map((line) => line.replaceAll(/ +/g, " "));
      assert.deepEqual(lines, [
        "etl stable, 1 member, 14 records behind (uniform, coordinator 2)",
        "TOPIC PARTITION OWNER COMMITTED END LAG TIME LAG OLDEST VERDICT",
        "t 0 left 90 100 10 1s 3m 20s warn",
        "t 1 left - 4 4 ? ? stalled",
        "t 2 - 0 0 0 0ms 0ms ok",
        "",
      ]);
      const members = (await group("describe", "etl", "--members")).out;
      assert.match(members, /^m-1 +left +10\.0\.0\.1:5 +7 +t \/u\\\.\.\*\/ \(2 topics left out\) +t\/0,1 +t\/0,1,2$/m);
      const json = JSON.parse((await group("describe", "etl", "--format", "json")).out);
      assert.deepEqual(
        json.members.map((each: Record<string, unknown>) => [each["topics"], each["topicPattern"], each["topicsLeftOut"]]),
        [[["t"], "u\\..*", 2]],
      );
      assert.deepEqual(
        json.partitions.map((each: Record<string, unknown>) => [each["owner"], each["committed"], each["timeLagMs"], each["verdict"]]),
        [
          ["m-1", 90, 1_500, "warn"],
          ["m-1", null, null, "stalled"],
          [null, 0, 0, "ok"],
        ],
      );
    });

    it("says which partitions' ends could not be asked, and makes no number of them", async () => {
      const [first] = described.partitions ?? [];
      const away = { topic: "t", topicId: "id", partition: 3, memberId: "m-1", committedOffset: 7 };
      answer(GroupService.DescribeGroup.path, () => DescribeGroupResponse.encode({ ...described, partitions: [first ?? {}, away] }));
      const lines = (await group("describe", "etl")).out.split("\n").map((line) => line.replaceAll(/ +/g, " "));
      assert.match(lines[0] ?? "", /10 records behind and 1 partition unknown/);
      assert.equal(lines[3], "t 3 left 7 ? ? ? ? unknown");
      const json = JSON.parse((await group("describe", "etl", "--format", "json")).out).partitions[1];
      assert.deepEqual([json.committed, json.highWatermark, json.logStartOffset, json.lag, json.verdict], [7, null, null, null, "unknown"]);
    });

    it("as CSV shows what is committed, and nothing else, of one group", async () => {
      answer(GroupService.DescribeGroup.path, () => DescribeGroupResponse.encode(described));
      assert.deepEqual(await group("describe", "etl", "--format", "csv"), { code: 0, out: "t,0,90\nt,2,0\n", talk: "" });
      assert.equal((await group("describe", "etl", "other", "--format", "csv")).code, 2);
    });

    it("exits 3 where there is no such group, and names what there is to do", async () => {
      answer(GroupService.DescribeGroup.path, (request) => {
        throw new MillraceError("UNKNOWN_GROUP", `no group ${DescribeGroupRequest.decode(request).groupId}`);
      });
      const { code, out, talk } = await group("describe", "absent");
      assert.deepEqual([code, out], [3, ""]);
      assert.match(talk, /UNKNOWN_GROUP: no group absent \(`millrace group list`/);
    });
  });

  describe("seek", () => {
    const asked: SeekGroupRequest[] = [];
    beforeEach(() => {
      asked.length = 0;
      answer(GroupService.SeekGroup.path, (bytes) => {
        asked.push(SeekGroupRequest.decode(bytes));
        return SeekGroupResponse.encode({
          results: [
            { topic: "t", partition: 0, after: 4 },
            { topic: "t", partition: 1, before: 9, after: 5 },
          ],
        });
      });
    });

    it("shows what would be and changes nothing, unless told to", async () => {
      const { code, out, talk } = await group("seek", "etl", "--to", "end");
      assert.deepEqual([code, out, asked.map(({ dryRun, end, force }) => [dryRun, end, force])], [0, "", [[true, true, false]]], talk);
      assert.match(talk, /^t +0 +- +4$/m);
      assert.match(talk, /nothing was changed\. Add --yes to move 2 partitions/);
    });

    it("with --yes moves, by every kind of place", async () => {
      const places: [string[], Partial<SeekGroupRequest>][] = [
        [["--to", "start"], { start: true }],
        [["--to", "120"], { offset: 120 }],
        [["--to", "@1767225600000"], { timeMs: 1_767_225_600_000 }],
        [["--by=-100"], { shiftBy: -100 }],
        [["--by", "7"], { shiftBy: 7 }],
      ];
      for (const [args, expected] of places) {
        const { code, out } = await group("seek", "etl", ...args, "--topic", "t", "-p", "1", "--force", "--yes");
        assert.equal(code, 0);
        assert.match(out, /^t +1 +9 +5$/m);
        const { topics, dryRun, force, ...rest } = asked.at(-1) ?? assert.fail();
        assert.deepEqual([topics, dryRun, force], [[{ topic: "t", topicId: "", partitions: [1] }], false, true]);
        for (const [key, value] of Object.entries(expected)) assert.equal(Reflect.get(rest, key), value, key);
      }
      await group("seek", "etl", "--to-group", "other");
      const copied = asked.at(-1);
      assert.deepEqual([copied?.group, copied?.dryRun, copied?.topics], ["other", true, []]);
      const json = await group("seek", "etl", "--to", "end", "--yes", "--format", "json");
      assert.equal(json.out.split("\n")[0], '{"topic":"t","partition":0,"before":null,"after":4}');
    });

    it("exits 2 on what names no place, before anything is asked", async () => {
      const wrong = [
        [],
        ["--to", "start", "--by", "3"],
        ["--to", "+5"],
        ["--to=-5"],
        ["--by", "0"],
        ["--by", "x"],
        ["--to", "end", "-p", "1"],
        ["--to-group", "etl"],
        ["--to-group", "other", "--to", "end"],
        ["--from-file", "/nowhere.csv"],
      ];
      for (const args of wrong) assert.equal((await group("seek", "etl", ...args)).code, 2, args.join(" "));
      assert.equal(asked.length, 0);
    });
  });

  describe("delete", () => {
    it("deletes groups one by one, and says which it could not", async () => {
      const gone: string[] = [];
      answer(GroupService.DeleteGroup.path, (bytes) => {
        const { groupId } = DeleteGroupRequest.decode(bytes);
        if (groupId === "busy") throw new MillraceError("GROUP_NOT_EMPTY", "it has members");
        gone.push(groupId);
        return new Uint8Array();
      });
      const { code, out, talk } = await group("delete", "one", "busy", "two");
      assert.deepEqual([code, out, gone], [1, "deleted one\n", ["one"]]);
      assert.match(talk, /GROUP_NOT_EMPTY: it has members \(stop its members first/);
    });

    it("with --topic deletes only what is committed of those", async () => {
      let refuse = false;
      answer(GroupService.DeleteOffsets.path, (bytes) => {
        const { topics } = DeleteOffsetsRequest.decode(bytes);
        assert.deepEqual(topics, [{ topic: "t", topicId: "", partitions: [] }]);
        const error = statusOf(new MillraceError("GROUP_NOT_EMPTY", "a member reads t"));
        return DeleteOffsetsResponse.encode({ errors: refuse ? [{ topic: "t", partition: -1, error }] : [] });
      });
      assert.equal((await group("delete", "etl", "--topic", "t")).out, "deleted what etl had committed of 1 topic: t\n");
      refuse = true;
      const { code, talk } = await group("delete", "etl", "--topic", "t");
      assert.equal(code, 1);
      assert.match(talk, /a member reads t/);
    });
  });

  it("says times in two units at most", () => {
    assert.deepEqual([0, 999, 1_000, 200_000, 3_600_000, 90_061_000].map(spanText), ["0ms", "999ms", "1s", "3m 20s", "1h", "1d 1h"]);
  });
});
