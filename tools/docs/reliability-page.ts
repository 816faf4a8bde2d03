import { posix } from "node:path";
import type { Finding, SourceFile } from "../checks/finding.ts";
import { cellsOf, toRow } from "../checks/markdown.ts";
import { tokenize } from "../checks/tokens.ts";

/**
 * docs/reliability.md lists promises (L1, C2, R3, …), faults (FS1, …), scenarios and bad-input cases by number. Its last column says
 * which tests cover each; it is made from the tests, which cite the numbers in a name or a comment: `scenario 12`,
 * `scenarios 3, 4 and 9`, `case 44`, `L7`, `FS3`. A row nothing cites must be marked `pending: why`. Tests of our instruments
 * (the checkers, the simulated disk) say that a broken promise would be seen; they do not say that it is kept.
 */
const INSTRUMENTS = /^test\/(?:testing\/checkers\/|mutants\/|disk\/sim-)/;
const PAGE = "docs/reliability.md";
const CODE = /^(?:[CLMR]\d{1,2}|F[PNSCROUK]\d{1,2}|(?:scenario|case) \d{1,2})$/;
const NUMBERED = /\b(scenario|case)s?\s+((?:\d{1,2}[a-z]?(?:\s*(?:,|and|to|–|-|\/)\s*)?)+)/gi;
const LETTERED = /(?<![\w.-])(?:L\d{1,2}|M\d|R\d{1,2}|C\d|F[PNSCROUK]\d{1,2})(?:[–-][CLMR]?\d{1,2})?(?![\w])/g;

/** Ids as the page writes them (`L1`, `FS3`, `scenario 12`, `case 44`) → test files that cite them. */
export function citations(files: readonly SourceFile[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const file of files) {
    if (!file.path.startsWith("test/") || file.path.startsWith("test/checks/") || !/(?:\.test\.ts|contract\.ts|\.txt)$/.test(file.path))
      continue;
    const prose = file.path.endsWith(".txt")
      ? file.text
      : tokenize(file.text)
          .filter((token) => token.kind === "comment" || token.kind === "string" || token.kind === "template")
          .map((token) => token.text)
          .join("\n");
    for (const id of citedIn(prose)) found.set(id, (found.get(id) ?? new Set()).add(file.path));
  }
  return new Map([...found].map(([id, paths]) => [id, [...paths].sort()]));
}

/** Ids cited in a piece of text. */
export function citedIn(prose: string): string[] {
  const ids: string[] = [];
  for (const [, kind = "", list = ""] of prose.matchAll(NUMBERED)) {
    for (const number of expand(list)) ids.push(`${kind.toLowerCase()} ${number}`);
  }
  for (const [text] of prose.matchAll(LETTERED)) {
    const letters = /^[A-Z]+/.exec(text)?.[0] ?? "";
    for (const number of expand(text.replaceAll(/[A-Z]/g, ""))) ids.push(`${letters}${number}`);
  }
  return ids;
}

/** `3, 4 and 9` → 3 4 9; `26–28` → 26 27 28. */
function expand(list: string): string[] {
  return [...list.matchAll(/(\d{1,2})(?:\s*(?:to|–|-)\s*(\d{1,2}))?/g)].flatMap(([, from = "", to]) => {
    const last = to === undefined ? Number(from) : Number(to);
    return Array.from({ length: Math.max(1, last - Number(from) + 1) }, (_, n) => String(Number(from) + n));
  });
}

/** The page with its last column made anew; every other word stays. */
export function reliabilityPage(page: string, cited: ReadonlyMap<string, readonly string[]>): string {
  return page
    .split("\n")
    .map((line) => {
      const cells = line.startsWith("|") ? cellsOf(line) : [];
      const id = cells[0] ?? "";
      if (!CODE.test(id)) return line;
      const before = cells.at(-1) ?? "";
      const link = (path: string): string => `[${path.replace(/^test\//, "")}](${posix.relative("docs", path)})`;
      const proofs = (cited.get(id) ?? []).filter((path) => !INSTRUMENTS.test(path)).map(link);
      const instruments = (cited.get(id) ?? []).filter((path) => INSTRUMENTS.test(path)).map((path) => `seen by ${link(path)}`);
      const pending = /pending: .*$/.exec(before)?.[0];
      const reason = pending === undefined || pending.includes(NO_TEST) ? undefined : pending.split(" · ")[0];
      const none = proofs.length === 0 && reason === undefined ? [`pending: ${NO_TEST}`] : [];
      return toRow([...cells.slice(0, -1), [...proofs, ...(reason === undefined ? none : [reason]), ...instruments].join(" · ")]);
    })
    .join("\n");
}

const NO_TEST = "no test cites it yet";

/** Rows must be there for every number that a test cites, once each. */
export function checkReliability(page: string, cited: ReadonlyMap<string, readonly string[]>): Finding[] {
  const seen = new Map<string, number>();
  const findings: Finding[] = [];
  page.split("\n").forEach((line, index) => {
    const id = line.startsWith("|") ? (cellsOf(line)[0] ?? "") : "";
    if (!CODE.test(id)) return;
    if (seen.has(id))
      findings.push({ file: PAGE, line: index + 1, rule: "docs/reliability", message: `${id} stands here twice (line ${seen.get(id)})` });
    else seen.set(id, index + 1);
  });
  for (const [id, paths] of cited) {
    if (!seen.has(id))
      findings.push({ file: PAGE, line: 0, rule: "docs/reliability", message: `has no row ${id}, which ${paths.join(", ")} cites` });
  }
  return findings;
}

/** Ids that no test covers. */
export function uncovered(page: string): string[] {
  return page.split("\n").flatMap((line) => {
    const cells = line.startsWith("|") ? cellsOf(line) : [];
    return CODE.test(cells[0] ?? "") && cells.at(-1)?.includes(NO_TEST) === true ? [cells[0] ?? ""] : [];
  });
}
