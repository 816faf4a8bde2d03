import { readdirSync, readFileSync } from "node:fs";
import { blocksOf } from "./docs/run/blocks.ts";
import { freePorts } from "./docs/run/dev-cluster.ts";
import { runPage } from "./docs/run/run-page.ts";

/**
 * `npm run docs:run [PAGE…]`: types every shell command of README.md and docs/*.md, in order, each page on a cluster of its own with a fresh
 * data folder, and compares what the pages show. Says which commands are not for a machine, and why.
 */
const PORTS_FROM = 27_000;
/** Pages at the same time: most of a page is waiting, for a cluster to come up or to be well again. Each has ports of its own. */
const PAGES_AT_ONCE = 2;
const PORTS_APART = 1_000;
/** Lines shown of what a failed command printed. */
const OUTPUT_LINES = 20;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

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
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const waiting = [...pages];
await Promise.all(
  Array.from({ length: PAGES_AT_ONCE }, async (_, lane) => {
    for (let page = waiting.shift(); page !== undefined; page = waiting.shift()) await tell(page, PORTS_FROM + lane * PORTS_APART);
  }),
);
const { passed, failed, skipped } = total;
console.log(`docs: ${passed} commands of ${pages.length} pages ran as written, ${skipped} not run, in ${seconds(began)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Runs one page and prints what became of it, all at once. */
async function tell(page: string, portsFrom: number): Promise<void> {
  const { blocks, mistakes } = blocksOf(page, readFileSync(page, "utf8"));
  const lines = mistakes.map(({ line, what }) => `FAIL  ${page}:${line}  ${what}`);
  const counts: Counts = { passed: 0, failed: mistakes.length, skipped: 0 };
  const since = Date.now();
  const ran = blocks.length === 0 ? [] : await runPage(blocks, { root, port: await freePorts(portsFrom) });
  for (const { line, command, result } of ran) {
    const [first = ""] = command.split("\n");
    counts[result.kind]++;
    if (result.kind === "skipped") lines.push(`not run  ${page}:${line}  ${first}  (${result.reason})`);
    if (result.kind === "failed") lines.push(`FAIL  ${page}:${line}  ${first}`, `  ${result.why}; it printed:`, indented(result.output));
  }
  const verdict = counts.failed === 0 ? "ok  " : "FAIL";
  if (blocks.length > 0) lines.push(`${verdict}  ${page}  ${counts.passed} commands  ${seconds(since)}`);
  for (const line of lines) console.log(line);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .slice(-OUTPUT_LINES)
    .map((line) => `    ${line}`)
    .join("\n");
}
