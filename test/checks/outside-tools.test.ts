import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, it } from "node:test";

const PLANTED = "test/checks/planted";
const MODULES = resolve("node_modules");
const folders: string[] = [];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-planted-"));
  folders.push(path);
  return path;
}

function output(cwd: string, ...command: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", cwd });
  assert.equal(status, 1, stdout + stderr);
  return stdout + stderr;
}

describe("compiler, formatter and linters", () => {
  after(() => {
    for (const path of folders) rmSync(path, { recursive: true });
  });

  it("refuse syntax that cannot be erased, mixed ids, unchecked indexes and explicit undefined", () => {
    const text = output(".", join(MODULES, "typescript/bin/tsc"), "-p", `${PLANTED}/types/tsconfig.json`);
    assert.deepEqual(
      [...text.matchAll(/violations\.ts\((\d+),\d+\): error (TS\d+)/g)].map((match) => `${match[1]} ${match[2]}`),
      ["3 TS1294", "6 TS2322", "8 TS2322", "10 TS2375"],
    );
  });

  it("refuse floating and misused promises, any, loose equality, var, and what is not formatted", () => {
    const path = folder();
    copyFileSync("biome.json", join(path, "biome.json"));
    copyFileSync(`${PLANTED}/lint/violations.ts`, join(path, "violations.ts"));
    const text = output(path, join(MODULES, "@biomejs/biome/bin/biome"), "ci", "--colors=off", ".");
    for (const rule of ["noFloatingPromises", "noMisusedPromises", "noExplicitAny", "noDoubleEquals", "noVar"]) {
      assert.match(text, new RegExp(`violations\\.ts:\\d+:\\d+ lint/\\w+/${rule}`));
    }
    assert.match(text, /violations\.ts format/);
  });

  it("refuse a proto that breaks the STANDARD rules", () => {
    const path = folder();
    cpSync(`${PLANTED}/proto`, path, { recursive: true });
    copyFileSync("proto/buf.yaml", join(path, "buf.yaml"));
    const { status, stdout } = spawnSync(join(MODULES, ".bin/buf"), ["lint"], { encoding: "utf8", cwd: path });
    assert.notEqual(status, 0);
    for (const complaint of [
      /planted_request" should be PascalCase/,
      /"Name" should be lower_snake_case/,
      /suffixed with "_UNSPECIFIED"/,
      /suffixed with "Service"/,
    ]) {
      assert.match(stdout, complaint);
    }
  });
});
