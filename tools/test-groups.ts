import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

/**
 * Unit test files share processes: most of what a small one costs is starting Node and loading the modules it tests. Slow tests
 * (real processes, signals, ports) keep one each.
 */
const FILES_PER_GROUP = 28;

/** Deals files over groups like cards, so that the heavy neighbours of one folder come to lie apart. */
export function dealGroups(files: readonly string[], perGroup: number = FILES_PER_GROUP): string[][] {
  const groups: string[][] = Array.from({ length: Math.ceil(files.length / perGroup) }, () => []);
  for (const [i, file] of files.entries()) groups[i % groups.length]?.push(file);
  return groups;
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
