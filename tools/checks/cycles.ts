import { posix } from "node:path";
import type { Finding, SourceFile } from "./finding.ts";
import { importsOf, tokenize } from "./tokens.ts";

/**
 * Refuses files that load each other in a circle: which of them is ready first then depends on who was asked first. Types may
 * refer to each other, they are gone once compiled. One finding per circle, at its first file by name.
 */
export function checkCycles(files: readonly SourceFile[]): Finding[] {
  const known = new Set(files.map((file) => file.path));
  const edges = new Map(
    files.map((file) => [
      file.path,
      importsOf(tokenize(file.text))
        .filter((found) => found.from.startsWith(".") && !found.typeOnly && !found.dynamic)
        .map((found) => posix.normalize(posix.join(posix.dirname(file.path), found.from)))
        .filter((path) => known.has(path)),
    ]),
  );
  return circles(edges).map((circle) => ({
    file: circle[0] ?? "",
    line: 0,
    rule: "layers/cycle",
    message: `files load each other: ${[...circle, circle[0]].join(" → ")}`,
  }));
}

/** Depth-first: an edge back to a file that is still open closes a circle; each set of files is told once. */
function circles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const found = new Map<string, string[]>();
  const done = new Set<string>();
  const open: string[] = [];
  const visit = (path: string): void => {
    if (done.has(path)) return;
    const since = open.indexOf(path);
    if (since >= 0) {
      const circle = open.slice(since);
      const first = circle.indexOf([...circle].sort()[0] ?? "");
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      found.set(turned.join(" "), turned);
      return;
    }
    open.push(path);
    for (const next of edges.get(path) ?? []) visit(next);
    open.pop();
    done.add(path);
  };
  for (const path of [...edges.keys()].sort()) visit(path);
  return [...found.values()];
}
