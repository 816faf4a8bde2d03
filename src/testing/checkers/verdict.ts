import type { Evidence } from "./history.ts";

/** What one checker found. `judged` counts the facts it looked at: a checker that judged none has proved nothing. */
export interface Verdict {
  /** Row of docs/reliability.md, such as "L2". */
  readonly row: string;
  readonly judged: number;
  /** One sentence each; at most `VIOLATIONS_MAX`, the first ones found. */
  readonly violations: readonly string[];
}

export interface Checker {
  readonly row: string;
  /** What it promises, in one line. */
  readonly promise: string;
  check(evidence: Evidence, findings: Findings): void;
}

const VIOLATIONS_MAX = 20;

/** Where a checker notes what it looks at. */
export class Findings {
  judged = 0;
  readonly violations: string[] = [];

  /** So many facts were looked at together. */
  judgeAll(facts: number, holds: boolean, message: () => string): void {
    if (facts === 0) return;
    this.judged += facts - 1;
    this.judge(holds, message);
  }

  /** One fact was looked at; it is a violation unless `holds`. */
  judge(holds: boolean, message: () => string): void {
    this.judged++;
    if (!holds && this.violations.length < VIOLATIONS_MAX) this.violations.push(message());
  }
}

export function runChecker(checker: Checker, evidence: Evidence): Verdict {
  const findings = new Findings();
  checker.check(evidence, findings);
  return { row: checker.row, judged: findings.judged, violations: findings.violations };
}
