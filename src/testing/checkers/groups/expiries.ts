import type { Evidence } from "../history.ts";
import { type Life, livesIn } from "./lives.ts";
import { grouped, groupRows } from "./rows.ts";

/** A stretch of time in which it may have expired what a group had committed of a partition. */
export interface Expiry {
  readonly from: number;
  /** Infinity: at any time after. */
  readonly to: number;
}

/**
 * When offsets may have been forgotten because nobody had been heard of: not while the group had a member, nor for as long after as they
 * are kept, nor so soon after the partition was committed.
 *
 * @returns by group and partition, in order; nothing when no offset ever expires in this run
 */
export function expiriesIn(evidence: Evidence): (group: string, partition: string) => readonly Expiry[] {
  const { groupRetentionMs, clockAheadMs = Number.POSITIVE_INFINITY } = evidence;
  if (groupRetentionMs === undefined) return () => [];
  const keptMs = Math.max(0, groupRetentionMs - clockAheadMs);
  const lives = grouped(livesIn(evidence), ({ group }: Life) => group);
  const writes = grouped(
    [...groupRows(evidence, "commit"), ...groupRows(evidence, "move")].filter(({ type }) => type === "ok"),
    ({ group, partition }) => `${group} ${partition}`,
  );
  return (group, partition) =>
    between([
      // Nothing is committed before the run.
      { from: 0, to: keptMs },
      ...(lives.get(group) ?? []).map(({ from, until }) => ({ from, to: until + keptMs })),
      ...(writes.get(`${group} ${partition}`) ?? []).map(({ tInv, tRet }) => ({ from: tRet, to: tInv + keptMs })),
    ]);
}

/** @param busy in any order; they may overlap */
function between(busy: readonly Expiry[]): readonly Expiry[] {
  const found: Expiry[] = [];
  let from = 0;
  for (const one of busy.toSorted((a, b) => a.from - b.from)) {
    if (one.to <= one.from) continue;
    if (one.from > from) found.push({ from, to: one.from });
    from = Math.max(from, one.to);
  }
  return [...found, { from, to: Number.POSITIVE_INFINITY }];
}
