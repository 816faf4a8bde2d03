import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

/**
 * One seed of the simulator twice on this Node, and once on each of the others: every line of the trace must be the same.
 *
 * `node dist/tools/same-traces.js SEED [OTHER NODE …]`; exit code 1 when one differs, 2 usage.
 */

interface Traced {
  readonly node: string;
  readonly lines: number;
  readonly hash: string;
  /** What the run said of itself: passed or failed, and the digest. */
  readonly said: string;
}

/** What follows the trace says how fast the machine was. */
const END = /^seed \d+ (?:passed|failed)/;

function traceOf(node: string, seed: number): Promise<Traced> {
  const child = spawn(node, ["dist/src/testing/main.js", "--seed", String(seed), "--trace"], { stdio: ["ignore", "pipe", "inherit"] });
  const hash = createHash("sha256");
  let lines = 0;
  let said: string | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (said === undefined && END.test(line)) said = line;
    if (said !== undefined) return;
    lines++;
    hash.update(line).update("\n");
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve({ node, lines, hash: hash.digest("hex"), said: said ?? "nothing" }));
  });
}

const [seed, ...others] = process.argv.slice(2);
if (seed === undefined || !/^\d+$/.test(seed)) {
  process.stderr.write("usage: node dist/tools/same-traces.js SEED [OTHER NODE …]\n");
  process.exitCode = 2;
} else {
  const first = await traceOf(process.execPath, Number(seed));
  let [passed, failed] = [0, 0];
  process.stdout.write(`${first.node}: ${first.said}, ${first.lines} lines, ${first.hash}\n`);
  for (const node of [process.execPath, ...others]) {
    const again = await traceOf(node, Number(seed));
    const same = again.hash === first.hash && again.said === first.said && first.lines > 0 && / passed/.test(first.said);
    if (same) passed++;
    else failed++;
    process.stdout.write(`${same ? "same" : "OTHER"}  ${node}: ${again.said}, ${again.lines} lines, ${again.hash}\n`);
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}
