import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { limits } from "../../src/base/limits.ts";
import type { CompiledPattern } from "../../src/base/ports/patterns.ts";
import { programBound } from "../../src/patterns/program-bound.ts";
import { re2Patterns } from "../../src/patterns/re2-patterns.ts";

const PROGRAM_MAX = limits["group.topic.pattern.program.max"].value;

function compiled(pattern: string): CompiledPattern {
  const found = re2Patterns.compile(pattern);
  return "why" in found ? assert.fail(`${pattern}: ${found.why}`) : found;
}
function fault(pattern: string) {
  const found = re2Patterns.compile(pattern);
  return "why" in found ? found : assert.fail(`${pattern} is taken`);
}

describe("Patterns", () => {
  it("match whole names, in upper and lower case as written, and a dot any character", () => {
    const rows: [string, string[], string[]][] = [
      ["flights", ["flights"], ["flights.v2", "my-flights", "Flights"]],
      ["flights\\..*", ["flights.", "flights.eu"], ["flights", "flightsXeu"]],
      ["a|bc", ["a", "bc"], ["ac", "abc", "bca"]],
      ["(?i)Orders-[0-9]{1,3}", ["orders-7", "ORDERS-123"], ["orders-1234", "orders-"]],
      ["^a$", ["a"], ["ba", "ab"]],
      ["", [""], ["a"]],
      [".*", ["", "anything.at-all_9"], []],
      ["(?:eu|us)\\.(orders|payments)", ["eu.orders", "us.payments"], ["orders", "eu.orders.x"]],
      ["\\Qa.b\\E", ["a.b"], ["axb"]],
    ];
    for (const [pattern, yes, no] of rows) {
      const { matches } = compiled(pattern);
      assert.deepEqual([yes.filter((name) => !matches(name)), no.filter(matches)], [[], []], pattern);
    }
  });

  it("say what is wrong with them, and where", () => {
    const rows: [pattern: string, position: number | undefined, why: RegExp][] = [
      ["flights.(", 9, /\( is not closed/],
      ["a(b", 3, /\( is not closed/],
      ["ab)", 0, /unexpected \)/],
      ["ab[cd", 2, /missing closing \].*"\[cd"/],
      ["ab**", 2, /repetition operator: "\*\*"/],
      ["*.flights", 0, /missing argument to repetition operator/],
      ["flights(?=x)", 7, /unsupported Perl syntax: "\(\?="/],
      ["flights(?<!x)", 7, /named capture/],
      ["(a)\\1", 3, /escape sequence/],
      ["x\\p{Foo}", 1, /character class/],
      ["x{2,1}", 1, /repeat count/],
      ["\\", 0, /trailing backslash/],
    ];
    for (const [pattern, position, why] of rows) {
      const found = fault(pattern);
      assert.match(found.why, why, pattern);
      assert.equal(found.position, position, `${pattern}: ${found.why}`);
    }
  });

  it("that make an engine which tries one way after the other never finish are done in as many steps as their size and the name allow", () => {
    const name = "a".repeat(248);
    for (const pattern of [
      "(a+)+",
      "(a|a)*",
      "(a|aa)+",
      "(a*)*b",
      "(.*a){12}",
      "(x+x+)+y|(a+a+)+y",
      "([a-z]+)*[0-9]",
      "(a?){80}a{80}",
      "(?:a|b|ab)*c",
    ]) {
      const { size, matches, rest } = compiled(pattern);
      assert.ok(size <= PROGRAM_MAX, `${pattern}: ${size}`);
      // That this comes to an end is the test: by trying, it is 2 to the power of 200 and more.
      assert.equal(matches(`${name}!`), false, pattern);
      rest();
      assert.equal(matches(`${name}!`), false, `${pattern}, again`);
    }
  });

  it("are refused before they are compiled when they are long, or come to many parts", () => {
    const long = limits["group.topic.pattern.max"].value;
    assert.ok(compiled("x".repeat(long)).size > long);
    assert.deepEqual([fault("x".repeat(long + 1)).limit, fault("x".repeat(long + 1)).position], ["group.topic.pattern.max", undefined]);
    for (const pattern of [
      "(a?b?c?d?){1000}",
      "a{1000}",
      "((a{30}){30}){30}",
      "([a-z]?.){600}",
      "(?:\\pL{40}){40}",
      `(${"a?".repeat(200)}){1000}`,
    ])
      assert.equal(fault(pattern).limit, "group.topic.pattern.program.max", pattern);
    for (const pattern of ["[0-9]{4}-[0-9]{2}-[0-9]{2}", ".{1,200}", "[a-z]{100}\\.[a-z]{100}", "a{1}{1}{1}".slice(0, 4)])
      compiled(pattern);
  });

  it("are never larger than was said before they were compiled", () => {
    const atom = fc.constantFrom(
      "a",
      ".",
      "\\.",
      "\\d",
      "\\pL",
      "\\x{41}",
      "[a-z]",
      "[^]x]",
      "[[:alpha:]_]",
      "[\\]{2}]",
      "\\Qa{9}(\\E",
      "\\{",
      "é",
      "(?i:Ab)",
      "^",
      "$",
      "\\b",
    );
    const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
      pattern: fc.oneof(
        { maxDepth: 5 },
        atom,
        fc.tuple(tie("pattern"), tie("pattern")).map((parts) => parts.join("")),
        fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(?:${a}|${b})`),
        fc
          .tuple(
            fc.constantFrom("(", "(?:", "(?P<n>", "(?s:"),
            tie("pattern"),
            fc.constantFrom("*", "+", "?", "{0}", "{3}", "{2,}", "{1,7}", "{0,4}", "*?", "{2}?"),
          )
          .map(([open, of, times]) => `${open}${of})${times}`),
      ),
    }));
    let judged = 0;
    fc.assert(
      fc.property(pattern, (text) => {
        let size: number;
        try {
          size = RE2JS.compile(text).programSize();
        } catch {
          return;
        }
        judged += 1;
        assert.ok(size <= programBound(text), `${text}: ${size}, and ${programBound(text)} was said`);
      }),
      { numRuns: 2_000, seed: 7 },
    );
    assert.ok(judged > 1_000, `${judged} could be compiled`);
  });

  it("of whatever text are compiled or refused, never anything else", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."()[]{}|*+?\\.^$-,:=!<>PQEpxs019aé"), maxLength: 30 }), (text) => {
        const found = re2Patterns.compile(text);
        if ("why" in found) assert.ok(found.position === undefined || (found.position >= 0 && found.position <= text.length), text);
        else found.matches("a.1");
      }),
      { numRuns: 3_000, seed: 3 },
    );
  });
});
