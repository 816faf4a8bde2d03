import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkBanned } from "../../tools/checks/banned.ts";
import { refusesPlanted } from "./planted.ts";

const rules = (path: string, text: string): string[] => checkBanned([{ path, text }]).map((finding) => finding.rule);

describe("banned calls", () => {
  refusesPlanted("banned", checkBanned);

  it("are allowed on floors 3 and 4, and in tests and tools", () => {
    const text = "export const now = Date.now() + Math.random(); setTimeout(() => process.exit(), 1);";
    for (const path of ["src/disk/a.ts", "src/main.ts", "src/testing/a.ts", "test/log/a.test.ts", "tools/a.ts", "bench/a.ts"]) {
      assert.deepEqual(rules(path, text), [], path);
    }
    assert.deepEqual(rules("src/client/producer.ts", text), ["banned/global", "banned/call", "banned/global", "banned/global"]);
  });

  it("do not mean members, keys, comments, strings or regular expressions of the same name", () => {
    const text = [
      "// Date.now() and setTimeout are banned",
      "interface Ports { readonly crypto: Hash; performance?: number; process(input: string): void }",
      'export const a = (ports: Ports) => [ports.crypto, ports.performance, "Date", /console|process/, `fetch $' + "{'Intl'}`];",
    ].join("\n");
    assert.deepEqual(rules("src/raft/a.ts", text), []);
  });

  it("are found inside template literals", () => {
    assert.deepEqual(rules("src/raft/a.ts", "export const a = `at ${`inner ${Date.now()}`} }`;"), ["banned/global"]);
  });
});
