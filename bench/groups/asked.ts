import { Flags } from "../../chaos/flags.ts";

const PARTS = ["rebalance", "commits", "failover", "memory"] as const;
type Part = (typeof PARTS)[number];

const numbers = ["runs", "members", "full", "partitions", "events", "groups", "seconds", "kills", "memory-groups"] as const;

/** What a command line asks for. @throws naming the flag that is none, or its value */
export function askedOf(args: readonly string[]) {
  const flags = new Flags([...numbers, "only"], ["quick"], args);
  const quick = flags.has("quick");
  const number = (
    name: (typeof numbers)[number],
    otherwise: number,
    whenQuick: number,
    [least, most]: readonly [number, number],
  ): number => {
    const value = flags.number(name, quick ? whenQuick : otherwise);
    if (value < least || value > most) throw new Error(`--${name} must be from ${least} to ${most}: got ${value}`);
    return value;
  };
  const members = number("members", 100, 30, [2, 1_000]);
  const named = flags.text("only")?.split(",") ?? PARTS;
  for (const part of named)
    if (!(PARTS as readonly string[]).includes(part)) throw new Error(`--only has no part "${part}": there are ${PARTS.join(", ")}`);
  return {
    quick,
    parts: new Set(named as readonly Part[]),
    runs: number("runs", 1, 1, [1, 100]),
    rebalance: {
      members,
      full: number("full", 4, 2, [1, members - 1]),
      partitions: number("partitions", 1_000, 120, [members, 5_000]),
      settleMs: quick ? 2_000 : 6_000,
      events: number("events", 30, 6, [1, 1_000]),
    },
    groups: number("groups", 1_000, 300, [100, 10_000]),
    seconds: number("seconds", 15, 3, [1, 600]),
    kills: number("kills", 10, 1, [1, 1_000]),
    memoryGroups: number("memory-groups", 10_000, 1_000, [100, 100_000]),
  };
}

export type Asked = ReturnType<typeof askedOf>;
