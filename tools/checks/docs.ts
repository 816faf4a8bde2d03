import { posix } from "node:path";
import type { Finding, SourceFile } from "./finding.ts";
import { anchorsOf, linksOf, tableRows } from "./markdown.ts";

/**
 * Links of every Markdown page lead somewhere inside the repository, headings included.
 *
 * @param paths every file of the repository, also those that are not text
 */
export function checkLinks(files: readonly SourceFile[], paths: readonly string[]): Finding[] {
  const pages = new Map(files.filter((file) => file.path.endsWith(".md")).map((file) => [file.path, file.text]));
  const known = new Set(paths.flatMap((path) => [path, ...foldersOf(path)]));
  const findings: Finding[] = [];
  for (const [path, text] of pages) {
    for (const { target, line } of linksOf(text)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const goal = file === "" ? path : posix.normalize(posix.join(posix.dirname(path), file)).replace(/\/$/, "");
      if (!known.has(goal)) findings.push({ file: path, line, rule: "docs/link", message: `"${target}" leads nowhere` });
      else if (anchor !== undefined && pages.has(goal) && !anchorsOf(pages.get(goal) ?? "").has(anchor)) {
        findings.push({ file: path, line, rule: "docs/anchor", message: `${goal} has no heading "#${anchor}"` });
      }
    }
  }
  return findings;
}

function foldersOf(path: string): string[] {
  const folder = posix.dirname(path);
  return folder === "." ? [] : [folder, ...foldersOf(folder)];
}

const STATES = ["done", "partial", "open"];

/** Rows of docs/status.md: line | test or command | what it printed | commit | state. What is claimed carries its evidence. */
export function checkStatus(file: SourceFile): Finding[] {
  const rows = tableRows(file.text, "line");
  const findings: Finding[] = [];
  const report = (line: number, message: string): void => {
    findings.push({ file: file.path, line, rule: "docs/status", message });
  };
  if (rows.length === 0) report(0, 'has no table that begins with a column "line"');
  for (const { cells, line } of rows) {
    const [what = "", command = "", printed = "", commit = "", state = ""] = cells;
    if (cells.length !== 5 || what === "") {
      report(line, `needs 5 columns, has ${cells.length}`);
      continue;
    }
    if (!STATES.includes(state)) report(line, `state must be one of ${STATES.join(", ")}: "${state}"`);
    if (state === "open") continue;
    if (command === "") report(line, `is ${state}, but names no test or command`);
    if (printed === "") report(line, `is ${state}, but does not say what was printed`);
    if (state === "done" && !/^`?[0-9a-f]{7,40}`?$/.test(commit)) report(line, `is done, but names no commit: "${commit}"`);
  }
  return findings;
}

/** A page made from the code must be as the code makes it now. */
export function checkGenerated(path: string, generated: string, files: readonly SourceFile[]): Finding[] {
  const committed = files.find((file) => file.path === path)?.text;
  if (committed === generated) return [];
  const before = (committed ?? "").split("\n");
  const at = generated.split("\n").findIndex((line, index) => line !== before[index]);
  const message = committed === undefined ? "is missing: npm run docs" : "is not what the code says now: npm run docs";
  return [{ file: path, line: committed === undefined ? 0 : at + 1, rule: "docs/generated", message }];
}

/** Long files are a sign that two ideas met in one; said, not refused. */
export function longFiles(files: readonly SourceFile[], linesMax = 300): string[] {
  return files
    .filter((file) => /^(?:src|tools|bench|chaos)\/.*\.ts$/.test(file.path))
    .map((file) => ({ path: file.path, lines: file.text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > linesMax)
    .map(({ path, lines }) => `${path} has ${lines} lines (aim at fewer than ${linesMax})`);
}
