import type { Evidence } from "./history.ts";

/** What one checker found. `judged` counts the facts it looked at: a checker that judged none has proved nothing. */
export interface Verdict {
  /** Row of docs/reliability.md, such as "L2". */
  readonly row: string;
  readonly judged: number;
  /** One sentence each; at most `VIOLATIONS_MAX`, the first ones found. */
  readonly violations: readonly string[];
  /** Of a checker that looks for an order of events: how often, and how often it gave up. */
  readonly searches?: number;
  readonly givenUp?: number;
}

export interface Checker {
  readonly row: string;
  /** What it promises, in one line. */
  readonly promise: string;
  check(evidence: Evidence, findings: Findings): void;
}

const VIOLATIONS_MAX = 20;
/** Of its searches a checker may give up one in so many in one run, and always one. */
const GIVEN_UP_SHARE = 10;

/** Where a checker notes what it looks at. */
export class Findings {
  judged = 0;
  searches = 0;
  givenUp = 0;
  readonly violations: string[] = [];

  /** So many facts were looked at together. */
  judgeAll(facts: number, holds: boolean, message: () => string): void {
    if (facts === 0) return;
    this.judged += facts - 1;
    this.judge(holds, message);
  }

  /** Something was looked for, and may have been too much to look for to the end: then nobody knows, and that is counted. */
  searched(givenUp: boolean): void {
    this.searches++;
    if (givenUp) this.givenUp++;
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
  const { judged, searches, givenUp, violations } = findings;
  const tooMany = givenUp > Math.max(1, Math.floor(searches / GIVEN_UP_SHARE));
  const refused = tooMany
    ? [...violations, `${givenUp} of ${searches} searches were given up: nobody knows what they would have found`]
    : violations;
  return { row: checker.row, judged, violations: refused, ...(searches > 0 ? { searches, givenUp } : {}) };
}
