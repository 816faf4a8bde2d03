import type { Evidence, PlacementRow, VotersRow } from "./history.ts";
import type { Checker, Findings } from "./verdict.ts";

/**
 * M4: a partition has as many replicas as were asked for, each on a broker of its own; who leads it and who is in sync is one of them; and of
 * any two successive configurations every two majorities share a replica.
 */
export const placement: Checker = {
  row: "M4",
  promise: "replicas are where they must be, and successive majorities meet",
  check(evidence, findings) {
    const placements = evidence.placements ?? [];
    for (const row of placements) judgePlacement(row, findings);
    judgeLeaders(evidence, findings);
    for (const { replica, commit, configurations = [] } of evidence.dumps) {
      const committed = configurations.filter(({ index }) => index <= commit);
      for (const [k, later] of committed.entries()) {
        const before = committed[k - 1];
        if (before === undefined) continue;
        findings.judge(
          majoritiesMeet(before, later),
          () => `${replica}: majorities of ${show(before)} and of the next configuration ${show(later)} need not meet`,
        );
      }
    }
  },
};

function judgePlacement({ index, partition, wanted, brokers, replicas, inSync, leader }: PlacementRow, findings: Findings): void {
  const at = `${partition}, by fact ${index},`;
  findings.judge(
    brokers.length === wanted && new Set(brokers).size === wanted,
    () => `${at} is on brokers ${brokers.join()}, and ${wanted} replicas were asked for`,
  );
  for (const member of inSync)
    findings.judge(replicas.includes(member), () => `${at} has ${member} in sync, which is none of its replicas ${replicas.join()}`);
  if (leader !== undefined)
    findings.judge(replicas.includes(leader), () => `${at} is led by ${leader}, which is none of its replicas ${replicas.join()}`);
}

function judgeLeaders({ placements = [], leaders = [] }: Evidence, findings: Findings): void {
  const places = new Map<string, Set<number>>();
  for (const { partition, brokers } of placements) {
    const known = places.get(partition) ?? new Set();
    for (const broker of brokers) known.add(broker);
    places.set(partition, known);
  }
  for (const { partition, term, broker } of leaders) {
    const known = places.get(partition);
    if (known !== undefined)
      findings.judge(
        known.has(broker),
        () => `${partition} is led by broker ${broker} in term ${term}, and is placed on ${[...known].join()}`,
      );
  }
}

/** A majority of each set there is: two that share nothing are looked for among all ways to choose them. */
function majoritiesMeet(a: VotersRow, b: VotersRow): boolean {
  const everybody = [...new Set([...a.voters, ...(a.old ?? []), ...b.voters, ...(b.old ?? [])])];
  for (let chosen = 0; chosen < 2 ** everybody.length; chosen++) {
    const ofA = new Set(everybody.filter((_, k) => (chosen & (1 << k)) !== 0));
    const ofB = new Set(everybody.filter((id) => !ofA.has(id)));
    if (isQuorum(a, ofA) && isQuorum(b, ofB)) return false;
  }
  return true;
}

function isQuorum({ voters, old }: VotersRow, chosen: ReadonlySet<number>): boolean {
  return [voters, ...(old === undefined ? [] : [old])].every((set) => set.filter((id) => chosen.has(id)).length * 2 > set.length);
}

function show({ index, voters, old }: VotersRow): string {
  return `${voters.join()}${old === undefined ? "" : ` with ${old.join()}`} (index ${index})`;
}
