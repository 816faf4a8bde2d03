import { readdirSync, readFileSync } from "node:fs";
import { blocksOf } from "./docs/run/blocks.ts";
import { freePorts } from "./docs/run/dev-cluster.ts";
import { runPage } from "./docs/run/run-page.ts";

/**
 * `npm run docs:run [PAGE…]`: types every shell command of README.md and docs/*.md, in order, each page on a cluster of its own with a fresh
 * data folder, and compares what the pages show. Says which commands are not for a machine, and why.
 */
const PORTS_FROM = 27_000;

const root = process.cwd();
const all = [
  "README.md",
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name}`),
];
const asked = process.argv.slice(2);
const pages = asked.length > 0 ? asked : all;

const began = Date.now();
let passed = 0;
let failed = 0;
let skipped = 0;
for (const page of pages) {
  const { blocks, mistakes } = blocksOf(page, readFileSync(page, "utf8"));
  for (const { line, what } of mistakes) console.log(`FAIL  ${page}:${line}  ${what}`);
  failed += mistakes.length;
  if (blocks.length === 0) continue;
  const since = Date.now();
  const ran = await runPage(blocks, { root, port: await freePorts(PORTS_FROM) });
  for (const { line, command, result } of ran) {
    const [first = ""] = command.split("\n");
    if (result.kind === "skipped") console.log(`not run  ${page}:${line}  ${first}  (${result.reason})`);
    if (result.kind === "failed") console.log(`FAIL  ${page}:${line}  ${first}\n  ${result.why}; it printed:\n${indented(result.output)}`);
  }
  const count = (kind: string): number => ran.filter(({ result }) => result.kind === kind).length;
  passed += count("passed");
  failed += count("failed");
  skipped += count("skipped");
  console.log(
    `${count("failed") === 0 ? "ok  " : "FAIL"}  ${page}  ${count("passed")} commands  ${((Date.now() - since) / 1000).toFixed(1)} s`,
  );
}
console.log(
  `docs: ${passed} commands of ${pages.length} pages ran as written, ${skipped} not run, in ${((Date.now() - began) / 1000).toFixed(1)} s`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function indented(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .slice(-20)
    .map((line) => `    ${line}`)
    .join("\n");
}
