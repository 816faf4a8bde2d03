import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { tarOf } from "../../src/cli/bundle/tar.ts";
import { redactedConfig } from "../../src/config/redacted.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("A tar archive", () => {
  it("is read by tar as it was written, empty files and names with folders too", () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-tar-"));
    const big = Buffer.alloc(5_000, "x");
    const archive = tarOf(
      [
        { name: "b/empty", data: new Uint8Array(0) },
        { name: "b/c/full", data: Buffer.alloc(512, 1) },
        { name: "b/big", data: big },
      ],
      1_700_000_000_000,
    );
    execFileSync("tar", ["-xf", "-", "-C", folder], { input: archive });
    assert.equal(readFileSync(join(folder, "b/empty")).length, 0);
    assert.deepEqual(readFileSync(join(folder, "b/c/full")), Buffer.alloc(512, 1));
    assert.deepEqual(readFileSync(join(folder, "b/big")), big);
    rmSync(folder, { recursive: true });
  });
});

describe("Settings in a bundle", () => {
  it("are without their secrets", () => {
    const text = redactedConfig([
      { key: "tls.key.password", value: "hunter2", source: "flag" },
      { key: "auth.token", value: "hunter2", source: "flag" },
      { key: "tls.private.key", value: "hunter2", source: "flag" },
      { key: "listen", value: "127.0.0.1:7400", source: "default" },
      { key: "rack", value: undefined, source: "default" },
    ]);
    assert.doesNotMatch(text, /hunter2/);
    const rows = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      rows.map(({ value }) => value),
      ["(redacted)", "(redacted)", "(redacted)", "127.0.0.1:7400", null],
    );
  });
});

describe("debug bundle", () => {
  let fake: FakeBrokers;
  let http: Server;
  let folder: string;
  const asked: string[] = [];

  before(async () => {
    fake = await startFakeBrokers(2);
    folder = mkdtempSync(join(tmpdir(), "millrace-bundle-"));
    http = createServer((request, response) => {
      asked.push(request.url ?? "");
      if (request.url === "/debug/config") response.writeHead(404).end("no\n");
      else response.writeHead(request.url === "/readyz" ? 503 : 200).end(`answer to ${request.url}\n`);
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    http.close();
    rmSync(folder, { recursive: true, force: true });
    await Promise.all(fake.servers.map((server) => server.close(0)));
  });

  const contents = (file: string): Map<string, string> => {
    const names = execFileSync("tar", ["-tzf", file], { encoding: "utf8" }).trimEnd().split("\n");
    return new Map(names.map((name) => [name, execFileSync("tar", ["-xzOf", file, name], { encoding: "utf8" })]));
  };

  it("holds what was had, and says what was not", async () => {
    const out = join(folder, "b.tar.gz");
    const { port } = http.address() as AddressInfo;
    const {
      code,
      out: said,
      talk,
    } = await run([
      ...["debug", "bundle", "--out", out, "--brokers", fake.addresses.join(",")],
      ...["--admin", `1@127.0.0.1:${port}`, "--admin", "2@127.0.0.1:1"],
    ]);
    assert.equal(code, 0, talk);
    assert.match(said, /b\.tar\.gz: \d+ files, \d+ bytes\n$/);
    const files = contents(out);
    assert.deepEqual([...files.keys()].filter((name) => name.includes("brokers")).sort(), [
      "bundle/brokers/1/log.jsonl",
      "bundle/brokers/1/metrics.txt",
      "bundle/brokers/1/ready.txt",
    ]);
    assert.equal(files.get("bundle/brokers/1/ready.txt"), "answer to /readyz\n");
    assert.match(files.get("bundle/cluster.json") ?? "", /"brokerId": 2/);
    const missing = files.get("bundle/missing.txt") ?? "";
    assert.match(missing, /^brokers\/1\/config\.jsonl: .*status 404: no$/m);
    assert.match(missing, /^brokers\/2\/ready\.txt: .*127\.0\.0\.1:1\/readyz: ./m);
    assert.doesNotMatch(missing, /brokers\/2\/metrics/);
    assert.equal(talk.split("\n").filter((line) => line.startsWith("missing: ")).length, missing.trimEnd().split("\n").length);
    assert.match(files.get("bundle/about.json") ?? "", /"millrace": "\d/);
  });

  it("overwrites nothing, and refuses an admin address that is none", async () => {
    const { code, talk } = await run([
      "debug",
      "bundle",
      "--out",
      join(folder, "b.tar.gz"),
      "--brokers",
      fake.addresses.join(","),
      "--timeout",
      "1s",
    ]);
    assert.equal(code, 2);
    assert.match(talk, /exists already/);
    assert.equal((await run(["debug", "bundle", "--admin", "127.0.0.1:7402"])).code, 2);
  });

  it("exits 3 and writes nothing when no broker answers", async () => {
    const out = join(folder, "none.tar.gz");
    const { code, talk } = await run(["debug", "bundle", "--out", out, "--brokers", "127.0.0.1:1", "--timeout", "1s"]);
    assert.equal(code, 3, talk);
    assert.match(talk, /no broker answered/);
    assert.throws(() => readFileSync(out), /ENOENT/);
  });
});
