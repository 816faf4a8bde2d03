import { type Evidence, isKept, readsOf, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/**
 * The second, weaker oracle for L2, as `jepsen.tests.kafka` has it: it needs no final read. Let b be the highest place of a value
 * that anybody read; an acknowledged value that lies at or below b and that nobody ever read is lost.
 * A poll that stopped early proves nothing about what lies between the polls, so only places somebody's reads went over count.
 */
export const lostWriteBound: Checker = {
  row: "L2",
  promise: "an acknowledged value below what was read was read too (lost-write)",
  check(evidence, findings) {
    const read = readPlaces(evidence);
    for (const send of sendsOf(evidence)) {
      const { offset } = send;
      if (!isKept(send) || offset === undefined) continue;
      const places = read.get(send.partition);
      if (places === undefined) continue;
      for (const [k, value] of send.values.entries()) {
        if (!places.covered.has(offset + k)) continue;
        findings.judge(
          places.values.has(value),
          () => `row ${send.i} (send): ${value} at ${send.partition}@${offset + k} is lost: reads went over it and nobody saw it`,
        );
      }
    }
  },
};

function readPlaces(evidence: Evidence): Map<string, { values: Set<string>; covered: Set<number> }> {
  const partitions = new Map<string, { values: Set<string>; covered: Set<number> }>();
  const note = (partition: string, records: readonly { readonly offset: number; readonly value: string }[]) => {
    let places = partitions.get(partition);
    if (places === undefined) {
      places = { values: new Set(), covered: new Set() };
      partitions.set(partition, places);
    }
    const [first, last] = [records[0]?.offset, records.at(-1)?.offset];
    if (first === undefined || last === undefined) return;
    for (let offset = first; offset <= last; offset++) places.covered.add(offset);
    for (const { value } of records) places.values.add(value);
  };
  for (const row of readsOf(evidence)) note(row.partition, row.records);
  for (const final of evidence.finals) note(final.partition, final.records);
  return partitions;
}
