import type { Handled, Told } from "./history.ts";

/** What a worker left behind that was stopped for longer than its session. */
export interface Witness {
  readonly handled: readonly Handled[];
  readonly told: readonly Told[];
  readonly said: readonly { readonly at: number; readonly line: string }[];
}

export interface LateCommit {
  /** The commit it made once it went on was refused as one of no member. */
  readonly refused: boolean;
  readonly rejoined: boolean;
  /** Records it handled after it was continued, before it knew. */
  readonly handledLate: number;
  readonly handledAfter: number;
  /** The refusal as people saw it. */
  readonly shown: string;
}

/** @param continued when the worker was continued, milliseconds since 1970 */
export function lateCommit({ handled, told, said }: Witness, continued: number): LateCommit {
  const since = said.filter(({ at }) => at >= continued);
  const refusal = since.find(({ line }) => /^commit of \S+ [\d: ]+ refused: (?:UNKNOWN_MEMBER|MEMBER_FENCED): ./.test(line));
  const lost = since.find(({ line }) =>
    /^not a member of group \S+ any more: (?:UNKNOWN_MEMBER|MEMBER_FENCED): .*; joining again$/.test(line),
  );
  const assigned = told.find(({ kind, at }) => kind === "assigned" && lost !== undefined && at >= lost.at);
  const late = handled.filter(({ at }) => at >= continued);
  // What it said is read later than it happened: what it was given is told apart by the offsets of no gap.
  const first = assigned === undefined ? -1 : late.findIndex(({ at }, i) => at >= assigned.at - READ_LATE_MS && isFresh(handled, late, i));
  return {
    refused: refusal !== undefined,
    rejoined: lost !== undefined && assigned !== undefined,
    handledLate: first < 0 ? late.length : first,
    handledAfter: first < 0 ? 0 : late.length - first,
    shown: refusal?.line ?? "no refusal",
  };
}
const READ_LATE_MS = 1_000;

/** It does not go on where its worker was in that partition. */
function isFresh(handled: readonly Handled[], late: readonly Handled[], at: number): boolean {
  const { partition, offset } = late[at] as Handled;
  const before = handled.slice(0, handled.indexOf(late[at] as Handled)).findLast((each) => each.partition === partition);
  return before === undefined || before.offset + 1 !== offset;
}
