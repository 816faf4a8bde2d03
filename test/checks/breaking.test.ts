import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { breaksOf, LANDED, landedCommit } from "../../tools/protos.ts";

describe("buf breaking against what landed", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-protos-"));
    cpSync("proto", folder, { recursive: true });
  });
  after(() => rmSync(folder, { recursive: true }));

  it("passes on the files as they are", () => {
    assert.deepEqual(breaksOf("proto"), []);
  });

  it("says which commit that was", () => {
    assert.match(landedCommit(readFileSync(LANDED, "utf8")) ?? "", /^[0-9a-f]{40}$/);
    assert.equal(landedCommit("Co...\n"), undefined);
  });

  it("refuses a field that changes its type, one that goes, and a call that goes", () => {
    const file = join(folder, "millrace/v1/admin_service.proto");
    const text = readFileSync(file, "utf8");
    const planted = text
      .replace("int32 partitions = 2;", "string partitions = 2;")
      .replace("  bool undo = 2;\n", "")
      .replace(/ {2}rpc ListTopics.*\n/, "");
    assert.notEqual(planted, text);
    writeFileSync(file, planted);
    const breaks = breaksOf(folder, readFileSync(LANDED, "utf8")).join("\n");
    for (const found of [/changed type from "int32" to "string"/, /field "2" with name "undo"/, /RPC "ListTopics"/])
      assert.match(breaks, found);
  });
});
