import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { listFiles } from "./checks/files.ts";
import { dealGroups, startsProcesses, writeGroups } from "./test-groups.ts";
import { readTimes, tableOf } from "./test-times.ts";

/**
 * Runs the compiled tests: `node dist/tools/run-tests.js [--unit|--slow|--all] [--list] [--times] [FOLDER_OR_FILE …]`.
 *
 * The list comes from the sources, so a stale file in dist/ never runs, and it is a list of files, not a pattern, so that a
 * pattern that matches nothing cannot pass. Files named `*.slow.test.ts` run only with `--slow` or `--all`. With `--times` each file has a process of its own, one after the other, and a table
 * says what CPU time each took.
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

function compiledOf(source: string): string {
  return `dist/${source.replace(/\.ts$/, ".js")}`;
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
  const compiled = sources.map(compiledOf);
  const missing = compiled.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.error(`not compiled (npm run build): ${missing.join(" ")}`);
    return 1;
  }
  const alone = sources.filter((path) => path.endsWith(".slow.test.ts") && startsProcesses(path)).map(compiledOf);
  const scratch = `.cache/tests/${process.pid}`;
  const times = args.includes("--times");
  const shared = compiled.filter((path) => !alone.includes(path));
  const groups = times ? shared : writeGroups(scratch, dealGroups(shared));
  const concurrency = times ? 1 : Number(process.env["TEST_CONCURRENCY"] ?? Math.min(4, Math.max(2, availableParallelism() + 1)));
  const env = { ...process.env, NODE_OPTIONS: "", TEST_FILES_EXPECTED: compiled.join(" ") };
  const { status } = spawnSync(
    process.execPath,
    [
      "--test",
      "--import=./dist/tools/test-scopes.js",
      ...(times ? ["--import=./dist/tools/test-times.js"] : []),
      `--test-concurrency=${concurrency}`,
      "--test-timeout=230000",
      "--test-reporter=./dist/tools/test-reporter.js",
      "--test-reporter-destination=stdout",
      ...alone,
      ...groups,
    ],
    { stdio: "inherit", env: times ? { ...env, TEST_TIMES: scratch } : env },
  );
  if (times) console.log(tableOf(readTimes(scratch)));
  rmSync(scratch, { recursive: true, force: true });
  return status ?? 1;
}

if (process.argv[1]?.endsWith("run-tests.js") === true) process.exitCode = main(process.argv.slice(2));
