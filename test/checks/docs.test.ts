import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { errors } from "../../src/base/errors.ts";
import { topicConfigKeys } from "../../src/cluster/topic-config.ts";
import { describeConfig } from "../../src/config/describe.ts";
import { settings } from "../../src/config/table.ts";
import { checkGenerated, checkLinks, checkStatus, longFiles } from "../../tools/checks/docs.ts";
import { tableRows } from "../../tools/checks/markdown.ts";
import { configurationPage } from "../../tools/docs/configuration-page.ts";
import { errorsPage } from "../../tools/docs/errors-page.ts";
import { checkReliability, citations, citedIn, reliabilityPage, uncovered } from "../../tools/docs/reliability-page.ts";
import { refusesPlanted } from "./planted.ts";

const SCENARIOS = 72;

const PAGE = [
  "| promise | meaning | covered by |",
  "|---|---|---|",
  "| L2 | nothing is lost | pending: no test cites it yet |",
  "| scenario 13 | removed | pending: comes with the next issue |",
  "| scenario 12 | late | [gone.test.ts](../test/gone.test.ts) |",
].join("\n");

describe("docs checks", () => {
  refusesPlanted("docs", (files) => [
    ...checkLinks(
      files,
      files.map((file) => file.path),
    ),
    ...files.filter((file) => file.path.endsWith("status.md")).flatMap(checkStatus),
  ]);

  it("refuse a status page without its table", () => {
    assert.deepEqual(
      checkStatus({ path: "docs/status.md", text: "# Status\n" }).map((finding) => finding.rule),
      ["docs/status"],
    );
  });

  it("refuse a generated page that is missing or differs, and name the line", () => {
    assert.deepEqual(checkGenerated("docs/a.md", "1\n2\n", [{ path: "docs/a.md", text: "1\n2\n" }]), []);
    assert.equal(checkGenerated("docs/a.md", "1\n2\n", [{ path: "docs/a.md", text: "1\n3\n" }])[0]?.line, 2);
    assert.match(checkGenerated("docs/a.md", "1\n2\n", [])[0]?.message ?? "", /missing/);
  });

  it("give every error of the table its row, with the table's own values", () => {
    const rows = tableRows(errorsPage(errors), "code");
    assert.deepEqual(
      rows.map((row) => row.cells[0]),
      Object.keys(errors).map((code) => `\`${code}\``),
    );
    for (const { cells } of rows) {
      const spec = errors[(cells[0] ?? "").replaceAll("`", "") as keyof typeof errors];
      assert.deepEqual(cells.slice(1), [
        `\`${spec.status}\``,
        spec.retriable ? "yes" : "no",
        spec.outcomeKnown ? "nothing written" : "unknown",
        spec.doc,
      ]);
    }
  });

  it("give every setting its row", () => {
    const rows = tableRows(configurationPage(describeConfig()), "key");
    assert.deepEqual(
      rows.map((row) => row.cells[0]),
      [...Object.keys(settings), ...Object.keys(topicConfigKeys)].map((key) => `\`${key}\``),
    );
    for (const [at, { cells }] of rows.entries()) {
      assert.equal(cells.length, at < Object.keys(settings).length ? 7 : 4, cells[0]);
      for (const cell of cells) assert.notEqual(cell, "", cells[0]);
    }
  });

  it("say which files are long, and refuse none for it", () => {
    const text = "\n".repeat(301);
    assert.equal(longFiles([{ path: "src/a.ts", text }]).length, 1);
    assert.deepEqual(longFiles([{ path: "test/a.ts", text }]), []);
  });
});

