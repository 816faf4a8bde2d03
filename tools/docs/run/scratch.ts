import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A folder that looks like a fresh clone to the commands of one page: what they write lands there and not in the clone. */
export interface Scratch {
  readonly clone: string;
  /** For files of the runner. */
  readonly own: string;
  /** What PATH begins with. */
  readonly bin: string;
  remove(): void;
}

/** What a page must not find there, because a command may make it. */
const LEFT_OUT = new Set([".git", ".millrace", ".cache"]);

/** @param root of the repository */
export function makeScratch(root: string): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "millrace-docs-"));
  const [clone, own, bin] = ["clone", "own", "bin"].map((name) => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }) as [string, string, string];
  for (const name of readdirSync(root)) if (!LEFT_OUT.has(name)) symlinkSync(join(root, name), join(clone, name));
  writeFileSync(join(bin, "npx"), npx(root, own), { mode: 0o755 });
  return { clone, own, bin, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * `npx` takes half a second to find what lies in node_modules/.bin: the first `npx millrace` of a page goes the whole way, which shows
 * that it works, the rest goes straight there.
 */
function npx(root: string, own: string): string {
  const works = quoted(join(own, "npx-works"));
  return `#!/usr/bin/env bash
if [[ $1 == millrace && -e ${works} ]]; then shift; exec ${quoted(process.execPath)} ${quoted(join(root, "dist/src/main.js"))} "$@"; fi
tool=${quoted(join(root, "node_modules/.bin"))}/$1
if [[ $1 != millrace && -x $tool ]]; then shift; exec "$tool" "$@"; fi
here=$(dirname "$0")
PATH=\${PATH#"$here${delimiter}"}
touch ${works}
exec npx "$@"
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
