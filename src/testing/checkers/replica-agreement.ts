import type { ReplicaDump } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L12: the committed prefixes of all replicas are equal: index, term, offset and bytes. */
export const replicaAgreement: Checker = {
  row: "L12",
  promise: "replicas hold the same committed entries",
  check(evidence, findings) {
    const partitions = new Map<string, ReplicaDump[]>();
    for (const dump of evidence.dumps) partitions.set(dump.partition, [...(partitions.get(dump.partition) ?? []), dump]);
    for (const [partition, dumps] of partitions) {
      // Every committed entry of every replica against the first replica that has it committed.
      const first = new Map<number, { readonly entry: ReplicaDump["entries"][number]; readonly replica: string }>();
      for (const dump of dumps) {
        for (const entry of dump.entries) {
          if (entry.index > dump.commit) break;
          const known = first.get(entry.index);
          if (known === undefined) first.set(entry.index, { entry, replica: dump.replica });
          else {
            const same = known.entry.term === entry.term && known.entry.baseOffset === entry.baseOffset && known.entry.hash === entry.hash;
            findings.judge(
              same,
              () => `${partition} index ${entry.index}: ${known.replica} has ${show(known.entry)}, ${dump.replica} has ${show(entry)}`,
            );
          }
        }
      }
    }
  },
};

function show(entry: ReplicaDump["entries"][number]): string {
  return `term ${entry.term}, offset ${entry.baseOffset}, hash ${entry.hash}`;
}
