import type { Finding, SourceFile } from "./finding.ts";
import { packageOf } from "./layers.ts";
import { importsOf, tokenize } from "./tokens.ts";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Every package that the code names is one package.json asks for, and not one that happens to lie in node_modules. */
export function checkDependencies(files: readonly SourceFile[]): Finding[] {
  const manifest = JSON.parse(files.find((file) => file.path === "package.json")?.text ?? "{}") as Manifest;
  const running = new Set(Object.keys(manifest.dependencies ?? {}));
  const building = new Set([...running, ...Object.keys(manifest.devDependencies ?? {})]);
  return files
    .filter((file) => /^(?:src|test|tools|bench|chaos)\/.*\.ts$/.test(file.path))
    .flatMap((file) => {
      const asked = file.path.startsWith("src/") && !file.path.startsWith("src/testing/") ? running : building;
      return importsOf(tokenize(file.text))
        .filter(({ from }) => !from.startsWith(".") && !from.startsWith("node:") && packageOf(from) !== "millrace")
        .filter(({ from }) => !asked.has(packageOf(from)))
        .map(({ from, line }) => ({
          file: file.path,
          line,
          rule: "repo/dependency",
          message: `package.json does not ask for "${packageOf(from)}"${building.has(packageOf(from)) ? " at run time" : ""}`,
        }));
    });
}

/** Packages that are asked for at run time and never named; worth saying. */
export function unusedDependencies(files: readonly SourceFile[]): string[] {
  const manifest = JSON.parse(files.find((file) => file.path === "package.json")?.text ?? "{}") as Manifest;
  const named = new Set(
    files
      .filter((file) => /^src\/.*\.ts$/.test(file.path))
      .flatMap((file) => importsOf(tokenize(file.text)).map(({ from }) => packageOf(from))),
  );
  return Object.keys(manifest.dependencies ?? {}).filter((name) => !named.has(name));
}
