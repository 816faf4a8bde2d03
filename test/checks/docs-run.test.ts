import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { blocksOf, commandsOf } from "../../tools/docs/run/blocks.ts";
import { firstDifference } from "../../tools/docs/run/expected.ts";
import { type Ran, runPage } from "../../tools/docs/run/run-page.ts";

/** As much of a repository as these pages use: every page gets a copy of what is built, and all of ours took seconds. */
const root = mkdtempSync(join(tmpdir(), "millrace-planted-"));
mkdirSync(join(root, "dist", "src"), { recursive: true });
writeFileSync(join(root, "dist", "src", "main.js"), "process.exitCode = 2;\n");
writeFileSync(join(root, "package.json"), '{ "type": "module" }\n');
after(() => rmSync(root, { recursive: true }));

function page(...lines: readonly string[]): string {
  return lines.join("\n").replaceAll("'''", "```");
}

/** Runs a page that needs no cluster. */
async function run(...lines: readonly string[]): Promise<readonly Ran[]> {
  const { blocks, mistakes } = blocksOf("planted.md", page(...lines));
  assert.deepEqual(mistakes, []);
  return runPage(blocks, { root, port: 27_900 });
}

function told(ran: readonly Ran[]): readonly string[] {
  return ran.map(({ line, result }) => `${line} ${result.kind}${result.kind === "failed" ? `: ${result.why}` : ""}`);
}

describe("Commands in pages", () => {
  it("are those of sh blocks, with what they print and what is said of them", () => {
    const { blocks } = blocksOf(
      "a.md",
      page(
        "text",
        "'''sh",
        "ls",
        "'''",
        "",
        "'''output",
        "a",
        "b",
        "'''",
        "'''text",
        "rm -rf /",
        "'''",
        "'''sh fails 3",
        "false",
        "'''",
        "  '''sh skip: by hand",
        "  vi",
        "  '''",
      ),
    );
    assert.deepEqual(blocks, [
      { page: "a.md", line: 3, text: "ls", mark: { kind: "runs" }, output: "a\nb" },
      { page: "a.md", line: 14, text: "false", mark: { kind: "fails", exitCode: 3 }, output: undefined },
      { page: "a.md", line: 17, text: "vi", mark: { kind: "skipped", reason: "by hand" }, output: undefined },
    ]);
  });

  it("may not hide behind a fence without a language, another name of sh, an unknown mark or an output that belongs to nothing", () => {
    const wrong = ["'''", "ls", "'''", "'''bash", "ls", "'''", "'''sh maybe", "ls", "'''", "text", "text", "'''output", "a", "'''"];
    assert.deepEqual(
      blocksOf("a.md", page(...wrong)).mistakes.map(({ line, what }) => `${line} ${what.slice(0, 20)}`),
      ["1 a fenced block needs", "4 tag shell commands `", "7 behind sh may stand ", "12 an output block stan"].map((each) =>
        each.slice(0, each.indexOf(" ") + 21),
      ),
    );
  });

  it("are cut where a shell begins to work", () => {
    const text = page(
      "# a remark",
      "ls |",
      "  wc -l",
      "",
      "echo 'a",
      "b'",
      "for n in 1 2; do",
      "  echo $n",
      "done",
      "a \\",
      "  b",
      "cat <<END",
      "x",
      "END",
      "ls",
    );
    assert.deepEqual(
      commandsOf({ line: 10, text }).map(({ line, text: each }) => `${line} ${each.split("\n").length}`),
      ["11 2", "14 2", "16 3", "19 2", "21 3", "24 1"],
    );
  });

  it("pass when they do what the page says, in one shell", async () => {
    const ran = await run(
      "'''sh",
      "alias say='echo said'",
      "name=world",
      "say hello $name > file &",
      "wait",
      "cat file",
      "'''",
      "'''output",
      "said … world",
      "'''",
      "'''sh fails",
      "cat nothing",
      "'''",
      "'''sh skip: by hand",
      "vi",
      "'''",
    );
    assert.deepEqual(told(ran), ["2 passed", "3 passed", "4 passed", "5 passed", "6 passed", "12 passed", "15 skipped"]);
  });

  it("fail when they exit otherwise than the page says, and end the page", async () => {
    assert.deepEqual(told(await run("'''sh", "true", "node dist/src/main.js nope", "true", "'''")), ["2 passed", "3 failed: exit 2"]);
    assert.deepEqual(told(await run("'''sh fails", "true", "'''")), ["2 failed: exit 0, where the page says it fails"]);
    assert.deepEqual(told(await run("'''sh fails 3", "(exit 2)", "'''")), ["2 failed: exit 2, where the page says 3"]);
    assert.deepEqual(told(await run("'''sh", "exit 0", "'''")), ["2 failed: did not end in time"]);
    assert.deepEqual(told(await run("'''sh", "false | true", "'''")), ["2 failed: exit 1"]);
  });

  it("write into a clone of their own, dist/ too, which another page runs at the same time", async () => {
    const name = `planted-${process.pid}`;
    const ran = await run("'''sh", `echo 1 | tee dist/${name} ${name}`, "'''");
    assert.deepEqual(told(ran), ["2 passed"]);
    assert.deepEqual(
      ["dist", "."].filter((folder) => existsSync(join(root, folder, name))),
      [],
    );
  });

  it("fail when they print otherwise than the page shows", async () => {
    const [ran] = await run("'''sh", "echo 41", "'''", "'''output", "42", "'''");
    assert.deepEqual(ran?.result, { kind: "failed", why: "the page shows what it did not print: 42", output: "41\n" });
  });

  it("print what a page shows when text and lines are as they stand, but for what it leaves out", () => {
    assert.equal(firstDifference("a … c\n…\nlast", "a b c\nx\ny\nlast\n"), undefined);
    assert.equal(firstDifference("a  b", "a b   "), undefined);
    assert.equal(firstDifference("…", ""), undefined);
    assert.equal(firstDifference("a.b", "axb"), "a.b");
    assert.equal(firstDifference("a", "a\nb"), "the same lines, in another number or order");
    assert.equal(firstDifference("b\na", "a\nb"), "the same lines, in another number or order");
  });
});
