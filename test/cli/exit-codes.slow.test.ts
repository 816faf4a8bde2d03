import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { MillraceError } from "../../src/base/errors.ts";
import { runProgram } from "../../src/cli/program.ts";
import { ReaderGone } from "../../src/cli/terminal.ts";
import { GroupService } from "../../src/protocol/methods.ts";
import {
  DeleteGroupRequest,
  DeleteGroupResponse,
  DescribeGroupRequest,
  DescribeGroupResponse,
  ListGroupsResponse,
  SeekGroupRequest,
  SeekGroupResponse,
} from "../../src/protocol/public.ts";
import { helpTexts } from "../../tools/docs/cli-page.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";
import { writeStored } from "./stored.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
/** A port nobody may listen on. */
const NOBODY = ["--brokers", "127.0.0.1:1"];

/** A command line, without --brokers when `at` says that one is needed. */
interface Row {
  readonly command: string;
  readonly code: 0 | 1 | 2 | 3;
  readonly why: string;
  readonly args?: readonly string[];
  /** Which brokers it is told: those of the test, none that lives, or an admin address where a scrub ends well or not. */
  readonly at?: "brokers" | "nobody" | "whole" | "damaged";
}

const folder = mkdtempSync(join(tmpdir(), "millrace-exit-"));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const lines = file("lines", "a\nb\n");
const stored = join(folder, "stored");
const good = file("good.yaml", "rack: a\n");
const bad = file("bad.yaml", "rakc: a\n");

/** Processes that end with 0 only when they are told to: a file that asserts it. */
const elsewhere: Readonly<Record<string, readonly [file: string, how: RegExp]>> = {
  broker: ["broker-start.slow.test.ts", /kill\("SIGTERM"\);\n\s+assert\.equal\(\(await \w+\.ended\)\.code, 0\)/],
  dev: ["dev.slow.test.ts", /kill\("SIGINT"\);\n\s+assert\.equal\(await dev\.closed, 0\)/],
  "dev start": ["dev.slow.test.ts", /\["dev", "start", "2", "--data", folder\]\)\)\.code, 0\)/],
  "dev stop": ["dev.slow.test.ts", /\["dev", "stop", "3", "--data", folder\]\);\n\s+assert\.equal\(stopped\.code, 0/],
  "recover plan": ["recover.test.ts", /\["recover", "plan", \.\.\.at\]\)\)\.code, 0\)/],
  "recover apply": ["recover.test.ts", /\["recover", "apply", file\(\), \.\.\.at, \.\.\.yes\]\)\)\.code, 0\)/],
};

