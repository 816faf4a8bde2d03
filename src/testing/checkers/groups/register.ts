import { deletionsIn, type Evidence } from "../history.ts";
import { findOrder, type Step, TRIES_MAX } from "../linearizable.ts";
import type { Checker, Findings } from "../verdict.ts";
import { type Expiry, expiriesIn } from "./expiries.ts";
import { type CommitRow, type CommittedRow, type ForgetRow, grouped, groupRows, type MoveRow } from "./rows.ts";

/** State of a partition that a group has committed nothing of. */
const NOTHING = "";

/**
 * C1: what a group has committed of a partition is a register. A commit moves it forwards (ADR 0017), a seek anywhere, a deletion empties it,
 * and a fetch says what it holds; also who is refused because more is committed is told how much. From when its topic is deleted on it may
 * be forgotten; one that is made anew under the name has a register of its own, in which nothing is.
 */
export const offsetsRegister: Checker = registerWith(TRIES_MAX);

/** @param triesMax ways to go on that are tried for one partition of a group before one gives up */
export function registerWith(triesMax: number): Checker {
  return {
    row: "C1",
    promise: "committed offsets are a register",
    check: (evidence, findings) => judge(evidence, findings, triesMax),
  };
}

function judge(evidence: Evidence, findings: Findings, triesMax: number): void {
  const commits = groupRows(evidence, "commit");
  const moves = groupRows(evidence, "move");
  const reads = groupRows(evidence, "committed");
  const forgets = groupRows(evidence, "forget");
  const expiries = expiriesIn(evidence);
  const deletions = deletionsIn(evidence);
  const keyed = grouped([...commits, ...moves, ...reads], ({ group, partition }) => `${group} ${partition}`);
  for (const [key, rows] of keyed) {
    const [one] = rows;
    if (one === undefined) continue;
    const gone = forgets.filter(({ group, partition }) => group === one.group && (partition === undefined || partition === one.partition));
    const wanted = valuesRead(rows);
    const steps = [
      ...rows.flatMap((row) => stepsOf(row, wanted)),
      ...gone.flatMap(forgetStep),
      ...expiries(one.group, one.partition).map(expiryStep),
      ...deletionSteps(deletions(one.partition)),
    ];
    const found = findOrder(steps, NOTHING, triesMax);
    findings.searched(found === "given up");
    if (found === "given up") continue;
    findings.judgeAll(rows.length, found === undefined, () => `${key}: no order explains what was answered, not even up to ${found}`);
  }
}

type Row = CommitRow | MoveRow | CommittedRow;

/** What somebody was told is committed: only so can a write of unknown outcome have been seen. */
function valuesRead(rows: readonly Row[]): ReadonlySet<number> {
  return new Set(
    rows.flatMap((row) => {
      if (row.f === "committed") return row.offset ?? [];
      return row.f === "commit" ? (row.committed ?? []) : (row.before ?? []);
    }),
  );
}

function stepsOf(row: Row, wanted: ReadonlySet<number>): readonly Step[] {
  const { i, type, tInv, tRet, error } = row;
  const step = (optional: boolean, apply: Step["apply"]): readonly Step[] => [
    { name: `row ${i} (${row.f} ${type}${error === undefined ? "" : ` ${error}`})`, tInv, tRet, optional, apply },
  ];
  if (row.f === "committed") {
    const held = row.offset === undefined ? NOTHING : String(row.offset);
    return type === "ok" ? step(false, (state) => (state === held ? state : undefined)) : [];
  }
  const to = row.f === "commit" ? row.offset : row.after;
  if (type === "info")
    return wanted.has(to) ? step(true, (state) => (row.f === "move" || to >= Number(state) ? String(to) : undefined)) : [];
  if (row.f === "move") {
    const from = row.before === undefined ? NOTHING : String(row.before);
    return type === "ok" ? step(false, (state) => (state === from ? String(to) : undefined)) : [];
  }
  if (type === "ok") return step(false, (state) => (to >= Number(state) ? String(to) : undefined));
  const { committed } = row;
  return committed === undefined ? [] : step(false, (state) => (state === String(committed) && to < committed ? state : undefined));
}

function forgetStep({ i, type, tInv, tRet }: ForgetRow): readonly Step[] {
  return type === "fail" ? [] : [{ name: `row ${i} (forget)`, tInv, tRet, optional: type === "info", apply: () => NOTHING }];
}

/** Nobody need have seen it, and it may come more than once. */
function expiryStep({ from, to }: Expiry): Step {
  return { name: `what expired after ${from}`, tInv: from, tRet: to, optional: true, again: true, apply: () => NOTHING };
}

/** Its topic may have gone; who commits to one that it takes for being there still may have it forgotten once more. */
function deletionSteps(since: number): readonly Step[] {
  if (since === Number.POSITIVE_INFINITY) return [];
  const tRet = Number.POSITIVE_INFINITY;
  return [{ name: `its topic goes after ${since}`, tInv: since, tRet, optional: true, again: true, apply: () => NOTHING }];
}
