import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkCycles } from "../../tools/checks/cycles.ts";
import { checkDependencies, unusedDependencies } from "../../tools/checks/dependencies.ts";

const file = (path: string, ...lines: readonly string[]) => ({ path, text: lines.join("\n") });

describe("files that load each other", () => {
  it("are refused, once per circle", () => {
    const found = checkCycles([
      file("src/raft/a.ts", 'import { b } from "./b.ts";'),
      file("src/raft/b.ts", 'export * from "./c.ts";'),
      file("src/raft/c.ts", 'import "./a.ts";', 'import { d } from "./d.ts";'),
      file("src/raft/d.ts", "export const d = 1;"),
    ]);
    assert.deepEqual(found, [
      {
        file: "src/raft/a.ts",
        line: 0,
        rule: "layers/cycle",
        message: "files load each other: src/raft/a.ts → src/raft/b.ts → src/raft/c.ts → src/raft/a.ts",
      },
    ]);
  });

  it("may do so for types alone", () => {
    assert.deepEqual(
      checkCycles([
        file("src/raft/a.ts", 'import type { B } from "./b.ts";'),
        file("src/raft/b.ts", 'import { a } from "./a.ts";', 'export type { C } from "./c.ts";'),
        file("src/raft/c.ts", 'import { b } from "./b.ts";'),
      ]),
      [],
    );
  });
});

describe("packages", () => {
  const manifest = file(
    "package.json",
    '{ "dependencies": { "@grpc/grpc-js": "1", "yaml": "2" }, "devDependencies": { "fast-check": "4" } }',
  );

  it("must be asked for, by what is needed to run for src and by anything for the rest", () => {
    const found = checkDependencies([
      manifest,
      file("src/grpc/a.ts", 'import { Metadata } from "@grpc/grpc-js";', 'import Long from "long";', 'import fc from "fast-check";'),
      file("src/testing/a.ts", 'import fc from "fast-check";'),
      file("test/a.test.ts", 'import fc from "fast-check";', 'import { it } from "node:test";', 'import split from "split2/lib/a.js";'),
    ]);
    assert.deepEqual(
      found.map(({ file: path, line, rule, message }) => `${path}:${line} ${rule} ${message}`),
      [
        'src/grpc/a.ts:2 repo/dependency package.json does not ask for "long"',
        'src/grpc/a.ts:3 repo/dependency package.json does not ask for "fast-check" at run time',
        'test/a.test.ts:3 repo/dependency package.json does not ask for "split2"',
      ],
    );
  });

  it("that nothing names are told", () => {
    assert.deepEqual(unusedDependencies([manifest, file("src/grpc/a.ts", 'import "@grpc/grpc-js/build/a.js";')]), ["yaml"]);
  });
});
