import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { verbs } from "../../src/cli/program.ts";
import { helpTexts } from "../../tools/docs/cli-page.ts";
import { run } from "./run-here.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-completion-"));
const zshFile = join(folder, "_millrace");
const fishFile = join(folder, "millrace.fish");
before(async () => {
  writeFileSync(zshFile, (await run(["completion", "zsh"])).out);
  writeFileSync(fishFile, (await run(["completion", "fish"])).out);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ["--version"]).status === 0;
}

/** Said, so that nobody takes it for tried. */
function notHere(test: TestContext, shell: string): void {
  test.diagnostic(`could not run: completion in ${shell} (it is not installed)`);
}

describe("completion bash", () => {
  let script: string;
  before(async () => {
    const { code, out } = await run(["completion", "bash"]);
    assert.equal(code, 0);
    script = out;
  });

  /** What bash offers for the last word. */
  function offered(...words: string[]): readonly string[] {
    const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const shell = spawnSync("bash", ["-c", `${script}\n${ask}`, "bash", "millrace", ...words], { encoding: "utf8" });
    assert.equal(shell.stderr, "");
    return shell.stdout.split("\n").filter((line) => line !== "");
  }

  it("offers every verb, and those that begin like the word", () => {
    assert.deepEqual(offered(""), [...verbs]);
    assert.deepEqual(offered("pro"), ["produce"]);
    assert.deepEqual(offered("topic", ""), ["create", "list", "describe", "alter", "add-partitions", "trim", "delete"]);
    assert.deepEqual(offered("topic", "de"), ["describe", "delete"]);
  });

  it("offers options when one is begun, or when no command can follow", () => {
    assert.deepEqual(offered("topic", "create", "--part"), ["--partitions"]);
    assert.ok(offered("produce", "t", "--").includes("--header"));
    assert.ok(offered("check", "").includes("--records"));
    assert.deepEqual(offered("--br"), ["--brokers"]);
  });

  it("offers the words an option takes, and files for one that takes anything", () => {
    assert.deepEqual(offered("produce", "t", "--acks", ""), ["all", "quorum", "leader", "none"]);
    assert.deepEqual(offered("produce", "t", "-z", "g"), ["gzip"]);
    assert.deepEqual(offered("produce", "t", "--file", ""), []);
    assert.deepEqual(offered("--brokers", "h:1", "topic", "list", "--format", ""), ["text", "json"]);
  });
});

describe("completion zsh", () => {
  it("knows every command and every option, with what it means", async () => {
    const { code, out } = await run(["completion", "zsh"]);
    assert.equal(code, 0);
    assert.match(out, /^#compdef millrace\n/);
    for (const { command, text } of await helpTexts()) {
      const path = command.replace("millrace", "").trim();
      const from = out.indexOf(`\n    ('${path}')\n`);
      assert.ok(from >= 0, command);
      const part = out.slice(from, out.indexOf("\n      ;;", from));
      for (const [, option] of text.matchAll(/^ {2,6}(?:-\w, )?(--[a-z-]+)/gm))
        assert.ok(part.includes(`'${option}:`), `${command} ${option}`);
    }
    assert.match(out, /'produce:Send each line of stdin/);
  });

  it("offers them in a real zsh", (test) => {
    if (!isInstalled("zsh")) return notHere(test, "zsh");
    // Outside of a terminal there is no line to complete: what would be offered is caught where it is added.
    const script = `
      compdef() { :; }
      compadd() { local -a all; while (( $# )) && [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@" }
      _describe() { local name=$2; print -rl -- "\${(@P)name%%:*}" }
      _files() { print files }
      source "$1"; shift
      words=("$@"); CURRENT=$#; PREFIX="\${words[CURRENT]}"
      _millrace`;
    const offered = (...words: string[]): readonly string[] => {
      const shell = spawnSync("zsh", ["-f", "-c", script, "zsh", zshFile, "millrace", ...words], { encoding: "utf8" });
      assert.equal(shell.stderr, "");
      return shell.stdout.split("\n").filter((line) => line !== "");
    };
    assert.deepEqual(offered(""), [...verbs]);
    assert.ok(offered("topic", "").includes("create"));
    assert.ok(offered("produce", "t", "--").includes("--header"));
    assert.deepEqual(offered("produce", "t", "--acks", ""), ["all", "quorum", "leader", "none"]);
    assert.deepEqual(offered("produce", "t", "--file", ""), ["files"]);
  });
});

describe("completion fish", () => {
  it("knows every command and every option, with what it means", async () => {
    const { code, out } = await run(["completion", "fish"]);
    assert.equal(code, 0);
    for (const { command, text } of await helpTexts()) {
      const path = command.replace("millrace", "").trim();
      const at = out.split("\n").filter((line) => line.includes(`-n '__millrace_at \\'${path}\\''`));
      for (const [, option] of text.matchAll(/^ {2,6}(?:-\w, )?--([a-z-]+)/gm))
        assert.ok(
          at.some((line) => line.includes(` -l ${option}`)),
          `${command} --${option}`,
        );
    }
  });

  it("offers them in a real fish", (test) => {
    if (!isInstalled("fish")) return notHere(test, "fish");
    const offered = (line: string): readonly string[] => {
      const script = 'source $argv[1]; complete -C "$argv[2]"';
      const shell = spawnSync("fish", ["--no-config", "-c", script, fishFile, line], { encoding: "utf8" });
      assert.equal(shell.stderr, "");
      return shell.stdout.split("\n").flatMap((each) => (each === "" ? [] : [each.split("\t")[0] ?? ""]));
    };
    assert.deepEqual([...offered("millrace ")].sort(), [...verbs].sort());
    assert.ok(offered("millrace topic ").includes("create"));
    assert.ok(offered("millrace produce t --he").includes("--header"));
    assert.deepEqual([...offered("millrace produce t --acks ")].sort(), ["all", "leader", "none", "quorum"]);
    assert.deepEqual(offered("millrace --brokers h:1 topic list --format t"), ["text"]);
  });
});

describe("completion of another shell", () => {
  it("exits 2 for another shell", async () => {
    const { code, talk } = await run(["completion", "csh"]);
    assert.equal(code, 2);
    assert.match(talk, /shell must be bash, zsh or fish: got "csh"/);
  });
});
