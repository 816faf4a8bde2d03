import type { EndRow, Evidence, TimeRow } from "./history.ts";
import type { Checker, Findings } from "./verdict.ts";

/**
 * M2: what is read linearizably never goes back: the term of the leader that answers where a partition ends, whoever asks, and the version
 * of the metadata that one client is shown.
 */
export const epochs: Checker = {
  row: "M2",
  promise: "neither terms nor versions go back",
  check(evidence, findings) {
    for (const [partition, asks] of grouped(termsIn(evidence), ({ partition }) => partition))
      neverFalls(`the term of ${partition}`, asks, findings);
    for (const [proc, replies] of grouped(versionsIn(evidence), ({ proc }) => proc))
      neverFalls(`the metadata version of ${proc}`, replies, findings);
  },
};

interface Shown {
  readonly i: number;
  readonly tInv: number;
  readonly tRet: number;
  readonly shown: number;
}

function termsIn({ history }: Evidence): readonly (Shown & { readonly partition: string })[] {
  return history
    .filter((row): row is EndRow | TimeRow => (row.f === "end" || row.f === "time") && row.type === "ok")
    .flatMap(({ i, tInv, tRet, partition, leaderEpoch }) =>
      leaderEpoch === undefined ? [] : [{ i, tInv, tRet, partition, shown: leaderEpoch }],
    );
}

function versionsIn({ history }: Evidence): readonly (Shown & { readonly proc: string })[] {
  return history.flatMap((row) =>
    row.f === "metadata" && row.type === "ok" ? [{ i: row.i, tInv: row.tInv, tRet: row.tRet, proc: row.proc, shown: row.version }] : [],
  );
}

function grouped<T>(items: readonly T[], by: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(by(item));
    if (group === undefined) groups.set(by(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Sweep by time of asking, against the highest that was shown before. */
function neverFalls(what: string, rows: readonly Shown[], findings: Findings): void {
  const ended = rows.toSorted((a, b) => a.tRet - b.tRet);
  let next = 0;
  let highest: Shown | undefined;
  for (const row of rows.toSorted((a, b) => a.tInv - b.tInv)) {
    for (let before = ended[next]; before !== undefined && before.tRet < row.tInv; before = ended[++next])
      if (highest === undefined || before.shown > highest.shown) highest = before;
    const least = highest;
    findings.judge(
      least === undefined || row.shown >= least.shown,
      () => `row ${row.i} says ${what} is ${row.shown}; row ${least?.i} had said ${least?.shown} before it was asked`,
    );
  }
}
