import type { Checker } from "../verdict.ts";

/**
 * C8: when all has been well for a while, a group is at rest: every partition has one owner, who knows of it, and is processed to its end.
 * Those of a topic that is gone have none.
 */
export const groupRest: Checker = {
  row: "C8",
  promise: "groups come to rest",
  check({ groups = [] }, findings) {
    for (const { group, settled, members, described, partitions } of groups) {
      const there = new Set(partitions.map(({ partition }) => partition));
      for (const { id, assignment } of described) {
        const stray = assignment.find((partition) => !there.has(partition));
        findings.judge(stray === undefined, () => `${group}: ${stray} is in the hands of ${id}, and there is no such partition any more`);
      }
      findings.judge(settled, () => `${group} did not come to rest after all was healed`);
      if (!settled) continue;
      const said = new Map(described.map(({ id, assignment }) => [id, new Set(assignment)]));
      const owners = new Map<string, string[]>();
      for (const { id, holds } of members) {
        for (const partition of holds) owners.set(partition, [...(owners.get(partition) ?? []), id]);
        const its = said.get(id);
        findings.judge(
          its !== undefined && its.size === holds.length && holds.every((partition) => its.has(partition)),
          () => `${group}: ${id} holds ${holds.join() || "nothing"}, its coordinator says ${[...(its ?? [])].join() || "nothing"}`,
        );
      }
      for (const { partition, committed, end } of partitions) {
        const of = owners.get(partition) ?? [];
        findings.judge(
          members.length === 0 || of.length === 1,
          () => `${group}: ${partition} is in the hands of ${of.join(" and ") || "nobody"}`,
        );
        findings.judge(
          members.length === 0 || (committed ?? 0) >= end,
          () => `${group}: ${partition} is committed up to ${committed ?? "nothing"}, and ends at ${end}`,
        );
      }
    }
  },
};
