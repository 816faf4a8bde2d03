import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly files: readonly string[];
}
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

/** Evaluates code in a Node of its own, in the folder of the package, which may name itself. */
function evaluate(kind: "module" | "commonjs", code: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`--input-type=${kind}`, "--eval", code], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout.trim();
}

describe("the package", () => {
  it("has every file that its exports and bin name", () => {
    const named = Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));
    for (const path of [...named, ...Object.values(manifest.bin)]) assert.ok(existsSync(path), path);
    for (const path of manifest.files) assert.ok(existsSync(path), path);
  });

  it("starts its command with a line that names node", () => {
    for (const path of Object.values(manifest.bin)) assert.match(readFileSync(path, "utf8"), /^#!\/usr\/bin\/env node\n/);
  });

  it("gives its client to modules by import, and to CommonJS by require", () => {
    const offers = '["Producer", "Consumer", "Admin", "MillraceError"].map((name) => typeof client[name]).join()';
    const all = "function,function,function,function";
    assert.equal(evaluate("module", `import * as client from "millrace/client"; console.log(${offers});`), all);
    assert.equal(evaluate("commonjs", `const client = require("millrace/client"); console.log(${offers});`), all);
  });

  it("keeps everything else to itself", () => {
    const deep = 'import("millrace/dist/src/main.js").then(() => console.log("open"), (error) => console.log(error.code));';
    assert.equal(evaluate("module", deep), "ERR_PACKAGE_PATH_NOT_EXPORTED");
  });
});
