import { spawnSync } from "node:child_process";

/** One part of a check: a command, or a function that says what is wrong. */
export interface Step {
  readonly name: string;
  /** A command and its arguments; `node` means the Node that runs this. */
  readonly command?: readonly string[];
  /** Lines that say what is wrong; none when all is well. */
  readonly find?: () => readonly string[];
}

/** Output of a step that failed, at most: enough to see the cause, not enough to bury it. */
const OUTPUT_MAX = 12_000;

/**
 * Runs every step, also after one failed, and prints one line for each: what failed says how, what passed says only how long it
 * took. The last line counts steps and tests, as `.ci/run` sums them.
 *
 * @param remarks what is worth saying but does not fail
 * @returns the exit code
 */
export function runSteps(title: string, steps: readonly Step[], remarks: () => readonly string[] = () => []): number {
  const failures: string[] = [];
  const started = Date.now();
  let passed = 0;
  let failed = 0;
  for (const step of steps) {
    const began = Date.now();
    const { ok, output, counts } = step.find !== undefined ? found(step.find) : command(step.command ?? []);
    passed += counts?.passed ?? (ok ? 1 : 0);
    failed += counts === undefined ? (ok ? 0 : 1) : counts.failed + (ok || counts.failed > 0 ? 0 : 1);
    const tests = counts === undefined ? "" : `  (${counts.passed} passed, ${counts.failed} failed)`;
    if (!ok) console.log(`${output.slice(-OUTPUT_MAX).trimEnd()}\n`);
    for (const [line] of output.matchAll(/^(?:could not run|note): .*$/gm)) if (ok) console.log(line);
    console.log(`${ok ? "ok  " : "FAIL"}  ${step.name}  ${((Date.now() - began) / 1000).toFixed(1)} s${tests}`);
    if (ok) continue;
    failures.push(step.name);
    for (const test of failedTests(output)) console.log(`  ${test}`);
  }
  for (const remark of remarks()) console.log(`note  ${remark}`);
  const verdict = failures.length === 0 ? "ok" : `FAILED: ${failures.join(", ")}`;
  console.log(`${title}: ${verdict} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** Failed tests that are named again beside the line of their step. */
const NAMED_MAX = 20;

/** The tests an output reports as failed, each with the first line of its error: what a reader sees who has only the end of a log. */
export function failedTests(output: string): readonly string[] {
  return [...output.matchAll(/^(✖ .*)\n(.*)$/gm)]
    .slice(0, NAMED_MAX)
    .map(([, name = "", error = ""]) => `${name}: ${error.trim()}`.slice(0, 300));
}

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
  /** Of a command that ran tests. */
  readonly counts: { readonly passed: number; readonly failed: number } | undefined;
}

function found(find: () => readonly string[]): Outcome {
  const lines = find();
  return { ok: lines.length === 0, output: lines.join("\n"), counts: undefined };
}

function command([program = "", ...args]: readonly string[]): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program === "node" ? process.execPath : program, args, {
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
  });
  const output = `${stdout ?? ""}${stderr ?? ""}${error === undefined ? "" : String(error)}`;
  return { ok: status === 0, output, counts: lastCounts(stdout ?? "") };
}

/** From the last line `… N passed, M failed` of an output. */
export function lastCounts(output: string): { readonly passed: number; readonly failed: number } | undefined {
  const line = [...output.matchAll(/^(?:tests: )?(\d+) passed, (\d+) failed$/gm)].at(-1);
  return line === undefined ? undefined : { passed: Number(line[1]), failed: Number(line[2]) };
}