/** What every verb exits with: 0 ok, 1 failure, 2 usage, 3 not found or unhealthy (design §10). */
const rows: readonly Row[] = [
  { command: "broker", code: 2, why: "an unknown setting", args: ["--set", "no.such=1"] },
  { command: "dev", code: 2, why: "no number", args: ["--brokers", "x"] },
  { command: "dev", code: 1, why: "the folder is a file", args: ["--data", lines] },
  { command: "dev start", code: 2, why: "no broker named" },
  { command: "dev start", code: 3, why: "no cluster there", args: ["1", "--data", join(folder, "none")] },
  { command: "dev stop", code: 2, why: "no broker named" },
  { command: "dev stop", code: 3, why: "no cluster there", args: ["1", "--data", join(folder, "none")] },
  { command: "topic create", code: 0, why: "made", args: ["fresh"], at: "brokers" },
  { command: "topic create", code: 2, why: "no number", args: ["t", "--partitions", "x"] },
  { command: "topic create", code: 1, why: "nobody there", args: ["t"], at: "nobody" },
  { command: "topic list", code: 2, why: "no format", args: ["--format", "x"] },
  { command: "topic list", code: 0, why: "shown", at: "brokers" },
  { command: "topic list", code: 1, why: "nobody there", at: "nobody" },
  { command: "topic describe", code: 0, why: "shown", args: ["here"], at: "brokers" },
  { command: "topic describe", code: 2, why: "no such option", args: ["--x"] },
  { command: "topic describe", code: 3, why: "no such topic", args: ["gone"], at: "brokers" },
  { command: "topic describe", code: 1, why: "nobody there", args: ["here"], at: "nobody" },
  { command: "topic alter", code: 0, why: "altered", args: ["here", "--config", "retention.ms=5000"], at: "brokers" },
  { command: "topic alter", code: 1, why: "no such setting", args: ["here", "--config", "x=1"], at: "brokers" },
  { command: "topic alter", code: 2, why: "nothing to change", args: ["here"] },
  { command: "topic alter", code: 3, why: "no such topic", args: ["gone", "--reset", "acks.min"], at: "brokers" },
  { command: "topic add-partitions", code: 2, why: "no number", args: ["t", "--partitions", "x"] },
  { command: "topic add-partitions", code: 0, why: "grown", args: ["grows", "--partitions", "3"], at: "brokers" },
  { command: "topic add-partitions", code: 3, why: "no such topic", args: ["gone", "--partitions", "3"], at: "brokers" },
  { command: "topic add-partitions", code: 1, why: "nobody there", args: ["t", "--partitions", "2"], at: "nobody" },
  { command: "topic trim", code: 2, why: "nothing named" },
  { command: "topic trim", code: 0, why: "shown what would go", args: ["full", "--before", "end"], at: "brokers" },
  { command: "topic trim", code: 1, why: "beyond the end", args: ["full", "--before", "99", "--yes"], at: "brokers" },
  { command: "topic trim", code: 3, why: "no such topic", args: ["gone", "--before", "1"], at: "brokers" },
  { command: "topic delete", code: 2, why: "no topic named" },
  { command: "topic delete", code: 0, why: "deleted", args: ["doomed"], at: "brokers" },
  { command: "topic delete", code: 3, why: "no such topic", args: ["gone"], at: "brokers" },
  { command: "topic delete", code: 1, why: "nobody there", args: ["t"], at: "nobody" },
  { command: "produce", code: 0, why: "all acknowledged", args: ["here", "--file", lines], at: "brokers" },
  { command: "produce", code: 1, why: "a line that is no record", args: ["here", "--format", "json", "--file", lines], at: "brokers" },
  { command: "produce", code: 2, why: "no such file", args: ["here", "--file", join(folder, "none")] },
  { command: "produce", code: 3, why: "no such topic", args: ["gone", "--file", lines], at: "brokers" },
  { command: "consume", code: 0, why: "read to the end", args: ["here"], at: "brokers" },
  { command: "consume", code: 1, why: "an offset that is not there", args: ["here", "--from", "99"], at: "brokers" },
  { command: "consume", code: 2, why: "no place", args: ["here", "--from", "x"] },
  { command: "consume", code: 2, why: "a pattern without a group", args: ["--topic-pattern", "h.*"] },
  { command: "consume", code: 2, why: "no topic", args: ["-g", "here"] },
  { command: "consume", code: 3, why: "no such partition", args: ["here", "-p", "9"], at: "brokers" },
  { command: "group list", code: 0, why: "shown", at: "brokers" },
  { command: "group list", code: 2, why: "no format", args: ["--format", "x"] },
  { command: "group list", code: 1, why: "nobody there", at: "nobody" },
  { command: "group describe", code: 0, why: "shown", args: ["here"], at: "brokers" },
  { command: "group describe", code: 2, why: "no group named" },
  { command: "group describe", code: 3, why: "no such group", args: ["gone"], at: "brokers" },
  { command: "group seek", code: 0, why: "moved", args: ["here", "--to", "start", "--yes"], at: "brokers" },
  { command: "group seek", code: 1, why: "it has members", args: ["busy", "--to", "start", "--yes"], at: "brokers" },
  { command: "group seek", code: 2, why: "no place", args: ["here", "--to", "x"] },
  { command: "group seek", code: 3, why: "no such group", args: ["gone", "--to", "end"], at: "brokers" },
  { command: "group seek", code: 2, why: "no such file", args: ["here", "--from-file", "/nowhere/offsets.csv"] },
  { command: "group seek", code: 3, why: "no such group to go to", args: ["gone", "--to-group", "lost"], at: "brokers" },
  { command: "group describe", code: 2, why: "CSV of two groups", args: ["here", "busy", "--format", "csv"] },
  { command: "group delete", code: 0, why: "deleted", args: ["here"], at: "brokers" },
  { command: "group delete", code: 1, why: "it has members", args: ["busy"], at: "brokers" },
  { command: "group delete", code: 2, why: "no group named" },
  { command: "group delete", code: 3, why: "no such group", args: ["gone"], at: "brokers" },
  { command: "cluster info", code: 0, why: "shown", at: "brokers" },
  { command: "cluster info", code: 2, why: "no format", args: ["--format", "x"] },
  { command: "cluster info", code: 1, why: "nobody there", at: "nobody" },
  { command: "cluster health", code: 2, why: "no time", args: ["--wait", "--timeout", "x"] },
  { command: "cluster health", code: 0, why: "healthy", at: "brokers" },
  { command: "cluster health", code: 3, why: "nobody there", at: "nobody" },
  { command: "cluster config", code: 2, why: "no pair", args: ["--set", "x"] },
  { command: "cluster config", code: 0, why: "shown", at: "brokers" },
  { command: "cluster config", code: 1, why: "nobody there", at: "nobody" },
  { command: "partition transfer-leader", code: 2, why: "no partition", args: ["t", "x"] },
  { command: "partition transfer-leader", code: 0, why: "handed over", args: ["here", "0"], at: "brokers" },
  { command: "partition transfer-leader", code: 3, why: "no such partition", args: ["here", "9"], at: "brokers" },
  { command: "partition transfer-leader", code: 1, why: "nobody there", args: ["t", "0"], at: "nobody" },
  { command: "recover plan", code: 2, why: "no address", args: ["--admin", "x"] },
  { command: "recover plan", code: 3, why: "nobody there", args: ["--admin", "127.0.0.1:1"] },
  { command: "recover apply", code: 2, why: "no plan", args: [join(folder, "none")] },
  { command: "check", code: 0, why: "all came back", args: ["-n", "2"], at: "brokers" },
  { command: "check", code: 2, why: "no number", args: ["-n", "x"] },
  { command: "check", code: 3, why: "nobody there", at: "nobody" },
  { command: "config print", code: 0, why: "shown" },
  { command: "config print", code: 2, why: "an unknown setting", args: ["--set", "no.such=1"] },
  { command: "config lint", code: 0, why: "no mistake", args: [good] },
  { command: "config lint", code: 2, why: "a mistake", args: [bad] },
  {
    command: "debug bundle",
    code: 0,
    why: "written, with what is missing",
    args: ["--out", join(folder, "b.tgz"), "--admin", "1@127.0.0.1:1"],
    at: "brokers",
  },
  { command: "debug bundle", code: 2, why: "no address", args: ["--admin", "x"] },
  { command: "debug bundle", code: 3, why: "nobody there", args: ["--out", join(folder, "c.tgz"), "--timeout", "1s"], at: "nobody" },
  { command: "debug log-dump", code: 2, why: "nothing named" },
  { command: "debug log-dump", code: 0, why: "printed", args: ["orders/2", "--data", stored] },
  { command: "debug log-dump", code: 1, why: "not as written", args: [lines] },
  { command: "debug log-dump", code: 3, why: "no such partition", args: ["orders/9", "--data", stored] },
  { command: "debug scrub", code: 2, why: "no address", args: ["--admin", "x"] },
  { command: "debug scrub", code: 0, why: "all as written", at: "whole" },
  { command: "debug scrub", code: 1, why: "still damaged", at: "damaged" },
  { command: "debug scrub", code: 3, why: "nobody there", args: ["--admin", "1@127.0.0.1:1"] },
  { command: "completion", code: 0, why: "printed", args: ["bash"] },
  { command: "completion", code: 2, why: "no such shell", args: ["csh"] },
  { command: "version", code: 0, why: "printed" },
  { command: "version", code: 2, why: "no such option", args: ["--x"] },
];

