import { spawn } from "node:child_process";

/**
 * `npm test`: every test, and beside them 1,000 simulated seeds at the lowest priority, in the time the tests spend waiting for
 * processes of theirs. The seeds' output comes after the tests'. Exit code 1 when either failed.
 *
 * `node dist/tools/test.js [--seeds N]`
 */
const at = process.argv.indexOf("--seeds");
const seeds = at < 0 ? "1000" : (process.argv[at + 1] ?? "");

interface Ended {
  readonly code: number;
  readonly output: string;
}

function run(args: readonly string[], stdio: "inherit" | "pipe"): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", stdio, stdio] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", (error) => resolve({ code: 1, output: `${output}${error.message}\n` }));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

const simulated = run(["dist/src/testing/main.js", "--seeds", seeds, "--short", "--background"], "pipe");
const tested = await run(["dist/tools/run-tests.js", "--all"], "inherit");
const { code, output } = await simulated;
process.stdout.write(output);
process.exitCode = tested.code === 0 && code === 0 ? 0 : 1;
