import type { Finding, SourceFile } from "./finding.ts";
import { importsOf, tokenize } from "./tokens.ts";

/** Rules about the repository as a whole: it must work on any machine, and its tests must all run. */
export function checkRepo(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [
    ...machinePaths(file),
    ...outsidePages(file),
    ...lockfile(file),
    ...tests(file),
    ...testClocks(file),
    ...manifest(file),
  ]);
}

/** Folders of one machine. A test may name a place that cannot exist, but not one that somebody happens to have. */
const MACHINE_PATH = /(?<![\w.~/@-])\/(?:work|root|tmp|home\/\w+|Users\/\w+)(?=[/\s"'`),.;:]|$)|\.\.\/shared\b/;

function machinePaths(file: SourceFile): Finding[] {
  if (!/^(?:src|test|tools|bench|chaos|docs|proto|helm|examples|\.ci)\/|^[^/]+\.(?:md|json|yaml|yml)$/.test(file.path)) return [];
  if (file.path.startsWith("test/checks/") || file.path === "tools/checks/repo.ts") return [];
  return file.text.split("\n").flatMap((text, index) => {
    const found = MACHINE_PATH.exec(text)?.[0];
    return found === undefined
      ? []
      : [{ file: file.path, line: index + 1, rule: "repo/machine-path", message: `"${found}" exists on one machine only` }];
  });
}

/** The clone is complete: what a comment cites must be in it, or be published. */
function outsidePages(file: SourceFile): Finding[] {
  if (!/^(?:src|test|tools|bench|chaos|docs|proto|helm|examples)\/|^[^/]+\.md$/.test(file.path)) return [];
  if (file.path.startsWith("test/checks/") || file.path === "tools/checks/repo.ts") return [];
  return file.text.split("\n").flatMap((text, index) => {
    const found = /\b(?:field-notes|performance-facts|style-anchors)\b|\becosystem\.md\b/.exec(text)?.[0];
    return found === undefined
      ? []
      : [
          {
            file: file.path,
            line: index + 1,
            rule: "repo/outside-page",
            message: `"${found}" is not in the clone: cite the paper, KIP or RFC`,
          },
        ];
  });
}

/** The lockfile must install from whatever registry the reader uses. */
function lockfile(file: SourceFile): Finding[] {
  if (!/(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|\.npmrc)$/.test(file.path)) return [];
  const hosts = file.text.split("\n").flatMap((text, index) =>
    /"resolved":\s*"https?:|^\s*(?:@[\w-]+:)?registry\s*=/.test(text)
      ? [
          {
            file: file.path,
            line: index + 1,
            rule: "repo/registry-host",
            message: "names a registry; .npmrc keeps hosts out of the lockfile",
          },
        ]
      : [],
  );
  return [...hosts, ...(file.path === "package-lock.json" ? missingFromLockfile(file) : [])];
}

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
}

/**
 * `npm ci` refuses a lockfile without an entry for every platform's package, and `npm install` leaves out those that the registry
 * it asked does not have. Such an entry needs no more than version, os, cpu and `optional`.
 */
function missingFromLockfile(file: SourceFile): Finding[] {
  const { packages } = JSON.parse(file.text) as Lockfile;
  return Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => packages[`node_modules/${name}`] === undefined && packages[`${place}/node_modules/${name}`] === undefined)
      .map((name) => ({ file: file.path, line: 0, rule: "repo/lockfile-entry", message: `no entry for ${name}: npm ci would refuse it` })),
  );
}

const SKIPPERS = new Set(["skip", "only", "todo"]);
const TEST_WORDS = new Set(["it", "test", "describe", "suite", "t", "context", "before", "after"]);

