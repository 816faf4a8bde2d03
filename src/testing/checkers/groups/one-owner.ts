import type { Checker } from "../verdict.ts";
import { livesIn } from "./lives.ts";
import { grouped, groupRows } from "./rows.ts";

/** C3: a partition is in the hands of one member at a time, as its members see it and as the coordinator says; where it says that all is at rest, every one is in somebody's. */
export const oneOwner: Checker = {
  row: "C3",
  promise: "a partition has one owner",
  check(evidence, findings) {
    const holds = livesIn(evidence).flatMap(({ group, member, holds: own }) => own.map((hold) => ({ ...hold, group, member })));
    for (const [partition, list] of grouped(holds, (hold) => `${hold.partition} of ${hold.group}`)) {
      let last: (typeof list)[number] | undefined;
      for (const hold of list.toSorted((a, b) => a.from - b.from)) {
        const before = last;
        findings.judge(
          before === undefined || before.member === hold.member || before.until <= hold.from,
          () => `${partition} was in the hands of ${before?.member} until ${before?.until}, and of ${hold.member} from ${hold.from} on`,
        );
        if (before === undefined || hold.until > before.until) last = hold;
      }
    }
    for (const { i, type, group, state, members, partitions } of groupRows(evidence, "describe")) {
      if (type !== "ok") continue;
      const owners = new Map<string, string>();
      for (const { id, assignment } of members)
        for (const partition of assignment) {
          const other = owners.get(partition);
          findings.judge(
            other === undefined,
            () => `row ${i} (describe): ${partition} of ${group} is in the hands of ${other} and of ${id}`,
          );
          owners.set(partition, id);
        }
      if (state !== "stable") continue;
      for (const partition of partitions)
        findings.judge(owners.has(partition), () => `row ${i} (describe): ${group} is stable, and ${partition} is in nobody's hands`);
    }
  },
};
