import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, describe, it } from "node:test";
import { verbs } from "../../src/cli/program.ts";
import { helpTexts } from "../../tools/docs/cli-page.ts";
import { run } from "./run-here.ts";

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

  it("exits 2 for another shell", async () => {
    const { code, talk } = await run(["completion", "fish"]);
    assert.equal(code, 2);
    assert.match(talk, /shell must be bash or zsh: got "fish"/);
  });
});