/** Succeed without a word on stdout, or cannot succeed twice. */
const SAYS_ONLY = new Set(["produce", "debug bundle", "topic create", "topic add-partitions", "topic trim", "topic delete"]);

const HOLE = { groupId: 7, path: "groups/7-3/1.log", position: 64, first: 1, last: 3, what: "bad CRC" };

/** Groups: `here` is empty, `busy` has members, there are no others. @throws {MillraceError} */
function refuseGroup(groupId: string): void {
  if (groupId === "busy") throw new MillraceError("GROUP_NOT_EMPTY", "it has members");
  if (groupId !== "here") throw new MillraceError("UNKNOWN_GROUP", `no group ${groupId}`);
}

const groupAnswers: Readonly<Record<string, (request: Uint8Array) => Uint8Array>> = {
  [GroupService.ListGroups.path]: () => ListGroupsResponse.encode({ groups: [{ groupId: "here" }] }),
  [GroupService.DescribeGroup.path]: (request) => {
    const { groupId } = DescribeGroupRequest.decode(request);
    refuseGroup(groupId);
    return DescribeGroupResponse.encode({ groupId });
  },
  [GroupService.SeekGroup.path]: (request) => {
    refuseGroup(SeekGroupRequest.decode(request).groupId);
    return SeekGroupResponse.encode({ results: [{ topic: "here", after: 4 }] });
  },
  [GroupService.DeleteGroup.path]: (request) => {
    refuseGroup(DeleteGroupRequest.decode(request).groupId);
    return DeleteGroupResponse.encode({});
  },
};

