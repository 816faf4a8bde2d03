import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { GroupService } from "../../src/protocol/methods.ts";
import { SeekGroupRequest, SeekGroupResponse } from "../../src/protocol/public.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("group seek --from-file", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-offsets-"));
  const asked: SeekGroupRequest[] = [];
  let fake: FakeBrokers;
  let refusal: MillraceError | undefined;
  before(async () => {
    fake = await startFakeBrokers(1);
    fake.cluster.scripted.set(GroupService.SeekGroup.path, (bytes) => {
      const request = SeekGroupRequest.decode(bytes);
      asked.push(request);
      if (refusal !== undefined) throw refusal;
      return SeekGroupResponse.encode({
        results: (request.positions?.positions ?? []).map(({ topic, partition, offset }) => ({
          topic,
          partition,
          before: 9,
          after: offset,
        })),
      });
    });
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    asked.length = 0;
    refusal = undefined;
  });

  const file = join(folder, "offsets.csv");
  const seek = (text: string | Uint8Array, ...args: string[]) => {
    writeFileSync(file, text);
    return run(["group", "seek", "etl", "--from-file", file, ...args, "--brokers", fake.addresses.join(",")]);
  };
  const sent = () => asked.map(({ positions }) => positions?.positions.map((each) => `${each.topic}:${each.partition}=${each.offset}`));

  it("moves every partition to where its line says, in one call; without --yes shows what would be", async () => {
    const { code, out, talk } = await seek("t,0,4\nt,1,0\nflights.v2_eu-west,12,9007199254740991\n");
    assert.deepEqual([code, out, sent()], [0, "", [["t:0=4", "t:1=0", "flights.v2_eu-west:12=9007199254740991"]]], talk);
    assert.deepEqual(
      asked.map(({ dryRun, topics }) => [dryRun, topics]),
      [[true, []]],
    );
    assert.match(talk, /^t +0 +9 +4$/m);
    assert.match(talk, /nothing was changed\. Add --yes to move 3 partitions/);
    const moved = await seek("t,0,4", "--yes", "--force");
    assert.deepEqual([moved.code, asked.at(-1)?.dryRun, asked.at(-1)?.force], [0, false, true]);
    assert.match(moved.out, /^t +0 +9 +4$/m);
  });

  it("reads what Kafka's tool and programs for tables write: quotes, the group in front, CRLF, a byte order mark, empty lines", async () => {
    const name = "a.topic.of.more.than.24.characters";
    await seek(`\ufeff"${name}",0,1\r\n\r\netl,t,2,3\r\n t , 4 , 5 \r\n`);
    assert.deepEqual(sent(), [[`${name}:0=1`, "t:2=3", "t:4=5"]]);
  });

  it("as CSV shows what would be in the form it reads", async () => {
    const lines = "t,0,4\nu,1,0\n";
    const { out, talk } = await seek(lines, "--format", "csv");
    assert.equal(out, lines);
    assert.match(talk, /nothing was changed/);
    assert.equal((await seek(lines, "--format", "csv", "--yes")).out, lines);
  });

  it("refuses every bad line by file and number, and asks nobody", async () => {
    const bad: [line: string, says: RegExp][] = [
      ["topic,partition,offset", /partition must be a whole number from 0 to 1000000: got "partition"/],
      ["t,0", /topic,partition,offset: got 2 fields/],
      ["t", /got 1 field$/m],
      ["etl,t,0,1,2", /got 5 fields/],
      ["other,t,0,1", /of group "other", not of etl/],
      [",0,1", /name of the topic is empty/],
      ["t,-1,1", /partition must be/],
      ["t,0x1,1", /partition must be/],
      ["t,1000001,1", /partition must be/],
      ["t,1.5,1", /partition must be/],
      ["t,0,-1", /offset must be a whole number from 0: got "-1"/],
      ["t,0,", /offset must be/],
      ["t,0,9007199254740992", /offset must be/],
      ["t,0,1e3", /offset must be/],
      ['"t,0,1', /a quote is not closed/],
      ['"t"x,0,1', /something follows it/],
      ["u,7,2", /partition 7 of u stands in line 1 already/],
      ["x".repeat(5_000), /more than 4096 bytes/],
    ];
    const { code, out, talk } = await seek(["u,7,1", ...bad.map(([line]) => line), "u,8,1"].join("\n"), "--yes");
    assert.deepEqual([code, out, asked.length], [2, "", 0]);
    for (const [n, [line, says]] of bad.entries()) {
      const said = talk.split("\n").find((each) => each.startsWith(`${file}:${n + 2}: `));
      assert.match(said ?? "", says, line.slice(0, 50));
    }
    const many = await seek(Array.from({ length: 30 }, () => "bad").join("\n"));
    assert.equal(many.talk.trimEnd().split("\n").length, 23);
    assert.match(many.talk, /has 30 bad lines; nothing was changed/);
    assert.match((await seek("\n\n")).talk, /has no line of offsets/);
    assert.equal((await seek(Uint8Array.of(0xff, 0xfe, 0x00, 0x0a), "--yes")).code, 2);
    assert.equal((await seek("t,0,1", "--topic", "t")).code, 2);
    assert.equal(asked.length, 0);
  });

  it("names the line of what the brokers refuse", async () => {
    const says: [MillraceError, number, RegExp][] = [
      [new MillraceError("UNKNOWN_TOPIC", "No topic u", { topic: "u" }), 3, /:2: UNKNOWN_TOPIC: No topic u/],
      [new MillraceError("UNKNOWN_PARTITION", "none such", { topic: "t", partition: "1" }), 3, /:3: UNKNOWN_PARTITION/],
      [new MillraceError("OFFSET_OUT_OF_RANGE", "too far", { topic: "u", partition: "5" }), 1, /:4: OFFSET_OUT_OF_RANGE/],
      [new MillraceError("GROUP_NOT_EMPTY", "it has members", { group: "etl" }), 1, /^millrace: GROUP_NOT_EMPTY/],
    ];
    for (const [error, exit, expected] of says) {
      refusal = error;
      const { code, talk } = await seek("t,0,1\nu,0,1\nt,1,1\nu,5,1\n", "--yes");
      assert.equal(code, exit, error.code);
      assert.match(talk, expected);
    }
  });
});
