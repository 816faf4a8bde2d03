import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import type { PartitionLog } from "../client/fake/partition-log.ts";
import type { CliCluster } from "./cli-cluster.ts";
import { startFakeBroker } from "./fake-broker.ts";
import { millrace, type Ran, type RunOptions } from "./run.ts";
import { run } from "./run-here.ts";

/** CRLF, a blank line, escaped Unicode, an integer above 2^53, a name given twice, a 900 KiB line, bytes that are no UTF-8, no final newline. */
const awkward = [
  Buffer.from('{"id":"a","text":"caf\\u00e9"}\r'),
  Buffer.from(""),
  Buffer.from('{"id":12345678901234567890,"n":9007199254740993}'),
  Buffer.from('{"id":"x","id":"y"}'),
  Buffer.from(`{"id":"long","pad":"${"p".repeat(900 * 1024)}"}`),
  Buffer.from([0xff, 0x00, 0xfe, 0x0d]),
  Buffer.from("  no final newline"),
];

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));

/** Runs the command where `script` says "$0" "$@". */
async function inShell(script: string, args: readonly string[]): Promise<{ readonly code: number | null; readonly talk: string }> {
  const shell = spawn("sh", ["-c", script, process.execPath, main, ...args]);
  const talk: Buffer[] = [];
  shell.stderr.on("data", (piece: Buffer) => talk.push(piece));
  const code = await new Promise<number | null>((resolve) => shell.on("close", resolve));
  return { code, talk: Buffer.concat(talk).toString() };
}

function join2(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from("\n"), line])));
}

