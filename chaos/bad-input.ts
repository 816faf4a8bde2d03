import type { BadInput } from "./bad-input/case.ts";
import { grpcCases } from "./bad-input/grpc-cases.ts";
import { http2Cases } from "./bad-input/http2-cases.ts";
import { recordCases } from "./bad-input/record-cases.ts";
import { streamCases } from "./bad-input/stream-cases.ts";
import { Target } from "./bad-input/target.ts";
import { Flags } from "./flags.ts";
import { header, Report } from "./report.ts";

/**
 * `npm run bad-input`: cases 23–48 and 51 of docs/reliability.md, by number, against three real brokers. After each: every process lives,
 * the calls of another client went on, garbage collected the heap is where it was, and stored records are what they were.
 *
 *   --case N   only that one
 */
const flags = new Flags(["case"], ["quick"]);
const only = flags.number("case", 0);
const cases: readonly BadInput[] = [...http2Cases, ...grpcCases, ...recordCases, ...streamCases].filter(
  ({ number }) => only === 0 || number === only,
);
const report = new Report();

/** Answers of a cluster that elects a leader, as it may at any time on a machine with other work: they say nothing about the case. */
const ELECTING = /\b(LEADERSHIP_LOST|LEADER_UNKNOWN|HOP_LOST)\b/;
const TRIES = 3;

console.log(header("bad-input", 0));
const target = await Target.start();
try {
  for (const { prepare } of cases) await prepare?.(target);
  for (const [at, each] of cases.entries()) await attempt(each, at);
  const complaints = target.complaints();
  report.check("no broker logs an error", complaints.length === 0, () => complaints.slice(0, 5).join("; "));
} catch (error) {
  report.check("bad-input", false, () => `${(error as Error).stack}`);
} finally {
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${target.cluster.keepData()}`);
  await target.close();
}
process.exit(report.close());

async function attempt({ number, name, run }: BadInput, at: number): Promise<void> {
  target.victim = (at % 3) + 1;
  await target.mark();
  const began = performance.now();
  let said = "";
  let wrong: readonly string[];
  try {
    said = await unlessElected(() => run(target));
    wrong = await target.judge();
  } catch (error) {
    wrong = [(error as Error).message, ...(await target.judge().catch((worse: Error) => [worse.message]))];
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const waited = `another client waited ${Math.round(target.bystander.longestMs)} ms at most`;
  report.check(`case ${number}`, wrong.length === 0, () => wrong.join("; "));
  console.log(`${wrong.length === 0 ? "ok  " : "FAIL"}  case ${number}  ${name}: ${said}; ${waited}  (${seconds} s)`);
}

/** Every case can be run again. */
async function unlessElected(run: () => Promise<string>): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const said = await run();
      return tries === 1 ? said : `${said} (at attempt ${tries}: a leader was elected meanwhile)`;
    } catch (error) {
      if (tries === TRIES || !ELECTING.test((error as Error).message)) throw error;
      await target.cluster.healthy();
    }
  }
}
