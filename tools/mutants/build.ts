import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Mutant, mutate } from "./mutant.ts";

/** Where mutants are built: never packed, never committed. */
export const BUILT = "dist-mutants";

/**
 * Builds a mutant into `dist-mutants/NAME`: a copy of `dist/src` in which the changed files are compiled anew, each for itself. The
 * product holds no switch: what is shipped cannot be made to misbehave.
 *
 * @returns its folder, in which `src/testing/main.js` is the simulator with the mutant inside
 * @throws {PatchError}
 */
export function buildMutant(root: string, mutant: Mutant): string {
  const changed = mutate(root, mutant);
  const folder = join(root, BUILT, mutant.name);
  rmSync(folder, { recursive: true, force: true });
  copyScripts(join(root, "dist/src"), join(folder, "src"));
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(folder, "sources", path)), { recursive: true });
    writeFileSync(join(folder, "sources", path), text);
    rmSync(join(folder, path.replace(/\.ts$/, ".js")));
  }
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.json",
      compilerOptions: {
        ...{ rootDir: "sources", outDir: ".", incremental: false, declaration: false, sourceMap: false },
        ...{ tsBuildInfoFile: null, noCheck: true, noResolve: true, types: [] },
      },
      include: [],
      files: [...changed.keys()].map((path) => `sources/${path}`),
    }),
  );
  const compiler = join(root, "node_modules/.bin/tsc");
  const { stdout, error } = spawnSync(compiler, ["-p", join(folder, "tsconfig.json")], { encoding: "utf8" });
  for (const path of changed.keys()) {
    // What it imports is not looked at, and said to be missing: only what it makes of the file counts.
    if (!existsSync(join(folder, path.replace(/\.ts$/, ".js"))))
      throw new Error(`mutant ${mutant.name}: ${path} does not compile: ${error?.message ?? stdout}`);
  }
  return folder;
}

function copyScripts(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copyScripts(join(from, entry.name), join(to, entry.name));
    else if (entry.name.endsWith(".js")) copyFileSync(join(from, entry.name), join(to, entry.name));
  }
}