/** An admin address of which `debug scrub` hears that a pass is over, with these places left. */
async function scrubServer(holes: readonly object[]): Promise<Server> {
  const status = { running: false, groups: 1, segments: 1, bytes: 100, found: holes, rebuilt: [], holes };
  const server = createServer((_, response) => void response.end(JSON.stringify(status)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe("Exit codes", { timeout: 120_000 }, () => {
  let fake: FakeBrokers;
  const scrubbed: Server[] = [];
  before(async () => {
    fake = await startFakeBrokers(1);
    for (const topic of ["here", "grows", "doomed"]) fake.cluster.addTopic(topic, 2);
    for (const [path, answer] of Object.entries(groupAnswers)) fake.cluster.scripted.set(path, answer);
    Object.assign(fake.cluster.addTopic("full", 1)[0] ?? {}, { end: 5 });
    await writeStored(stored);
    for (const holes of [[], [HOLE]]) scrubbed.push(await scrubServer(holes));
  });
  after(async () => {
    await Promise.all(fake.servers.map((server) => server.close(0)));
    for (const server of scrubbed) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const placeOf = (at: Row["at"]): readonly string[] => {
    if (at === undefined) return [];
    if (at === "nobody") return NOBODY;
    if (at === "brokers") return ["--brokers", fake.addresses.join(",")];
    const bound = scrubbed[at === "whole" ? 0 : 1]?.address();
    assert.ok(typeof bound === "object" && bound !== null);
    return ["--admin", `1@127.0.0.1:${bound.port}`];
  };
  const argsOf = ({ command, args = [], at }: Row): string[] => [...command.split(" "), ...args, ...placeOf(at)];

  const exits = (row: Row): void => {
    it(`${row.command} exits ${row.code}: ${row.why}`, async () => {
      const { code, talk, out } = await run(argsOf(row));
      assert.equal(code, row.code, talk + out);
      if (row.code !== 0) assert.match(talk, /^millrace: /m);
    });
  };
  for (const row of rows) if (row.at !== "nobody") exits(row);
  // They only wait, each its while: together.
  describe("when nobody is there", { concurrency: 10 }, () => {
    for (const row of rows) if (row.at === "nobody") exits(row);
  });

  it("are told of every command there is, success by 0 and a wrong command line by 2", async () => {
    const parents = /\nCommands:\n/;
    const leaves = (await helpTexts()).filter(({ text }) => !parents.test(text)).map(({ command }) => command.replace(/^millrace ?/, ""));
    for (const leaf of leaves) {
      const codes = rows.filter(({ command }) => command === leaf).map(({ code }) => code);
      assert.ok(codes.includes(2), `${leaf} has no row with 2`);
      const [file, how] = elsewhere[leaf] ?? [];
      if (file === undefined || how === undefined) assert.ok(codes.includes(0), `${leaf} has no row with 0`);
      else assert.match(readFileSync(`test/cli/${file}`, "utf8"), how);
    }
  });

  // What a reader like `head` does to each verb that prints: the rest of its output has nowhere to go.
  for (const row of rows.filter(({ code }) => code === 0)) {
    if (SAYS_ONLY.has(row.command)) continue;
    it(`${row.command} ends quietly, exit 0, when its reader has gone`, async () => {
      const talk: string[] = [];
      const gone = (): never => {
        throw new ReaderGone();
      };
      const code = await runProgram(argsOf(row), { data: gone, flush: gone, say: (line) => void talk.push(line) });
      assert.equal(code, 0);
      assert.deepEqual(talk, []);
    });
  }

  it("are 0, with nothing on stderr, for a real pipe into head", () => {
    const script = 'set -o pipefail; "$0" "$1" completion bash | head -1';
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, main], { encoding: "utf8" });
    assert.equal(status, 0);
    assert.equal(stderr, "");
    assert.match(stdout, /^# Completion of millrace for bash/);
  });
});
