import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SourceFile } from "./finding.ts";

/** Never part of what is checked: not ours, made by a command, or wrong on purpose. */
const IGNORED = new Set([
  ...["node_modules", ".git", "dist", ".millrace", ".cache", ".venv", "__pycache__", "test/checks/planted", "bench/results", "bench/data"],
  ...["examples/python/gen", "examples/go/gen"],
]);
const TEXT =
  /\.(?:ts|js|mjs|cjs|json|md|proto|py|go|yaml|yml|sh|txt)$|(?:^|\/)(?:\.npmrc|LICENSE|run|\.gitignore|\.gitattributes|\.editorconfig)$/;

/** Paths of all files below `root`, sorted by code unit, with forward slashes. */
export function listFiles(root: string, below = ""): string[] {
  return readdirSync(join(root, below), { withFileTypes: true })
    .flatMap((entry) => {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (IGNORED.has(entry.name) || IGNORED.has(path) || entry.name.startsWith("dist-")) return [];
      if (entry.isDirectory()) return listFiles(root, path);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

/** All text files of the repository. */
export function readSources(root: string): SourceFile[] {
  return listFiles(root)
    .filter((path) => TEXT.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}
