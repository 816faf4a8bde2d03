import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