describe("produce and consume over gRPC", () => {
  let cluster: CliCluster;
  let close: () => Promise<void>;
  let flags: string[];
  let folder: string;

  before(async () => {
    const started = await startFakeBroker();
    cluster = started.cluster;
    close = () => started.server.close(0);
    flags = ["--brokers", started.address];
    folder = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  });
  after(async () => {
    await close();
    rmSync(folder, { recursive: true });
  });

  function topic(name: string, partitions: number): PartitionLog[] {
    const logs = cluster.addTopic(name, partitions);
    for (const log of logs) log.leader = cluster.addresses[0] as string;
    return logs;
  }

  /** The command in this process, with its input in a file: for all that does not ask what a process of its own does. */
  async function here(args: readonly string[], { input }: Pick<RunOptions, "input"> = {}): Promise<Ran> {
    const file = join(folder, "input");
    if (input !== undefined) writeFileSync(file, input);
    const { code, out, talk } = await run(input === undefined ? args : [...args, "--file", file]);
    return { code, stdout: Buffer.from(out), stderr: talk };
  }

  it("sends lines byte for byte and prints them the same", async () => {
    const [log] = topic("awkward", 1);
    const sent = await millrace(["produce", "awkward", ...flags], { input: join2(awkward) });
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stderr, /produced 7 records, .* 0 failed/);
    const stored = (log as PartitionLog).batches.flatMap((batch) =>
      [...records(batch.records)].map((record) => Buffer.from(record.value ?? [])),
    );
    assert.deepEqual(stored, awkward);
    const read = await millrace(["consume", "awkward", "--from", "start", "--to", "end", ...flags]);
    assert.equal(read.code, 0, read.stderr);
    assert.ok(read.stdout.equals(Buffer.concat([join2(awkward), Buffer.from("\n")])));
    assert.deepEqual(cluster.complaints, []);
  });

  it("takes keys from a field, digits and all, and says which lines had none", async () => {
    topic("keyed", 3);
    const file = join(folder, "awkward.jsonl");
    writeFileSync(file, join2(awkward));
    const sent = await here(["produce", "keyed", "--file", file, "--key-field", "id", "-z", "gzip", ...flags]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stderr, /3 lines without a field "id" were sent without a key/);
    const read = await here(["consume", "keyed", "--format", "json", ...flags]);
    const lines = read.stdout.toString().trimEnd().split("\n");
    const keys = lines.map((line) => JSON.parse(line).key as string | null);
    assert.deepEqual(keys.toSorted(), ["12345678901234567890", "a", "long", "y", null, null, null].toSorted());
  });

  it("copies a topic record for record through JSON: keys, values, headers, partitions and times", async () => {
    const from = topic("original", 3);
    topic("copy", 3);
    const binary = Buffer.from([0xff, 0x00, 0xfe]);
    const header = (key: string, value: Uint8Array | undefined) => ({ key, value });
    const twisted = [header("b", binary), header("1", Buffer.from("x")), header("b", undefined), header("", Buffer.from(""))];
    from.forEach((log, partition) => {
      const builder = new RecordSetBuilder();
      builder.append(`k${partition}`, "värde\r", [header("h", Buffer.from("1")), header("h", Buffer.from("2"))], 1_000 + partition);
      builder.append(binary, undefined, twisted, 2_000);
      builder.append(undefined, "", [], 3_000);
      for (const line of awkward) builder.append(undefined, line, [], 4_000);
      const count = builder.recordCount;
      log.append({ producerId: undefined, baseSequence: 0, count, records: builder.take(), compressed: false });
    });
    const copied = await inShell(
      '"$0" "$1" consume original --format json --brokers "$2" | "$0" "$1" produce copy --format json --brokers "$2"',
      [flags[1] as string],
    );
    assert.equal(copied.code, 0, copied.talk);
    const bytes = (name: string) =>
      cluster.logs(name).map((log) => Buffer.concat(log.batches.map((batch) => batch.records)).toString("base64"));
    assert.deepEqual(bytes("copy"), bytes("original"));
  });

  it("sends headers and prints records as a template says", async () => {
    topic("shaped", 1);
    const sent = await here(["produce", "shaped", "-k", "k", "-H", "lang:en", "-H", "n:1:2", "-p", "0", ...flags], {
      input: Buffer.from("a\nbb\n"),
    });
    assert.equal(sent.code, 0, sent.stderr);
    const read = await here(["consume", "shaped", "-f", "%t %p %o %k %v %S %h\\n", ...flags]);
    assert.equal(read.stdout.toString(), "shaped 0 0 k a 1 lang=en,n=1:2\nshaped 0 1 k bb 2 lang=en,n=1:2\n");
  });

  it("says which line of JSON is no record, sends the others, and exits 1", async () => {
    const [log] = topic("mixed", 1);
    const input = Buffer.from('{"value":"a"}\n{"vlaue":"b"}\nno\n{"value":"c","partition":5}\n{"key":"k","value":null}\n');
    const sent = await here(["produce", "mixed", "--format", "json", ...flags], { input });
    assert.equal(sent.code, 1);
    assert.match(sent.stderr, /line 2: INVALID_REQUEST: "vlaue" is no field of a record/);
    assert.match(sent.stderr, /line 3: INVALID_REQUEST: the line is not JSON/);
    assert.match(sent.stderr, /line 4: UNKNOWN_PARTITION/);
    assert.match(sent.stderr, /3 of 5 records failed/);
    assert.equal((log as PartitionLog).end, 2);
  });

  it("prints what was asked for: a partition, a range, a count", async () => {
    topic("many", 2);
    const input = Buffer.from(Array.from({ length: 100 }, (_, i) => `${i}`).join("\n"));
    assert.equal((await here(["produce", "many", "-p", "1", ...flags], { input })).code, 0);
    const range = await here(["consume", "many", "-p", "1", "--from", "10", "--to", "13", ...flags]);
    assert.equal(range.stdout.toString(), "10\n11\n12\n");
    const last = await here(["consume", "many", "-p", "1", "--from", "-2", ...flags]);
    assert.equal(last.stdout.toString(), "98\n99\n");
    const count = await here(["consume", "many", "-n", "3", ...flags]);
    assert.equal(count.stdout.toString(), "0\n1\n2\n");
  });

  it("exits 1 when a record failed, and says which line", async () => {
    topic("one", 1);
    const sent = await here(["produce", "one", ...flags], { input: Buffer.from(`a\n${"b".repeat(1_100_000)}\nc\n`) });
    assert.equal(sent.code, 1);
    assert.match(sent.stderr, /line 2: RECORD_SET_TOO_LARGE/);
    assert.match(sent.stderr, /produced 2 records, 2 bytes in .*; 1 failed, 0 batches sent again/);
    assert.match(sent.stderr, /1 of 3 records failed/);
    assert.equal(sent.stderr.match(/millrace topic alter TOPIC --config max\.message\.bytes/g)?.length, 1);
  });

  it("exits 3 for a partition that is not there, and says which are", async () => {
    topic("three", 3);
    for (const verb of ["produce", "consume"]) {
      const input = verb === "produce" ? { input: Buffer.from("a\n") } : {};
      const ran = await here([verb, "three", "-p", "7", ...flags], input);
      assert.equal(ran.code, 3, ran.stderr);
      assert.match(ran.stderr, /UNKNOWN_PARTITION: Cannot use partition 7 of three: it has 3 partitions, 0 to 2/);
    }
  });

  it("takes the acknowledgement level in upper case too", async () => {
    topic("loud", 1);
    const sent = await here(["produce", "loud", "--acks", "QUORUM", "-z", "GZIP", ...flags], { input: Buffer.from("a\n") });
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stderr, /produced 1 record, 1 byte in/);
  });

  it("exits 3 for a topic that is not there, before it reads anything", async () => {
    for (const verb of ["produce", "consume"]) {
      const ran = await millrace([verb, "absent", ...flags]);
      assert.equal(ran.code, 3, ran.stderr);
      assert.match(ran.stderr, /UNKNOWN_TOPIC/);
    }
  });

  it("ends quietly when its reader has gone", async () => {
    topic("pipe", 1);
    const input = Buffer.from(`${"x".repeat(1000)}\n`.repeat(5000));
    assert.equal((await here(["produce", "pipe", ...flags], { input })).code, 0);
    assert.equal((await inShell('"$0" "$@" | head -c 10', ["consume", "pipe", ...flags])).talk, "");
  });

  it("says what is wrong with its own input and output, in one line", async () => {
    topic("odd", 1);
    assert.equal((await here(["produce", "odd", ...flags], { input: Buffer.from("a\n") })).code, 0);
    if (process.platform === "linux") {
      const full = await inShell('"$0" "$@" > /dev/full', ["consume", "odd", ...flags]);
      assert.equal(full.code, 1);
      assert.equal(full.talk, "millrace: Cannot write to stdout: ENOSPC: no space left on device, write\n");
    }
    const folderIn = await inShell('"$0" "$@" < /', ["produce", "odd", ...flags]);
    assert.equal(folderIn.code, 2);
    assert.match(folderIn.talk, /Cannot read stdin: it is a directory; name a file with --file/);
    const closed = await inShell('"$0" "$@" <&-', ["produce", "odd", ...flags]);
    assert.equal(closed.code, 0);
    assert.match(closed.talk, /produced 0 records/);
  });

  it("says on Ctrl-C how far it came", async () => {
    topic("live", 1);
    const reader = spawn(process.execPath, [main, "consume", "live", "--follow", ...flags]);
    const talk: Buffer[] = [];
    reader.stderr.on("data", (piece: Buffer) => talk.push(piece));
    const seen = new Promise<string>((resolve) => reader.stdout.once("data", (piece: Buffer) => resolve(piece.toString())));
    assert.equal((await here(["produce", "live", ...flags], { input: Buffer.from("hello\n") })).code, 0);
    assert.equal(await seen, "hello\n");
    const closed = new Promise((resolve) => reader.on("close", resolve));
    reader.kill("SIGINT");
    assert.equal(await closed, 0);
    assert.match(Buffer.concat(talk).toString(), /consumed 1 record \(interrupted\)/);
  });
});
