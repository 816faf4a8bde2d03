import type { Checker } from "./verdict.ts";

/** M1: in one term one broker leads a partition, as answers name it and as it is seen from the inside. */
export const oneLeader: Checker = {
  row: "M1",
  promise: "one term, one leader",
  check(evidence, findings) {
    const leaders = new Map<string, { readonly broker: number; readonly where: string }>();
    const note = (partition: string, term: number, broker: number, where: string) => {
      const reign = `${partition} in term ${term}`;
      const first = leaders.get(reign);
      if (first === undefined) leaders.set(reign, { broker, where });
      findings.judge(
        first === undefined || first.broker === broker,
        () => `${reign} is led by broker ${first?.broker} (${first?.where}) and by broker ${broker} (${where})`,
      );
    };
    for (const { partition, term, broker } of evidence.leaders ?? []) note(partition, term, broker, "inside");
    for (const row of evidence.history) {
      if (!("partition" in row) || row.leaderEpoch === undefined || row.broker === undefined) continue;
      note(row.partition, row.leaderEpoch, row.broker, `row ${row.i}`);
    }
  },
};