describe("citations of numbers in tests", () => {
  it("are read in every form that a sentence takes", () => {
    assert.deepEqual(citedIn("refuses (scenario 2)"), ["scenario 2"]);
    assert.deepEqual(
      citedIn("Scenarios 3, 4 and 26–28: cut"),
      [3, 4, 26, 27, 28].map((n) => `scenario ${n}`),
    );
    assert.deepEqual(
      citedIn("cases 39-42, 45"),
      [39, 40, 41, 42, 45].map((n) => `case ${n}`),
    );
    assert.deepEqual(citedIn("keeps L2, R1–R3 under FS3 and FN1"), ["L2", "R1", "R2", "R3", "FS3", "FN1"]);
    assert.deepEqual(citedIn("C2–C4, C8"), ["C2", "C3", "C4", "C8"]);
    assert.deepEqual(citedIn("ours-R3 xL2 L2x scenario ten"), []);
  });

  it("count in names and comments of tests, and nowhere else", () => {
    const cited = citations([
      { path: "test/raft/a.test.ts", text: 'it("refuses an older log (scenario 2)"); // L1\nconst L4 = R2;' },
      { path: "test/raft/scenarios/b.txt", text: "# scenario 3: a shorter log is refused" },
      { path: "test/raft/helper.ts", text: "// scenario 5" },
      { path: "test/checks/a.test.ts", text: "// scenario 6" },
      { path: "src/raft/a.ts", text: "// scenario 7" },
    ]);
    assert.deepEqual([...cited.keys()].sort(), ["L1", "scenario 2", "scenario 3"]);
  });

  it("make the last column of the page anew and leave every other word", () => {
    const cited = new Map([["L2", ["test/a.test.ts", "test/b/c.test.ts"]]]);
    const page = reliabilityPage(PAGE, cited).split("\n");
    assert.deepEqual(page.slice(0, 2), PAGE.split("\n").slice(0, 2));
    assert.equal(page[2], "| L2 | nothing is lost | [a.test.ts](../test/a.test.ts) · [b/c.test.ts](../test/b/c.test.ts) |");
    assert.equal(page[3], "| scenario 13 | removed | pending: comes with the next issue |");
    assert.equal(page[4], "| scenario 12 | late | pending: no test cites it yet |");
    assert.deepEqual(uncovered(page.join("\n")), ["scenario 12"]);
    assert.equal(reliabilityPage(page.join("\n"), cited), page.join("\n"));
  });

  it("keep what is pending for another reason beside the tests of the other half", () => {
    const page = reliabilityPage(PAGE, new Map([["scenario 13", ["test/a.test.ts"]]]));
    assert.match(page, /\[a\.test\.ts\]\(\.\.\/test\/a\.test\.ts\) · pending: comes with the next issue \|/);
  });

  it("of instruments show that a break would be seen, not that there is none", () => {
    const page = reliabilityPage(PAGE, new Map([["L2", ["test/testing/checkers/a.test.ts"]]]));
    assert.match(page, /lost \| pending: no test cites it yet · seen by \[testing\/checkers\/a\.test\.ts\]/);
    assert.deepEqual(uncovered(page), ["L2", "scenario 12"]);
    assert.equal(reliabilityPage(page, new Map([["L2", ["test/testing/checkers/a.test.ts"]]])), page);
    const both = reliabilityPage(page, new Map([["L2", ["test/e2e/b.test.ts", "test/testing/checkers/a.test.ts"]]]));
    assert.match(both, /lost \| \[e2e\/b\.test\.ts\]\(\S+\) · seen by \[testing/);
  });

  it("are refused when the page has no such row, or has it twice", () => {
    assert.deepEqual(
      checkReliability(`${PAGE}\n| L2 | again | |`, new Map([["L9", ["test/a.test.ts"]]])).map((finding) => finding.message),
      ["L2 stands here twice (line 3)", "has no row L9, which test/a.test.ts cites"],
    );
  });

  it("have a row for every scenario, and in it a test or the feature it waits for", () => {
    const page = readFileSync("docs/reliability.md", "utf8");
    const rows = [...page.matchAll(/^\| scenario (\d+) \|.*\|(.*)\|$/gm)];
    assert.deepEqual(
      rows.map(([, number]) => Number(number)),
      Array.from({ length: SCENARIOS }, (_, i) => i + 1),
    );
    for (const [row, , covered] of rows) assert.match(covered ?? "", /\.test\.ts\)|\.txt\)|pending: (?!no test)/, row);
  });
});
