import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";

/**
 * CPU time of each test file: what `run-tests.js --times` prints. Preloaded into every test process, this writes down at its exit what
 * the process used, user and system time together, and on Linux also what those children used that had ended by then.
 */
export interface FileTime {
  /** As compiled: `dist/test/raft/core.test.js`. */
  readonly file: string;
  readonly ownMs: number;
  readonly childrenMs: number;
}

/** What `/proc/self/stat` counts in, on every Linux that Node runs on. */
const TICK_MS = 10;

/** User and system time of the children that ended and were waited for, theirs included. @param stat text of `/proc/<pid>/stat` */
export function childrenMs(stat: string): number {
  // The second field is the program's name in brackets, which may hold spaces: fields are counted from behind it (`man 5 proc`).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** The table, the most expensive file first, with a line for all of them. */
export function tableOf(times: readonly FileTime[]): string {
  const total = (time: FileTime): number => time.ownMs + time.childrenMs;
  const row = (time: FileTime): string =>
    `${[total(time), time.ownMs, time.childrenMs].map((ms) => (ms / 1000).toFixed(2).padStart(9)).join(" ")}  ${time.file}`;
  const sum = (of: (time: FileTime) => number): number => times.reduce((so, time) => so + of(time), 0);
  const all = { file: `${times.length} files`, ownMs: sum((time) => time.ownMs), childrenMs: sum((time) => time.childrenMs) };
  const heads = `${["CPU s", "own", "children"].map((head) => head.padStart(9)).join(" ")}  file`;
  return [heads, ...[...times].sort((a, b) => total(b) - total(a)).map(row), row(all)].join("\n");
}

/** What the processes of a run wrote into its folder. */
export function readTimes(folder: string): readonly FileTime[] {
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as FileTime);
}

const folder = process.env["TEST_TIMES"];
const file = process.argv[1];
if (folder !== undefined && file?.endsWith(".test.js") === true && process.env["NODE_TEST_CONTEXT"] !== undefined) {
  mkdirSync(folder, { recursive: true });
  process.on("exit", () => {
    const { user, system } = process.cpuUsage();
    const stat = process.platform === "linux" ? childrenMs(readFileSync("/proc/self/stat", "utf8")) : 0;
    const time: FileTime = { file: relative(process.cwd(), file), ownMs: (user + system) / 1000, childrenMs: stat };
    writeFileSync(`${folder}/${process.pid}.json`, JSON.stringify(time));
  });
}
