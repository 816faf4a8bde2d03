import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { layerOf } from "./checks/layers.ts";

/**
 * Which files of floors 0 to 2, the client library among them, a corpus of simulated seeds executes: something of each but its
 * top level. Exit code 1 when one is not, and is no exception.
 *
 * `node dist/tools/sim-files.js [ARGUMENTS OF npm run sim; default --short --seeds 100]`
 */

/** Files that no run of the simulator comes to, and why. */
const exceptions: Readonly<Record<string, string>> = {
  "base/events.ts": "the catalogue of events is for telemetry/",
  "base/metrics.ts": "the catalogue of meters is for telemetry/",
  "base/ports/telemetry.ts": "the simulator brings a telemetry of its own",
  "base/rpc-limits.ts": "limits of grpc/, which the simulator replaces",
  "base/ports/listen-error.ts": "no two simulated brokers share an address",
  "cluster/decide-recovery.ts": "recover after a lost majority: `npm run recover`",
  "cluster/recovery-plan.ts": "recover after a lost majority: `npm run recover`",
  "cluster/recovery-words.ts": "recover after a lost majority: `npm run recover`",
  "broker/recovery/standings.ts": "recover after a lost majority: `npm run recover`",
  "log/dump/dump-file.ts": "`millrace debug dump`",
  "log/dump/dump-group.ts": "`millrace debug dump`",
  "log/dump/dump-snapshot.ts": "`millrace debug dump`",
  "log/dump/dump-wal.ts": "`millrace debug dump`",
};

/** As much of a report of V8 as is read here. */
interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly functionName: string; readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

const given = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "millrace-sim-files-"));
const run = spawnSync(process.execPath, ["dist/src/testing/main.js", ...(given.length > 0 ? given : ["--short", "--seeds", "100"])], {
  env: { ...process.env, NODE_V8_COVERAGE: folder },
  stdio: ["ignore", "inherit", "inherit"],
});

const dist = resolve("dist/src");
/** By file: whether it has functions, and whether one ran. */
const files = new Map<string, { functions: boolean; ran: boolean }>();
for (const name of readdirSync(folder)) {
  const { result } = JSON.parse(readFileSync(join(folder, name), "utf8")) as Coverage;
  for (const { url, functions } of result) {
    if (!url.startsWith(`file://${dist}/`)) continue;
    const path = relative(dist, url.slice("file://".length)).replace(/\.js$/, ".ts");
    const seen = files.get(path) ?? { functions: false, ran: false };
    files.set(path, seen);
    // The first function of a module is its top level.
    for (const one of functions.slice(1)) {
      seen.functions = true;
      if ((one.ranges[0]?.count ?? 0) > 0) seen.ran = true;
    }
  }
}
rmSync(folder, { recursive: true, force: true });

const wanted = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts") && (layerOf(path)?.floor ?? 4) <= 2)
  .sort();
const executed = (path: string): boolean => {
  const seen = files.get(path);
  return seen !== undefined && (seen.ran || !seen.functions);
};
/** Compiled, nothing is left of it: types. */
const isEmpty = (path: string): boolean =>
  /^\s*export \{\};\s*(?:\/\/#.*)?\s*$/.test(readFileSync(join(dist, path.replace(/\.ts$/, ".js")), "utf8"));
const missed = wanted.filter((path) => !executed(path) && !isEmpty(path));
for (const path of missed) process.stdout.write(`not executed: ${path}${path in exceptions ? ` (${exceptions[path]})` : ""}\n`);
process.stdout.write(`${wanted.length - missed.length} of ${wanted.length} files of floors 0 to 2 are executed by these seeds\n`);
process.exitCode = run.status === 0 && missed.every((path) => path in exceptions) ? 0 : 1;
