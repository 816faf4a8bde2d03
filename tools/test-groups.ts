import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { posix, resolve } from "node:path";
import { importsOf, tokenize } from "./checks/tokens.ts";

/**
 * Test files share processes: most of what a small one costs is starting Node, loading the modules it tests and compiling what of
 * them is hot. Those that start processes keep one each: they wait for them, and the others fill their waiting.
 */
const FILES_PER_GROUP = 28;

/** Deals files over groups like cards, so that the heavy neighbours of one folder come to lie apart. */
export function dealGroups(files: readonly string[], perGroup: number = FILES_PER_GROUP): string[][] {
  const groups: string[][] = Array.from({ length: Math.ceil(files.length / perGroup) }, () => []);
  for (const [i, file] of files.entries()) groups[i % groups.length]?.push(file);
  return groups;
}

const SOURCE = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

/**
 * Whether a slow test starts processes: it, or a file beside it that it loads, imports `node:child_process`. What `src/` may start is
 * not looked at: tests of it that start nothing would count.
 *
 * @param path of the source, from the root
 */
export function startsProcesses(path: string, textOf: (path: string) => string = SOURCE): boolean {
  const seen = new Set<string>();
  const visit = (at: string): boolean => {
    if (seen.has(at) || at.startsWith("src/")) return false;
    seen.add(at);
    return importsOf(tokenize(textOf(at))).some(
      ({ from, typeOnly }) =>
        from === "node:child_process" || (from.startsWith(".") && !typeOnly && visit(posix.join(posix.dirname(at), from))),
    );
  };
  return visit(path);
}

/** Writes one module per group that imports its files, into `folder`, which holds nothing else afterwards. @returns their paths */
export function writeGroups(folder: string, groups: readonly (readonly string[])[]): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return groups.map((files, i) => {
    const path = `${folder}/group-${i + 1}.test.mjs`;
    writeFileSync(path, files.map((file) => `import ${JSON.stringify(resolve(file))};\n`).join(""));
    return path;
  });
}
