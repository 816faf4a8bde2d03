import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * `npm run bench -- NAME [FLAGS]`: one way to every benchmark in this folder. Each runs in a process of its own, with what it needs of Node.
 */
interface Bench {
  readonly file: string;
  readonly about: string;
  /** Flags of Node. */
  readonly node?: readonly string[];
}

const benches: Readonly<Record<string, Bench>> = {
  groups: { file: "groups/main.js", about: "consumer groups on real brokers: rebalance, commits, fail-over, memory" },
  "groups-machine": { file: "groups-machine.js", about: "the machine of consumer groups by itself", node: ["--expose-gc"] },
  sim: {
    file: "sim.js",
    about: "simulated time of a second of CPU",
    node: ["--single-threaded-gc", "--max-semi-space-size=64", "--heap-growing-percent=900"],
  },
  testing: { file: "testing.js", about: "what a cluster of millrace/testing costs" },
  wal: { file: "wal.js", about: "the shared write-ahead log beside a file per partition" },
};

const [name = "", ...flags] = process.argv.slice(2);
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  const known = Object.entries(benches).map(([each, { about }]) => `  ${each.padEnd(16)}${about}`);
  console.error(
    `${name === "" ? "Name a benchmark" : `There is no benchmark "${name}"`}: npm run bench -- NAME [FLAGS]\n${known.join("\n")}`,
  );
  process.exitCode = 2;
} else {
  const file = fileURLToPath(new URL(bench.file, import.meta.url));
  const child = spawn(process.execPath, [...(bench.node ?? []), file, ...flags], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.once("exit", (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 130);
  });
}
