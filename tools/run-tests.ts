import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { listFiles } from "./checks/files.ts";
import { dealGroups, writeGroups } from "./test-groups.ts";

/**
 * Runs the compiled tests: `node dist/tools/run-tests.js [--unit|--slow|--all] [--list] [FOLDER_OR_FILE …]`.
 *
 * The list comes from the sources, so a stale file in dist/ never runs, and it is a list of files, not a pattern, so that a
 * pattern that matches nothing cannot pass. Files named `*.slow.test.ts` run only with `--slow` or `--all`, first: they wait for
 * processes, and the others fill their waiting.
 */
export type Kind = "unit" | "slow" | "all";

/** Test sources of this kind; `filters` are folders or files (`raft`, `test/raft`, `test/raft/core.test.ts`). */
export function selectTests(paths: readonly string[], kind: Kind, filters: readonly string[]): string[] {
  const wanted = filters.map((filter) =>
    `test/${filter.replace(/^(?:\.\/)?(?:dist\/)?(?:test\/)?/, "").replace(/\.js$/, ".ts")}`.replace(/\/$/, ""),
  );
  return paths.filter((path) => {
    if (!path.startsWith("test/") || !path.endsWith(".test.ts")) return false;
    const slow = path.endsWith(".slow.test.ts");
    if ((kind === "unit" && slow) || (kind === "slow" && !slow)) return false;
    return wanted.length === 0 || wanted.some((one) => path === one || path.startsWith(`${one}/`));
  });
}

function main(args: readonly string[]): number {
  const kind: Kind = args.includes("--slow") ? "slow" : args.includes("--all") ? "all" : "unit";
  const filters = args.filter((arg) => !arg.startsWith("--"));
  const sources = selectTests(listFiles(process.cwd()), kind, filters);
  if (args.includes("--list")) {
    console.log(sources.join("\n"));
    return 0;
  }
  if (sources.length === 0) {
    console.error(`no ${kind} test matches ${filters.join(" ") || "test/"}: a run without tests proves nothing`);
    return 1;
  }
  const compiled = sources.map((path) => `dist/${path.replace(/\.ts$/, ".js")}`);
  const missing = compiled.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.error(`not compiled (npm run build): ${missing.join(" ")}`);
    return 1;
  }
  const slow = compiled.filter((path) => path.endsWith(".slow.test.js"));
  const groups = writeGroups(`.cache/tests/${process.pid}`, dealGroups(compiled.filter((path) => !slow.includes(path))));
  const concurrency = Number(process.env["TEST_CONCURRENCY"] ?? Math.min(4, Math.max(2, availableParallelism() + 1)));
  const { status } = spawnSync(
    process.execPath,
    [
      "--test",
      "--import=./dist/tools/test-scopes.js",
      `--test-concurrency=${concurrency}`,
      "--test-timeout=230000",
      "--test-reporter=./dist/tools/test-reporter.js",
      "--test-reporter-destination=stdout",
      ...slow,
      ...groups,
    ],
    { stdio: "inherit", env: { ...process.env, NODE_OPTIONS: "", TEST_FILES_EXPECTED: compiled.join(" ") } },
  );
  rmSync(`.cache/tests/${process.pid}`, { recursive: true, force: true });
  return status ?? 1;
}

if (process.argv[1]?.endsWith("run-tests.js") === true) process.exitCode = main(process.argv.slice(2));
