import { type EndRow, type Evidence, sendsOf, type TrimRow } from "./history.ts";
import type { Checker, Findings } from "./verdict.ts";

/**
 * L15: the log start offset never falls from one ask to a later one and is where an acknowledged trim put it; what nobody asked to let go of
 * is there, unless its topic keeps records for a time only and this one was as old when it was seen to be gone. That only a prefix goes, L2
 * and L11 judge with it. A replica lets go of what an entry in its log says, once that is committed.
 */
export const logStart: Checker = {
  row: "L15",
  promise: "only what was let go of goes, and it does not come back",
  check(evidence, findings) {
    judgeReplicas(evidence, findings);
    const trims = evidence.history.filter((row): row is TrimRow => row.f === "trim");
    const asks = evidence.history.filter((row): row is EndRow => row.f === "end" && row.type === "ok");
    const retained = new Map(evidence.retention?.map(({ partition, retentionMs }) => [partition, retentionMs]));
    for (const { partition, logStart: start } of evidence.finals) {
      const wanted = trims.filter((row) => row.partition === partition);
      const retentionMs = retained.get(partition);
      const most = Math.max(0, ...wanted.map((row) => row.before));
      if (retentionMs !== undefined) {
        judgeAges(evidence, partition, retentionMs, most, findings);
      } else if (wanted.length === 0) {
        findings.judge(start === 0, () => `the final read of ${partition} begins at ${start}, and nobody let anything go`);
        continue;
      } else findings.judge(start <= most, () => `the final read of ${partition} begins at ${start}, at most ${most} was asked for`);
      const shown = [
        ...asks
          .filter((row) => row.partition === partition)
          .map((row) => ({ at: row.tRet, start: row.logStart ?? 0, row: `row ${row.i} (end)` })),
        ...wanted.filter((row) => row.type === "ok").map((row) => ({ at: row.tRet, start: row.before, row: `row ${row.i} (trim)` })),
      ].sort((a, b) => a.at - b.at);
      const last = { tInv: Number.POSITIVE_INFINITY, logStart: start, row: "the final read" };
      const later = asks.filter((row) => row.partition === partition).map((row) => ({ ...row, row: `row ${row.i} (end)` }));
      for (const ask of [...later, last]) {
        const before = shown
          .filter(({ at }) => at < ask.tInv)
          .reduce((most, one) => (one.start > most.start ? one : most), { at: 0, start: 0, row: "" });
        findings.judge(
          (ask.logStart ?? 0) >= before.start,
          () => `${ask.row} says ${partition} begins at ${ask.logStart}, but ${before.row} had shown ${before.start} before it was asked`,
        );
      }
    }
  },
};

/**
 * No batch was sent later than the record that is gone was old enough to go, when somebody was told that it is gone. A broker appends a
 * batch after it was sent, and lets it go before anybody is told.
 */
function judgeAges(evidence: Evidence, partition: string, retentionMs: number, trimmed: number, findings: Findings): void {
  const { history, finals, clockAheadMs } = evidence;
  if (clockAheadMs === undefined) return;
  const sends = sendsOf(evidence).filter((row) => row.partition === partition && row.type === "ok" && row.offset !== undefined);
  const asks = history.filter((row): row is EndRow => row.f === "end" && row.type === "ok" && row.partition === partition);
  const starts = [
    ...asks.map((row) => ({ at: row.tRet, start: row.logStart ?? 0, row: `row ${row.i} (end)` })),
    ...finals.flatMap((read) =>
      read.partition === partition && read.readAt !== undefined ? [{ at: read.readAt, start: read.logStart, row: "the final read" }] : [],
    ),
  ].sort((a, b) => a.at - b.at);
  for (const { i, offset = 0, values, tInv } of sends) {
    const end = offset + values.length;
    const gone = end <= trimmed ? undefined : starts.find(({ start }) => start >= end);
    const age = (gone?.at ?? Number.POSITIVE_INFINITY) - tInv;
    findings.judge(
      age + clockAheadMs > retentionMs,
      () => `${gone?.row} says that ${partition}@${offset} is gone, ${age} ms after row ${i} sent it; it is kept for ${retentionMs} ms`,
    );
  }
}

/**
 * Machine groups let go of what is in a snapshot, which R10 judges. An entry that lets go is let go of itself where a segment began behind it that
 * holds no record before the same offset: then it was only seen while brokers ran.
 */
function judgeReplicas({ dumps, trimmed }: Evidence, findings: Findings): void {
  const committed = new Map<string, number>();
  for (const { partition, commit } of dumps) committed.set(partition, Math.max(commit, committed.get(partition) ?? 0));
  const most = new Map<string, number>(trimmed);
  for (const { partition, trims = [] } of dumps)
    for (const { index, before } of trims)
      if (index <= (committed.get(partition) ?? 0)) most.set(partition, Math.max(before, most.get(partition) ?? 0));
  for (const { partition, replica, logStart: start, machine } of dumps) {
    if (start === undefined || machine !== undefined) continue;
    const asked = most.get(partition) ?? 0;
    findings.judge(
      start <= asked,
      () => `${replica} has let go of ${partition} up to ${start}, and no committed entry says more than ${asked}`,
    );
  }
}
