import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readSources } from "../../tools/checks/files.ts";
import { importsOf, tokenize } from "../../tools/checks/tokens.ts";

const texts = (source: string): string[] => tokenize(source).map((token) => `${token.kind} ${token.text}`);

describe("tokenizer of the checks", () => {
  it("tells a regular expression from a division", () => {
    assert.deepEqual(texts("a / b / c"), ["word a", "punct /", "word b", "punct /", "word c"]);
    assert.deepEqual(texts("return /[/]'/g"), ["word return", "regex /[/]'/g"]);
    assert.deepEqual(texts("(1) / 2 / 3"), ["punct (", "number 1", "punct )", "punct /", "number 2", "punct /", "number 3"]);
  });

  it("follows template literals into their expressions and out again", () => {
    assert.deepEqual(texts("`a ${ { b: `c` } } d` e"), [
      "template a ",
      "punct ${",
      "punct {",
      "word b",
      "punct :",
      "template c",
      "punct }",
      "punct }",
      "template  d",
      "word e",
    ]);
  });

  it("counts lines across comments, strings and templates", () => {
    const source = "/* 1\n2 */ a\n`3\n4` b\n// 5\nc";
    assert.deepEqual(
      tokenize(source)
        .filter((token) => token.kind === "word")
        .map((token) => [token.text, token.line]),
      [
        ["a", 2],
        ["b", 4],
        ["c", 6],
      ],
    );
  });

  it("keeps parentheses, brackets and braces balanced in every source of this repository", () => {
    const closes: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };
    for (const { path, text } of readSources(".").filter((file) => file.path.endsWith(".ts"))) {
      const open: string[] = [];
      for (const token of tokenize(text)) {
        if (token.kind !== "punct") continue;
        if (["(", "[", "{", "${"].includes(token.text)) open.push(token.text.replace("$", ""));
        const opener = closes[token.text];
        if (opener !== undefined) assert.equal(open.pop(), opener, `${path}:${token.line}`);
      }
      assert.deepEqual(open, [], path);
    }
  });

  it("comes to an end whatever it reads, and never names a line that is not there", () => {
    const piece = fc.constantFrom(
      "`",
      "${",
      "}",
      "{",
      "/",
      "*",
      "//",
      "/*",
      "*/",
      "'",
      '"',
      "\\",
      "\n",
      "a",
      "1",
      " ",
      "=",
      "(",
      ")",
      "[",
      "]",
      "é",
      "#",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const source = pieces.join("");
        const tokens = tokenize(source);
        const lines = source.split("\n").length;
        for (const token of tokens) assert.ok(token.line >= 1 && token.line <= lines, JSON.stringify(token));
      }),
    );
  });

  it("finds every form of import, and no other string", () => {
    const source = [
      'import a, { type B } from "./a.ts";',
      'import type { C } from "./c.ts";',
      'export * from "./d.ts";',
      'import "./e.ts";',
      'const f = await import("./f.ts");',
      'const g = require("./g.ts");',
      'const no = ["./no.ts", Array.from("./no.ts"), \'import "./no.ts"\', x.import("./no.ts")]; // from "./no.ts"',
    ].join("\n");
    assert.deepEqual(
      importsOf(tokenize(source)).map((found) => found.from),
      ["./a.ts", "./c.ts", "./d.ts", "./e.ts", "./f.ts", "./g.ts"],
    );
  });
});
