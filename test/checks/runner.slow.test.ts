import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { selectTests } from "../../tools/run-tests.ts";
import { failedTests, lastCounts } from "../../tools/steps.ts";
import { dealGroups, startsProcesses } from "../../tools/test-groups.ts";
import { childrenMs, tableOf } from "../../tools/test-times.ts";

const PATHS = ["test/log/wal.test.ts", "test/log/kill.slow.test.ts", "test/raft/core.test.ts", "test/raft/harness.ts", "src/a.test.ts"];

/** Runs planted test files under the project's reporter; the tests inside must not think they run inside a test. */
function runPlanted(...names: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return runExpecting("", ...names);
}

/** The same, when tests of these files are asked for. */
function runExpecting(expected: string, ...names: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, TEST_FILES_EXPECTED: expected };
  const files = names.map((name) => `test/checks/planted/runner/${name}.test.mjs`);
  const flags = ["--test", "--import=./dist/tools/test-scopes.js"];
  return spawnSync(process.execPath, [...flags, "--test-reporter=./dist/tools/test-reporter.js", ...files], { encoding: "utf8", env });
}

describe("test runner", () => {
  it("takes its list from the sources, slow tests apart", () => {
    assert.deepEqual(selectTests(PATHS, "unit", []), ["test/log/wal.test.ts", "test/raft/core.test.ts"]);
    assert.deepEqual(selectTests(PATHS, "slow", []), ["test/log/kill.slow.test.ts"]);
    assert.equal(selectTests(PATHS, "all", []).length, 3);
  });

  it("takes folders and files as filters, written any way", () => {
    for (const filter of ["raft", "test/raft", "./test/raft/", "test/raft/core.test.ts", "dist/test/raft/core.test.js"]) {
      assert.deepEqual(selectTests(PATHS, "all", [filter]), ["test/raft/core.test.ts"], filter);
    }
    assert.deepEqual(selectTests(PATHS, "all", ["ra"]), []);
  });

  it("lets files share processes, each in exactly one, dealt like cards", () => {
    assert.deepEqual(dealGroups(["a", "b", "c", "d", "e"], 2), [["a", "d"], ["b", "e"], ["c"]]);
    assert.deepEqual(dealGroups([], 2), []);
  });

  it("gives a process to each slow test that starts processes, itself or by what it loads", () => {
    const texts: Record<string, string> = {
      "test/a.slow.test.ts": 'import { spawn } from "node:child_process";',
      "test/b.slow.test.ts": 'import { Cluster } from "../chaos/cluster.ts";\nimport { it } from "node:test";',
      "chaos/cluster.ts": 'import "../test/a.slow.test.ts";',
      "test/c.slow.test.ts": 'import { dev } from "../src/dev.ts";\nimport type { Cluster } from "../chaos/cluster.ts";',
      "src/dev.ts": 'import { spawn } from "node:child_process";',
    };
    const alone = Object.keys(texts).filter((path) => startsProcesses(path, (at) => texts[at] ?? ""));
    assert.deepEqual(alone, ["test/a.slow.test.ts", "test/b.slow.test.ts", "chaos/cluster.ts"]);
    for (const real of ["test/cli/dev.slow.test.ts", "test/processes/promises.slow.test.ts"]) assert.ok(startsProcesses(real), real);
    assert.ok(!startsProcesses("test/broker/damage.slow.test.ts"));
  });

  it("says what CPU time each file took, its children's with it", () => {
    const { status, stdout } = spawnSync(process.execPath, ["dist/tools/run-tests.js", "--times", "base/utf8.test.ts"], {
      encoding: "utf8",
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    assert.equal(status, 0, stdout);
    const [heads, row, all] = stdout.split("\n").slice(-4);
    assert.match(heads ?? "", /^ +CPU s +own +children {2}file$/);
    const [, total = "0", file] = /^ +([\d.]+) +[\d.]+ +0\.00 {2}(\S+)$/.exec(row ?? "") ?? [];
    assert.ok(Number(total) > 0, row);
    assert.equal(file, "dist/test/base/utf8.test.js");
    assert.match(all ?? "", / {2}1 files$/);
    assert.equal(childrenMs("7 (a ) b) S 1 7 7 0 -1 4 0 0 0 0 11 12 30 5 20 0"), 350);
    const times = [
      { file: "a", ownMs: 10, childrenMs: 0 },
      { file: "b", ownMs: 10, childrenMs: 2_000 },
    ];
    assert.deepEqual(
      tableOf(times)
        .split("\n")
        .map((line) => line.trim().replace(/ +/g, " ")),
      ["CPU s own children file", "2.01 0.01 2.00 b", "0.01 0.01 0.00 a", "2.02 0.02 2.00 2 files"],
    );
  });

  it("refuses to run nothing", () => {
    const { status, stderr } = spawnSync(process.execPath, ["dist/tools/run-tests.js", "no-such-folder"], { encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /no unit test matches no-such-folder/);
  });
});

describe("test reporter", () => {
  it("counts tests, not suites, and prints nothing of those that pass", () => {
    const { status, stdout } = runPlanted("passing");
    assert.equal(stdout, "tests: 2 passed, 0 failed\n");
    assert.equal(status, 0);
  });

  it("counts what is skipped, for later, or holds no test as failed, and shows each failure once", () => {
    const { stdout } = runPlanted("mixed", "empty", "throws");
    assert.match(stdout, /✖ fails {2}\(.*mixed\.test\.mjs:4\)\n {2}Error: planted failure/);
    assert.match(stdout, /✖ is skipped .*\n {2}is skipped:/);
    assert.match(stdout, /✖ is for later .*\n {2}is to do:/);
    assert.match(stdout, /✖ .*empty\.test\.mjs\n {2}holds no test/);
    assert.match(stdout, /✖ .*throws\.test\.mjs/);
    assert.equal(stdout.match(/planted failure/g)?.length, 1);
    assert.match(stdout, /tests: 1 passed, 5 failed\n$/);
  });

  it("fails for an error that nobody handled, and knows the tests of a suite", () => {
    const { status, stdout } = runPlanted("unhandled");
    assert.equal(status, 1);
    assert.match(stdout, /planted rejection/);
    assert.match(stdout, /tests: 2 passed, 1 failed\n$/);
  });

  it("counts a file that was asked for and that no test came from as failed", () => {
    const planted = (name: string): string => `test/checks/planted/runner/${name}.test.mjs`;
    assert.equal(runExpecting(planted("passing"), "passing").stdout, "tests: 2 passed, 0 failed\n");
    const { status, stdout } = runExpecting(`${planted("passing")} dist/test/log/gone.test.js`, "passing");
    assert.equal(stdout, "✖ dist/test/log/gone.test.js\n  holds no test\n\ntests: 2 passed, 1 failed\n");
    assert.equal(status, 1);
  });
});

describe("exit code of a run", () => {
  it("is 1 when tests hold nothing or are skipped, though none failed", () => {
    assert.equal(runPlanted("empty").status, 1);
    assert.equal(runPlanted("skipped", "passing").status, 1);
  });
});

describe("failed tests", () => {
  it("are named again, each with the first line of its error", () => {
    assert.deepEqual(
      failedTests("✖ a  (test/a.test.ts:4)\n  Error: one\n    at x\n\n✖ b\n  holds no test\n\ntests: 1 passed, 2 failed\n"),
      ["✖ a  (test/a.test.ts:4): Error: one", "✖ b: holds no test"],
    );
    assert.deepEqual(failedTests("tests: 2 passed, 0 failed\n"), []);
  });
});

describe("counts of a run", () => {
  it("come from the last line that has them", () => {
    assert.deepEqual(lastCounts("tests: 1 passed, 2 failed\nmore\n3 passed, 0 failed\n"), { passed: 3, failed: 0 });
    assert.deepEqual(lastCounts("nothing: 3 passed, 0 failed, 1 lost\n"), undefined);
  });
});