/** Every test runs: none alone, none skipped, none to be written later. */
function tests(file: SourceFile): Finding[] {
  if (!file.path.startsWith("test/") || !file.path.endsWith(".ts")) return [];
  const code = tokenize(file.text).filter((token) => token.kind !== "comment");
  return code.flatMap((token, index) => {
    if (token.kind !== "word" || !SKIPPERS.has(token.text)) return [];
    const before = code[index - 1]?.text ?? "";
    const after = code[index + 1]?.text ?? "";
    const called = before === "." && (after === "(" || after === ".") && TEST_WORDS.has(code[index - 2]?.text ?? "");
    const option = (before === "{" || before === ",") && after === ":" && ["true", "skip"].includes(code[index + 2]?.text ?? "");
    const asked =
      option || ((before === "{" || before === ",") && after === ":" && code[index + 2]?.kind === "string" && token.text !== "only");
    return called || asked
      ? [{ file: file.path, line: token.line, rule: `repo/test-${token.text}`, message: `a test marked "${token.text}" proves nothing` }]
      : [];
  });
}

const CLOCKS = new Set(["setTimeout", "setInterval", "performance"]);

/**
 * A unit test that waits or measures passes on a quiet machine and fails on a busy one; one that draws numbers cannot be repeated.
 * Tests of real processes (`*.slow.test.ts`) have to wait.
 */
function testClocks(file: SourceFile): Finding[] {
  if (!/^test\/.*(?<!\.slow)\.test\.ts$/.test(file.path)) return [];
  const tokens = tokenize(file.text);
  const code = tokens.filter((token) => token.kind !== "comment");
  const used = code.flatMap((token, index) => {
    const before = code[index - 1]?.text ?? "";
    const after = code[index + 1]?.text ?? "";
    const member = before === "." || before === "?.";
    const clock = token.kind === "word" && CLOCKS.has(token.text) && !member && after !== ":" && after !== ",";
    // Of Date only the clock: Date.parse and Date.UTC are arithmetic.
    const now =
      token.text === "Date" &&
      !member &&
      ((after === "." && code[index + 2]?.text === "now") || (before === "new" && code[index + 2]?.text === ")"));
    const drawn = token.kind === "word" && token.text === "random" && member && code[index - 2]?.text === "Math";
    return clock || now || drawn ? [{ name: drawn ? "Math.random" : token.text, line: token.line }] : [];
  });
  const timers = importsOf(tokens).filter((found) => /^(?:node:)?timers(?:\/promises)?$/.test(found.from));
  return [...used, ...timers.map((found) => ({ name: found.from, line: found.line }))].map(({ name, line }) => ({
    file: file.path,
    line,
    rule: "repo/test-clock",
    message: `${name} in a unit test: drive time through a port, draw through fast-check, or make it a *.slow.test.ts`,
  }));
}

interface Manifest {
  readonly license?: string;
  readonly type?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What package.json promises to those who install it. */
function manifest(file: SourceFile): Finding[] {
  if (file.path !== "package.json") return [];
  const parsed = JSON.parse(file.text) as Manifest;
  const findings: Finding[] = [];
  const expect = (holds: boolean, message: string): void => {
    if (!holds) findings.push({ file: file.path, line: 0, rule: "repo/manifest", message });
  };
  expect(parsed.license === "Apache-2.0", "license must be Apache-2.0");
  expect(parsed.type === "module", 'type must be "module"');
  expect(parsed.engines?.node === ">=20.19", 'engines.node must be ">=20.19"');
  expect(parsed.exports?.["./client"] !== undefined, "exports must offer ./client");
  expect(parsed.bin?.["millrace"] !== undefined, "bin must offer millrace");
  for (const script of ["build", "prepare", "start", "check", "test", "ok", "format"]) {
    expect(parsed.scripts?.[script] !== undefined, `the script "${script}" is missing`);
  }
  for (const script of ["preinstall", "install", "postinstall"]) {
    expect(parsed.scripts?.[script] === undefined, `no "${script}": only prepare may run, and only in a clone`);
  }
  const count = Object.keys(parsed.dependencies ?? {}).length;
  expect(count <= 25, `at most 25 packages at run time: ${count}`);
  return findings;
}
