import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { describeConfig } from "../../src/config/describe.ts";
import { run } from "./run-here.ts";

describe("config print", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-config-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("shows every setting with value, default, source and one sentence", async () => {
    const { code, out } = await run(["config", "print", "--set", "heartbeat.ms=150ms"]);
    assert.equal(code, 0);
    const [head, ...lines] = out.trimEnd().split("\n");
    assert.match(head ?? "", /^SETTING +VALUE +DEFAULT +SOURCE +MEANING$/);
    assert.deepEqual(
      lines.map((line) => line.split(" ")[0]),
      describeConfig().map(({ key }) => key),
    );
    for (const { key, doc } of describeConfig()) assert.ok(lines.some((line) => line.startsWith(`${key} `) && line.endsWith(`  ${doc}`)));
    assert.ok(lines.some((line) => /^heartbeat\.ms +150 ms +\S+ m?s +flag +/.test(line)));
    assert.ok(lines.some((line) => /^broker\.id +- +- +missing +/.test(line)));
  });

  it("says as JSON which line of a file a value comes from, and only what was given with --changed", async () => {
    const file = join(folder, "broker.yaml");
    writeFileSync(file, "# mine\nrack: r1\nsegment.bytes: 64 MiB\n");
    const { code, out } = await run(["config", "print", "--config", file, "--id", "3", "--changed", "--format", "json"]);
    assert.equal(code, 0);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      rows.map(({ key, value, source }) => [key, value, source]),
      [
        ["broker.id", "3", "flag"],
        ["rack", "r1", `${file} line 2`],
        ["segment.bytes", "64 MiB", `${file} line 3`],
      ],
    );
    assert.deepEqual([rows[0]?.["default"], rows[1]?.["default"], rows[2]?.["default"]], [null, null, "128 MiB"]);
  });

  it("exits 2 and names every mistake, wherever it stands", async () => {
    const file = join(folder, "bad.yaml");
    writeFileSync(file, "rack: {a: b}\n");
    const { code, out, talk } = await run(["config", "print", "--config", file, "--set", "hartbeat.ms=1", "--id", "x"]);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(talk, /rack \(.*bad\.yaml line 1\): must be a plain value/);
    assert.match(talk, /hartbeat\.ms \(flag\): is not a setting; did you mean heartbeat\.ms\?/);
    assert.match(talk, /broker\.id \(flag\): cannot read "x"/);
  });
});

describe("config lint", () => {
  let file: string;
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-lint-"));
    file = join(folder, "broker.yaml");
  });
  after(() => rmSync(folder, { recursive: true }));

  async function lint(text: string, ...more: string[]) {
    writeFileSync(file, text);
    return await run(["config", "lint", file, ...more]);
  }

  it("accepts a file that leaves the rest to flags, and says what it warns about", async () => {
    const { code, out, talk } = await lint("heartbeat.ms: 100\ninsecure.listen: true\nlisten: 10.0.0.1:7400\n");
    assert.equal(code, 0);
    assert.equal(out, `${file}: 3 settings, no mistakes\n`);
    assert.match(talk, /^warning: listen 10\.0\.0\.1:7400 can be reached/);
  });

  it("exits 2 with every mistake: unknown keys with the nearest known one, bad values, shapes, and values that conflict", async () => {
    const { code, out, talk } = await lint(
      "max.mesage.bytes: 1MiB\nwal.files.max: many\nrack:\nsegment.bytes: 12\nelection.min.ms: 9s\nbroker.id: 9\ncluster.seeds: 1@127.0.0.1:7401\n",
    );
    assert.equal(code, 2);
    assert.equal(out, "");
    const lines = talk.trimEnd().split("\n");
    assert.equal(lines[0], `millrace: ${file} has 6 mistakes`);
    for (const [line, key, why] of [
      [1, "max.mesage.bytes", "is not a setting; did you mean max.message.bytes?"],
      [2, "wal.files.max", 'cannot read "many"'],
      [3, "rack", "must be a plain value"],
      [4, "segment.bytes", 'cannot be "12"'],
    ] as const)
      assert.ok(talk.includes(`  ${key} (${file} line ${line}): ${why}`), talk);
    assert.match(talk, /^ {2}election\.min\.ms: 9000 must be less than election\.max\.ms/m);
    assert.match(talk, /^ {2}cluster\.join: must be given: broker 9/m);
    assert.equal(lines.length, 7, "the help is not what is wrong");
  });

  it("takes no default for a value that is wrong: it makes no further conflict", async () => {
    const { talk } = await lint("election.max.ms: never\nelection.min.ms: 9s\nheartbeat.ms: fast\n");
    assert.match(talk, /has 2 mistakes/);
    writeFileSync(file, "election.max.ms: 500\n");
    const print = await run(["config", "print", "--config", file, "--set", "election.max.ms=never", "--set", "election.min.ms=9s"]);
    assert.deepEqual(print.talk.match(/^(?:millrace: )?[a-z.]+ ?[(:]/gm)?.length, 1, print.talk);
  });

  it("names mistakes as JSON, one a line", async () => {
    const { code, out } = await lint("hartbeat.ms: 1\n", "--format", "json");
    assert.equal(code, 2);
    assert.deepEqual(JSON.parse(out), {
      key: "hartbeat.ms",
      source: `${file} line 1`,
      message: "is not a setting; did you mean heartbeat.ms?",
      nearest: "heartbeat.ms",
    });
  });

  it("exits 2 for what is no YAML, no list of settings, and for a file that is not there", async () => {
    assert.match((await lint("rack: a\nrack: b\n")).talk, /line 2\): is not YAML/);
    assert.match((await lint("- a\n")).talk, /must hold "key: value" lines/);
    const { code, talk } = await run(["config", "lint", join(folder, "absent.yaml")]);
    assert.equal(code, 2);
    assert.match(talk, /Cannot read file: ENOENT/);
  });
});
