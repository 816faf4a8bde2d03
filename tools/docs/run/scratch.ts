import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

/**
 * All of the clone by links, but for what is built: npm links a clone into a cache of its own for its first `npx millrace` and builds it there
 * (`prepare`). Through a link to the clone that build would write its modules under the brokers of every other page.
 *
 * @param root of the repository
 */
export function makeScratch(root: string): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "millrace-docs-"));
  const [clone, own, bin] = ["clone", "own", "bin"].map((name) => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }) as [string, string, string];
  for (const name of readdirSync(root)) if (!LEFT_OUT.has(name) && name !== BUILT) symlinkSync(join(root, name), join(clone, name));
  // What a command needs; a build makes the rest.
  cpSync(join(root, BUILT, "src"), join(clone, BUILT, "src"), { recursive: true, filter: (path) => !/\.(?:d\.ts|map)$/.test(path) });
  writeFileSync(join(bin, "npx"), npx(clone, own), { mode: 0o755 });
  return { clone, own, bin, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

const BUILT = "dist";

/**
 * `npx` takes half a second to find what lies in node_modules/.bin. That it finds `millrace` is shown once per page, before its first
 * command (`NPX_WORKS`): the build it may begin is over before anything of the page runs. From then on it goes straight there.
 */
function npx(clone: string, own: string): string {
  return `#!/usr/bin/env bash
if [[ $1 == millrace && -e ${quoted(join(own, MARK))} ]]; then shift; exec ${quoted(process.execPath)} ${quoted(join(clone, "dist/src/main.js"))} "$@"; fi
tool=${quoted(join(clone, "node_modules/.bin"))}/$1
if [[ $1 != millrace && -x $tool ]]; then shift; exec "$tool" "$@"; fi
here=$(dirname "$0")
PATH=\${PATH#"$here${delimiter}"}
exec npx "$@"
`;
}

const MARK = "npx-works";

/** What the runner types before the first command of a page that says `npx millrace`. */
export function npxWorks({ own }: Scratch): string {
  return `npx millrace version && touch ${quoted(join(own, MARK))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
