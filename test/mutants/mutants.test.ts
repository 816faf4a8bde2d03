import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { endingOf, type Hunted } from "../../tools/mutants/hunt.ts";
import { type Mutant, mutantNames, mutate, parseMutant, readMutant } from "../../tools/mutants/mutant.ts";
import { checkMutantsPage, MUTANTS_PAGE, tableOf, withResults } from "../../tools/mutants/page.ts";
import { applyPatch, parsePatch } from "../../tools/mutants/patch.ts";

const root = process.cwd();

describe("The mutants in mutants/", () => {
  const names = mutantNames(root);

  it("apply to the present sources, change them, and name rows that a run judges", () => {
    assert.ok(names.length > 0, "no mutants");
    for (const name of names) assert.ok(mutate(root, readMutant(root, name)).size > 0, name);
  });

  it("neither throw nor assert by themselves", () => {
    for (const name of names) {
      for (const { path, hunks } of readMutant(root, name).patch) {
        for (const { before, after } of hunks) {
          const ends = (lines: readonly string[]) =>
            lines.join("\n").match(/\bthrow\b|\binvariant\(|\bunreachable\(|\breject\(/g)?.length ?? 0;
          assert.ok(ends(after) <= ends(before), `${name} in ${path}`);
        }
      }
    }
  });

  it("stand on their page, each with a row that its patch asks for", () => {
    const mutants = names.map((name) => readMutant(root, name));
    assert.deepEqual(checkMutantsPage(readFileSync(MUTANTS_PAGE, "utf8"), mutants), []);
  });

  it("are built where nothing is packed or committed", () => {
    assert.match(readFileSync(".gitignore", "utf8"), /^dist-\*\/$/m);
    const { files } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly files: readonly string[] };
    assert.deepEqual(
      files.filter((path) => "mutants/".startsWith(path) || "dist-mutants/".startsWith(path)),
      [],
    );
  });
});

const PATCH = ["--- a/src/raft/x.ts", "+++ b/src/raft/x.ts", "@@ -1,2 +1,2 @@", " one", "-two", "+2", ""].join("\n");
const apply = (text: string, file: string | undefined) => applyPatch(parsePatch(text), () => file).get("src/raft/x.ts");

describe("A patch", () => {
  it("is applied where its lines stand, wherever that is by now", () => {
    assert.equal(apply(PATCH, "zero\none\ntwo\nthree\n"), "zero\none\n2\nthree\n");
  });

  for (const { what, file, says } of [
    { what: "its lines are not there", file: "one\nthree\n", says: /line 3: its lines stand in src\/raft\/x.ts 0 times/ },
    { what: "they are there twice", file: "one\ntwo\none\ntwo\n", says: /2 times, not once/ },
    { what: "the file is gone", file: undefined, says: /there is no src\/raft\/x.ts/ },
  ])
    it(`is refused when ${what}`, () => assert.throws(() => apply(PATCH, file), says));

  for (const { what, text, says } of [
    { what: "changes no file", text: "\n", says: /changes no file/ },
    { what: "has a hunk before any file", text: "@@ -1 +1 @@\n-a\n+b\n", says: /line 1: a hunk before/ },
    { what: "has a hunk that changes nothing", text: PATCH.replace("+2", "+two"), says: /line 3: a hunk that changes nothing/ },
    { what: "holds anything else", text: PATCH.replace(" one", "?one"), says: /line 4 is no part of a unified diff/ },
  ])
    it(`that ${what} is refused`, () => assert.throws(() => parsePatch(text), says));
});

describe("The header of a mutant", () => {
  const header = "Breaks: something\nRows: R1 L2\nSeed: 7 short\n\n";

  it("says what it breaks, who must notice, and a seed that did", () => {
    const { breaks, rows, seed } = parseMutant("m", header + PATCH);
    assert.deepEqual({ breaks, rows, seed }, { breaks: "something", rows: ["R1", "L2"], seed: { seed: 7, short: true } });
  });

  for (const { what, text, says } of [
    { what: "names a row nobody judges", text: header.replace("R1", "Z1") + PATCH, says: /no run judges a row Z1/ },
    { what: "says nothing of rows", text: `Breaks: something\n\n${PATCH}`, says: /which row must catch it/ },
    { what: "does not say what it breaks", text: `Rows: R1\n\n${PATCH}`, says: /does not say what it breaks/ },
    { what: "has a field nobody knows", text: `Author: me\n${header}${PATCH}`, says: /not a line of a header/ },
    { what: "is all there is", text: header, says: /no diff follows/ },
  ])
    it(`is refused when it ${what}`, () => assert.throws(() => parseMutant("m", text), says));

  it("does not reach past the product", () => {
    const mutant = parseMutant("m", header + PATCH.replaceAll("src/raft", "src/testing/checkers"));
    assert.throws(() => mutate(root, mutant), /mutant m: src\/testing\/checkers\/x.ts is no source of the product/);
  });
});

describe("A failed seed was refused", () => {
  it("by a row of the inside, when the error says so", () => {
    const failure = "Error: R8 (committed means durable): group 1\n    at somewhere";
    assert.deepEqual(endingOf({ failure, error: "Error" }, ["L2"]), {
      by: "row",
      row: "R8",
      message: "R8 (committed means durable): group 1",
    });
  });

  it("by the expected one of several rows of the history", () => {
    const failure = "L1: t-0@2 is c and d\n  L2: row 6 (send ALL): gone";
    assert.deepEqual(endingOf({ failure }, ["L2"]), { by: "row", row: "L2", message: "L2: row 6 (send ALL): gone" });
  });

  it("by an assertion of the product or an exception, whatever their stack names", () => {
    const failure = "Error: two durable votes\n    R7: at x";
    assert.equal(endingOf({ failure, error: "InvariantViolated" }, ["R7"]).by, "assertion");
    assert.equal(endingOf({ failure, error: "TypeError" }, ["R7"]).by, "exception");
  });
});

describe("The page of mutants", () => {
  const mutant = (name: string): Mutant => ({ name, breaks: `breaks ${name} | all`, rows: ["L2"], seed: undefined, patch: [] });
  const hunted = (name: string, row: string | undefined): Hunted => ({
    mutant: mutant(name),
    caught: row === undefined ? undefined : { seed: 9, short: true, row, message: "" },
    seeds: 3,
    shortSeeds: 2,
    cpuMs: 1,
    others: new Map(),
  });
  const empty = `# Mutants\n\n<!-- table: written by \`npm run mutant -- --all --write\` -->\n`;
  const page = withResults(empty, [mutant("a"), mutant("b")], [hunted("a", "L2"), hunted("b", "L2")], "c0ffee");

  it("keeps what did not run, takes out what was not caught and what is gone", () => {
    assert.deepEqual(checkMutantsPage(page, [mutant("a"), mutant("b")]), []);
    const again = withResults(page, [mutant("a"), mutant("c")], [hunted("c", "L2")], "beef");
    assert.deepEqual(
      [...tableOf(again).values()].map(({ name, row, seeds, commit }) => [name, row, seeds, commit].join()),
      ["a,L2,2 short, 1 whole,c0ffee", "c,L2,2 short, 1 whole,beef"],
    );
    assert.deepEqual([...tableOf(withResults(page, [mutant("a")], [hunted("a", undefined)], "beef")).keys()], []);
  });

  it("must have a line for each mutant, with its words and a row it asks for, and no other", () => {
    assert.match(checkMutantsPage(page, [mutant("a")]).join(), /has a line for b, which is no mutant/);
    assert.match(checkMutantsPage(page, [mutant("a"), mutant("b"), mutant("c")]).join(), /no line for the mutant c/);
    assert.match(checkMutantsPage(page, [mutant("a"), { ...mutant("b"), breaks: "x" }]).join(), /its patch says "x"/);
    assert.match(
      checkMutantsPage(page, [mutant("a"), { ...mutant("b"), rows: ["R1"] }]).join(),
      /b was caught by L2, its patch asks for R1/,
    );
  });
});
