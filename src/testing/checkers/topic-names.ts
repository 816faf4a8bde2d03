import { type Evidence, readsOf, sendsOf, type TopicRow } from "./history.ts";
import { findOrder, type Step } from "./linearizable.ts";
import type { Checker, Findings } from "./verdict.ts";

/**
 * M3: what is done to one topic name looks as if it was done in some order, one after the other, each between its call and its answer; every
 * topic that is made has an id that no other one had; and what was sent to one is not read in another of the same name.
 */
export const topicNames: Checker = {
  row: "M3",
  promise: "topics are made and deleted one at a time, and each is its own",
  check(evidence, findings) {
    const names = new Map<string, TopicRow[]>();
    for (const row of evidence.history) {
      if (row.f !== "topic") continue;
      const rows = names.get(row.name);
      if (rows === undefined) names.set(row.name, [row]);
      else rows.push(row);
    }
    for (const [name, rows] of names) {
      judgeIds(name, rows, findings);
      const steps = rows.flatMap(stepOf);
      const found = findOrder(steps, NOTHING);
      findings.searched(found === "given up");
      if (found === "given up") continue;
      findings.judgeAll(rows.length, found === undefined, () => `${name}: no order explains what was answered, not even up to ${found}`);
    }
    judgeData(evidence, findings);
  },
};

function judgeIds(name: string, rows: readonly TopicRow[], findings: Findings): void {
  const made = new Map<string, number>();
  for (const { i, op, type, id } of rows) {
    if (op !== "create" || type !== "ok" || id === undefined) continue;
    const first = made.get(id);
    findings.judge(first === undefined, () => `${name}: rows ${first} and ${i} (create) were both given the id ${id}`);
    made.set(id, i);
  }
}

/** A partition of a topic that comes and goes is named "name#id-number". */
function judgeData(evidence: Evidence, findings: Findings): void {
  const sent = new Map<string, string>();
  for (const { partition, values } of sendsOf(evidence))
    if (partition.includes("#")) for (const value of values) sent.set(value, partition);
  const judge = (partition: string, value: string, where: string) => {
    const to = sent.get(value);
    if (to !== undefined && partition.includes("#"))
      findings.judge(to === partition, () => `${where}: ${value} is in ${partition} and was sent to ${to}`);
  };
  for (const { i, partition, records } of readsOf(evidence)) for (const { value } of records) judge(partition, value, `row ${i} (read)`);
  for (const { partition, records } of evidence.finals) for (const { value } of records) judge(partition, value, "the final read");
}

/** State of a name: the id of its topic, or that there is none. */
const NOTHING = "";

function stepOf(row: TopicRow): readonly Step[] {
  const { i, tInv, tRet, type, op, id, error } = row;
  const step = (apply: Step["apply"]): readonly Step[] => [
    { name: `row ${i} (${op} ${type}${error === undefined ? "" : ` ${error}`})`, tInv, tRet, optional: type === "info", apply },
  ];
  if (op === "create") {
    // What a create of unknown outcome made has an id that nobody knows.
    if (type !== "fail") return step((state) => (state === NOTHING ? (id ?? `?${i}`) : undefined));
    return error === "TOPIC_EXISTS" ? step((state) => (state === NOTHING ? undefined : state)) : [];
  }
  const isMeant = (state: string) => state !== NOTHING && (id === undefined || state === id || state.startsWith("?"));
  if (op === "grow") return type === "fail" ? [] : step((state) => (isMeant(state) ? state : undefined));
  if (type !== "fail") return step((state) => (isMeant(state) ? NOTHING : undefined));
  return error === "UNKNOWN_TOPIC"
    ? step((state) => (state === NOTHING || state.startsWith("?") || (id !== undefined && state !== id) ? state : undefined))
    : [];
}
